package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

// paged asks for one page of a category.
func paged(session string, size, number int) string {
	return question(fakeapi.CategoryView, session, "c1", fmt.Sprintf(`"vitrine":{"page":{"size":%d,"number":%d}}`, size, number))
}

// Pages asked of two pods in turn are one order, although the API ranks differently in
// between, and every page's event is delivered.
func TestE2EPagesAcrossPods(t *testing.T) {
	t.Parallel()
	api, server := newAPI(t), redistest.Start(t)
	flags := []string{"--redis.url=" + server.URL(), "--redis.budget=1s"}
	pods := []*sidecar{start(t, api.URL(), flags...), start(t, api.URL(), flags...)}
	whole := api.Ranking("s1", "", fakeapi.CategoryView, "c1")
	first := pods[0].ask(paged("s1", 20, 1))
	want(t, "page 1", first, "api", "", whole[:20])
	pods[0].settled(1)
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	got := first.products
	for number := 2; len(got) < len(whole); number++ {
		page := pods[(number+1)%2].ask(paged("s1", 20, number))
		if page.source != "cache" || len(page.products) == 0 {
			t.Fatalf("page %d: got %v, want it from the frozen order", number, page)
		}
		got = append(got, page.products...)
	}
	if !slices.Equal(got, whole) {
		t.Errorf("all pages: got %q, want %q", got, whole)
	}
	pages := (len(whole) + 19) / 20
	eventually(t, "every page's event has arrived", func() bool { return len(items(api.API, "s1")) == pages })
}

func TestE2EExplain(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	type explanation struct {
		Rungs    []struct{ Rung, Gave string }
		Products []struct{ ID, Source string }
		Source   string
		Reason   string
	}
	explain := func(question string) (x explanation, text string) {
		t.Helper()
		status, text := s.call(http.MethodPost, s.admin+"/explain", question)
		if err := json.Unmarshal([]byte(text), &x); err != nil || status != http.StatusOK {
			t.Fatalf("got %d %s: %v", status, text, err)
		}
		return x, text
	}
	ask := productView("hush", "p1", `"userId":"hush"`, `"vitrine":{"native":["n1","n2"]}`)
	before, text := explain(ask)
	if before.Source != "native" || before.Reason != "timeout" || len(before.Products) != 2 || before.Products[0].ID != "n1" {
		t.Errorf("got %s, want the native list in case the API is late", text)
	}
	if strings.Contains(text, "hush") {
		t.Errorf("got %s, want neither session nor user in it", text)
	}
	s.untouched(api.API)
	shown := s.ask(ask)
	after, text := explain(ask)
	if after.Source != "cache" || len(after.Products) != len(shown.products) || after.Products[0].ID != shown.products[0] {
		t.Errorf("got %s, want what is in memory: %q", text, shown.products)
	}
	if status, text := s.call(http.MethodPost, s.admin+"/explain", `{"sessionId":"s"}`); status != http.StatusBadRequest || !strings.Contains(text, "eventType") {
		t.Errorf("a question that is none: got %d %s", status, text)
	}
	s.settled(1)
}

// Whoever is shown the native ordering, the API is told of all events.
func TestE2EExperimentsDeliverEvents(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	for _, c := range []struct{ name, flag string }{
		{"holdout", "--holdout.percent=100"},
		{"native", "--events.productView.mode=native"},
		{"shadow", "--events.productView.mode=shadow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := start(t, api.URL(), c.flag)
			session := "s-" + c.name
			ask := productView(session, "p1", own)
			want(t, "the first view", s.ask(ask), "native", "holdout", ownList())
			s.settled(1)
			want(t, "the second view", s.ask(ask), "native", "holdout", ownList())
			s.settled(2)
			if got := items(api.API, session); len(got) != 2 {
				t.Errorf("got %d events at the API, want both", len(got))
			}
			compared := 0.0
			if c.name == "shadow" {
				compared = 1 // the second, when the API's ranking was known
			}
			if got := s.metrics()[`vitrine_shadow_overlap_ratio_count{event="productView"}`]; got != compared {
				t.Errorf("got %v comparisons, want %v", got, compared)
			}
			if _, body := s.call(http.MethodGet, s.admin+"/outbox", ""); !strings.Contains(body, `"dead":[]`) && !strings.Contains(body, `"dead": []`) {
				t.Errorf("got %s, want an empty list of dead letters", body)
			}
		})
	}
}

// Stock pushed to one pod while lists are cached is in no later answer of any.
func TestE2EStockAcrossPods(t *testing.T) {
	t.Parallel()
	api, shop, server := newAPI(t), newShop(t), redistest.Start(t)
	flags := append(platformOf(shop), "--redis.url="+server.URL(), "--catalog.url="+shop.URL()+"/feed.tsv", "--cache.fresh_events=0")
	here, there := start(t, api.URL(), flags...), start(t, api.URL(), flags...)
	ask := func(s *sidecar, session string) []string { return s.ask(productView(session, "p1")).products }
	for i, s := range []*sidecar{here, there} {
		session := fmt.Sprint("s", i)
		eventually(t, "the list is cached and the feed is read", func() bool {
			ask(s, session)
			return s.log.find("read the product feed") != nil && s.ask(productView(session, "p1")).source == "cache"
		})
	}
	gone := ask(here, "s0")[0]
	if status, body := here.call(http.MethodPost, here.data+"/v1/stock", `[{"id":"`+gone+`","quantity":0}]`); status != http.StatusNoContent {
		t.Fatalf("pushing: got %d %s", status, body)
	}
	if got := ask(here, "s0"); slices.Contains(got, gone) {
		t.Errorf("got the sold-out %s in the very next answer: %q", gone, got)
	}
	eventually(t, "the other pod leaves it out of the same shopper's list", func() bool {
		return !slices.Contains(ask(there, "s0"), gone)
	})
	server.Kill() // a push holds where it arrives, be Redis there or not
	next := ask(here, "s0")[0]
	if status, body := here.call(http.MethodPost, here.data+"/v1/stock", `[{"id":"`+next+`","quantity":0}]`); status != http.StatusNoContent {
		t.Errorf("pushing without Redis: got %d %s", status, body)
	}
	if got := ask(here, "s0"); slices.Contains(got, next) {
		t.Errorf("got the sold-out %s without Redis: %q", next, got)
	}
}
