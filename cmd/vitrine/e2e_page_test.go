package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/internal/journal"
)

type shelf struct {
	Products []string
	Source   string
	Reason   string
	Event    string
	Age      *int
}

// page asks for several shelves at once.
func (s *sidecar) page(members string, events ...string) (int, []shelf, string) {
	s.t.Helper()
	status, body := s.call(http.MethodPost, s.data+"/v1/page", `{"events":[`+strings.Join(events, ",")+`]`+members+`}`)
	var page struct{ Results []shelf }
	if err := json.Unmarshal([]byte(body), &page); err != nil {
		s.t.Fatalf("a page: got %q: %v", body, err)
	}
	return status, page.Results, body
}

func TestE2EPage(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	s.ask(productView("s1", "p1"))
	_, results, body := s.page("",
		productView("s1", "p1"),
		question(fakeapi.CustomShelf, "s1", ""),
		productView("s1", "p3", `"vitrine":{"bot":true,"native":["n1","n2"]}`),
		question(fakeapi.CategoryView, "s1", "c1", `"vitrine":{"limit":2}`))
	wanted := []shelf{
		{Products: api.Ranking("s1", "", fakeapi.ProductView, "p1"), Source: "cache"},
		{Products: api.Ranking("s1", "", fakeapi.CustomShelf, ""), Source: "api"},
		{Products: ownList(), Source: "native", Reason: "bot"},
		{Products: api.Ranking("s1", "", fakeapi.CategoryView, "c1")[:2], Source: "api"},
	}
	if len(results) != len(wanted) {
		t.Fatalf("got %s, want %d results", body, len(wanted))
	}
	for i, want := range wanted {
		got := results[i]
		if !slices.Equal(got.Products, want.Products) || got.Source != want.Source || got.Reason != want.Reason {
			t.Errorf("shelf %d: got %+v, want %+v", i, got, want)
		}
		if hit := want.Source == "cache"; (got.Age != nil) != hit {
			t.Errorf("shelf %d: got an age %t, want %t", i, got.Age != nil, hit)
		}
		if bot := want.Reason == "bot"; uuidV7.MatchString(got.Event) == bot {
			t.Errorf("shelf %d: got event %q", i, got.Event)
		}
	}
	s.settled(4)
	if got := slices.Sorted(slices.Values(items(api.API, "s1"))); !slices.Equal(got, []string{"", "c1", "p1", "p1"}) {
		t.Errorf("got %q at the API, want every event but the bot's", got)
	}
}

func TestE2EPageBudget(t *testing.T) {
	t.Parallel()
	api := newGate(t)
	s := start(t, api.URL)
	_, results, body := s.page(`,"budgetMs":30`, productView("s1", "p1", own), productView("s2", "p1", `"vitrine":{"budgetMs":60000}`))
	if len(results) != 2 || results[0].Reason != "timeout" || results[1].Reason != "timeout" {
		t.Errorf("got %s, want both shelves timed out", body)
	}
	// An event's own budget only shortens its wait.
	_, results, body = s.page("", productView("s3", "p1", `"vitrine":{"budgetMs":30}`))
	if len(results) != 1 || results[0].Reason != "timeout" {
		t.Errorf("got %s, want the shelf timed out", body)
	}
}

// One bad event refuses its whole page, and nothing of it is sent or journalled.
func TestE2EBadPages(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	good := productView("s1", "p1")
	for _, c := range []struct{ body, detail string }{
		{`{"events":[` + good + `,` + good + `,{"sessionId":"s1","eventType":"productView","data":{"id":""}}]}`, "events[2].data.id"},
		{`{"events":[` + good + `,{"sessionId":"","eventType":"productView","data":{"id":"p1"}}]}`, "events[1].sessionId"},
		{`{"events":[` + good + `,{"sessionId":"s","eventType":"productView","data":{"id":"p1"},"vitrine":{"limit":0}}]}`, "events[1].vitrine.limit"},
		{`{"events":[` + good + `,null]}`, "events[1]"},
		{`{"events":[` + strings.Repeat(good+",", 8) + good + `]}`, "8"},
		{`{"events":[]}`, "events"},
		{`{"events":{}}`, "events"},
		{`{}`, "events"},
		{`{"budgetMs":0,"events":[` + good + `]}`, "budgetMs"},
		{`{"budgetMs":"1","events":[` + good + `]}`, "budgetMs"},
		{`[` + good + `]`, "object"},
	} {
		status, body := s.call(http.MethodPost, s.data+"/v1/page", c.body)
		if status != http.StatusBadRequest || !strings.Contains(body, c.detail) {
			t.Errorf("%s: got %d %s, want 400 naming %q", c.body, status, body, c.detail)
		}
	}
	s.untouched(api.API)
}

// untouched fails the test if anything was accepted, journalled or sent.
func (s *sidecar) untouched(api *fakeapi.API) {
	s.t.Helper()
	now := s.metrics()
	for _, name := range []string{"vitrine_events_accepted_total", "vitrine_events_pending"} {
		if got := now[name]; got != 0 {
			s.t.Errorf("got %s %v, want 0", name, got)
		}
	}
	if got := api.Stats(); got.Events != 0 || got.Unread != 0 || len(got.Calls) != 0 {
		s.t.Errorf("got %+v at the API, want nothing", got)
	}
	report, err := journal.Inspect(s.outbox)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, segment := range report.Segments {
		if segment.Records != 0 {
			s.t.Errorf("got %s in the journal, want no record", fmt.Sprint(segment))
		}
	}
}
