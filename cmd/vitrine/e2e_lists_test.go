package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

const (
	similarPath    = "/api/v1/products/protected/similar"
	salesPath      = "/api/v1/products/protected/sales-ranking"
	searchPath     = "/api/v1/products/protected/search"
	collectionPath = "/api/v1/merchandising-collections/protected/"
)

// allLists turns every list on.
func allLists(more ...string) []string {
	return append([]string{
		"--lists.similar.enabled=true", "--lists.sales_ranking.enabled=true", "--lists.collections.enabled=true", "--lists.search.enabled=true",
	}, more...)
}

// list asks for a list and checks status and source. It returns the body.
func (s *sidecar) list(method, path, body string, status int, source string) string {
	s.t.Helper()
	got, header, text, err := s.send(s.data+path, method, body)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != status || header.Get("Vitrine-Source") != source || header.Get("Cache-Control") != "private, no-store" {
		s.t.Errorf("%s %s: got %d %q %s, want %d %q", method, path, got, header.Get("Vitrine-Source"), text, status, source)
	}
	if want := map[bool]string{true: "application/problem+json", false: "application/json"}[source == ""]; header.Get("Content-Type") != want {
		s.t.Errorf("%s %s: got %s, want %s", method, path, header.Get("Content-Type"), want)
	}
	if status == http.StatusServiceUnavailable && header.Get("Retry-After") == "" {
		s.t.Errorf("%s %s: got no Retry-After", method, path)
	}
	return text
}

// Every list is served, shared by the pods unless it is a session's, stale in an outage,
// and none is an event.
func TestE2ELists(t *testing.T) {
	t.Parallel()
	if now := time.Now(); now.Truncate(time.Hour).Add(time.Hour).Sub(now) < patience {
		t.Skip("the stand-in's collections are about to end, and so not to be remembered")
	}
	api, redis := newAPI(t), redistest.Start(t)
	flags := append(allLists("--lists.search.fresh=10m"), withRedis(redis)...)
	one, two := start(t, api.URL(), flags...), start(t, api.URL(), flags...)
	catalogue := api.Rankings().Catalogue
	const similar = `{"userId":"ana-maria","sessionId":"sessao-1","data":{"id":"p1"}}`
	searching := searchPath + "?limit=3&query=" + url.QueryEscape(strings.ToLower(catalogue.Products[0].Title))
	for _, c := range []struct {
		method, path, body string
		shared             bool
	}{
		{http.MethodPost, similarPath + "?limit=7", similar, false},
		{http.MethodGet, salesPath, "", true},
		{http.MethodGet, salesPath + "?categoryId=c2", "", true},
		{http.MethodGet, collectionPath + "c1", "", true},
		{http.MethodPost, searching, "", true},
	} {
		first := one.list(c.method, c.path, c.body, 200, "api")
		if again := one.list(c.method, c.path, c.body, 200, "cache"); again != first {
			t.Errorf("%s: got %s, then %s", c.path, first, again)
		}
		if !c.shared {
			if got := two.list(c.method, c.path, c.body, 200, "api"); got != first {
				t.Errorf("%s: got %s from the other, want %s", c.path, got, first)
			}
			continue
		}
		eventually(t, "the other sidecar knows "+c.path, func() bool {
			_, header, got, err := two.send(two.data+c.path, c.method, c.body)
			return err == nil && got == first && header.Get("Vitrine-Source") == "cache"
		})
	}
	var best struct{ Products []string }
	if err := json.Unmarshal([]byte(one.list(http.MethodGet, salesPath, "", 200, "cache")), &best); err != nil ||
		!slices.Equal(best.Products, catalogue.BestSellers()[:100]) {
		t.Errorf("got %v %v, want the best sellers", best, err)
	}
	if body := one.list(http.MethodGet, collectionPath+"c1", "", 200, "cache"); strings.Contains(body, `"active":false`) ||
		strings.Count(body, `"active":true`) != 10 || !strings.Contains(body, `"endsAt"`) {
		t.Errorf("got %s, want the ten of twelve products that are active", body)
	}
	one.list(http.MethodGet, collectionPath+"none", "", 404, "api")
	one.list(http.MethodGet, collectionPath+"none", "", 404, "cache")
	for range 2 {
		one.list(http.MethodPost, searchPath+"?query=nada%20disso", "{}", 200, "api") // an empty one
	}
	one.list(http.MethodPost, similarPath, `{"data":{"id":"unknown"}}`, 404, "api")
	if got := api.Stats().Events; got != 0 {
		t.Errorf("got %d events of lists, want none", got)
	}

	erase := func() string {
		status, body := two.call(http.MethodDelete, two.admin+"/sessions/sessao-1", "")
		if status != http.StatusOK {
			t.Fatalf("erasing: got %d %s", status, body)
		}
		return strings.Join(strings.Fields(body), "")
	}
	if got, want := erase(), `{"rankings":0,"redis":false,"similar":1}`; got != want {
		t.Errorf("got %s erased, want %s", got, want)
	}
	eventually(t, "the other sidecar has erased the session", func() bool {
		_, header, _, err := one.send(one.data+similarPath+"?limit=7", http.MethodPost, similar)
		if err == nil && header.Get("Vitrine-Source") == "api" {
			return true
		}
		erase() // it may not have been listening
		return false
	})
	for _, s := range []*sidecar{one, two} {
		for _, secret := range []string{"ana-maria", "sessao-1", "nada", fakeapi.DefaultToken} {
			if strings.Contains(s.log.String(), secret) {
				t.Errorf("got %q in the log", secret)
			}
		}
	}
}

func TestE2EListsInAnOutage(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL(), allLists("--lists.sales_ranking.fresh=1ms")...)
	body := s.list(http.MethodGet, salesPath, "", 200, "api")
	pass()
	sick(t, api, fakeapi.Fault{Status: 503})
	if got := s.list(http.MethodGet, salesPath, "", 200, "stale"); got != body {
		t.Errorf("got %s, want %s", got, body)
	}
	s.list(http.MethodGet, salesPath+"?categoryId=c1", "", 503, "")
	if got := s.metrics()[`vitrine_lists_stale_total`]; got != 1 {
		t.Errorf("got %v stale lists counted, want 1", got)
	}
}

// A list is off until it is configured, and what cannot be a question is refused.
func TestE2EListsRefuse(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	off := start(t, api.URL(), "--lists.search.enabled=true")
	off.list(http.MethodPost, similarPath, `{"data":{"id":"p1"}}`, 404, "")
	off.list(http.MethodGet, salesPath, "", 404, "")
	off.list(http.MethodGet, collectionPath+"c1", "", 404, "")
	s := start(t, api.URL(), allLists()...)
	for _, c := range []struct {
		method, path, body string
		status             int
		member             string
	}{
		{http.MethodGet, similarPath, "", 405, "POST"},
		{http.MethodPost, salesPath, "{}", 405, "GET"},
		{http.MethodPost, similarPath + "?limit=1000", `{"data":{"id":"p1"}}`, 400, "limit"},
		{http.MethodPost, similarPath, `{"data":{}}`, 400, "data.id"},
		{http.MethodPost, searchPath + "?page=0", "", 400, "page"},
		{http.MethodPost, searchPath + "?query=" + strings.Repeat("a", 257), "", 400, "query"},
		{http.MethodGet, collectionPath + "..%2F..%2Fx", "", 400, "id"},
		{http.MethodGet, collectionPath + strings.Repeat("x", 257), "", 400, "id"},
		{http.MethodGet, collectionPath, "", 404, "path"},
	} {
		if got := s.list(c.method, c.path, c.body, c.status, ""); !strings.Contains(got, c.member) {
			t.Errorf("%s: got %s, want it to name %s", c.path, got, c.member)
		}
	}
	if got := api.Stats().Calls[fakeapi.Lists]; got != 0 {
		t.Errorf("got %d calls of the API, want none", got)
	}
}
