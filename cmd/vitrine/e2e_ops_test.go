package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"vitrine/bench/fakeapi"
)

// balanced fails the test if the events of one scrape do not add up.
func (s *sidecar) balanced(now map[string]float64) {
	s.t.Helper()
	sum := now["vitrine_events_pending"]
	for name, value := range now {
		switch {
		case strings.HasPrefix(name, "vitrine_events_dropped_total{"),
			name == "vitrine_events_delivered_total", name == "vitrine_events_expired_total",
			name == "vitrine_events_parked_total", name == "vitrine_events_deduplicated_total":
			sum += value
		}
	}
	if accepted := now["vitrine_events_accepted_total"]; accepted != sum {
		s.t.Errorf("got %v events accepted and %v accounted for", accepted, sum)
	}
}

// outboxState is what the admin listener says of the outbox.
type outboxState struct{ InFlight, Waiting, DeadLetters int }

func (s *sidecar) outboxState() (now outboxState) {
	s.t.Helper()
	_, body := s.call(http.MethodGet, s.admin+"/outbox", "")
	if err := json.Unmarshal([]byte(body), &now); err != nil {
		s.t.Fatalf("got %s: %v", body, err)
	}
	return now
}

func TestE2EMetrics(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL(), "--events.customShelf.duplicate_window=10m")
	first := s.metrics()
	for _, name := range []string{
		"vitrine_events_accepted_total", "vitrine_events_delivered_total", "vitrine_events_expired_total", "vitrine_events_parked_total",
		"vitrine_events_deduplicated_total", "vitrine_events_pending", "vitrine_cache_bytes", "vitrine_cache_entries",
		`vitrine_events_dropped_total{reason="full"}`, `vitrine_events_dropped_total{reason="dead-letter"}`, `vitrine_events_dropped_total{reason="disk"}`,
		`vitrine_events_retried_total{cause="unsent"}`, `vitrine_events_retried_total{cause="ambiguous"}`,
		`vitrine_events_retried_total{cause="http"}`, `vitrine_events_retried_total{cause="stale-connection"}`,
		`vitrine_upstream_requests_total{code="200"}`, `vitrine_upstream_requests_total{code="timeout"}`, `vitrine_upstream_requests_total{code="unreachable"}`,
		"vitrine_upstream_request_duration_seconds_count",
		`vitrine_breaker_state{name="recommendation"}`, `vitrine_breaker_state{name="platform"}`, `vitrine_breaker_state{name="redis"}`,
		`vitrine_breaker_state{name="profile"}`, `vitrine_breaker_transitions_total{name="recommendation"}`,
		`vitrine_requests_total{event="productView",reason="",source="api"}`, "go_goroutines", "process_start_time_seconds",
	} {
		if got, there := first[name]; !there || got != 0 && strings.HasPrefix(name, "vitrine_") {
			t.Errorf("at the start: got %s %v (there: %t), want 0", name, got, there)
		}
	}
	info := ""
	for name := range first {
		if strings.HasPrefix(name, "vitrine_build_info{") {
			info = name
		}
	}
	if info == "" || first[info] != 1 {
		t.Errorf("got vitrine_build_info %q, want it to be 1", info)
	}

	// Traffic of all sorts, scraped all the while.
	var shoppers sync.WaitGroup
	done := make(chan struct{})
	for shopper := range 4 {
		shoppers.Go(func() {
			for i := range 40 {
				_, err := s.try(productView(fmt.Sprint("s", shopper), fmt.Sprint("p", i%5)))
				if err == nil && i%4 == 0 {
					_, err = s.try(question(fakeapi.CustomShelf, fmt.Sprint("s", shopper), ""))
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	go func() { // ends with the shoppers
		defer close(done)
		shoppers.Wait()
	}()
	sick(t, api, fakeapi.Fault{Status: http.StatusServiceUnavailable, Share: 0.3})
	scrapes := 0
	for going := true; going; scrapes++ {
		select {
		case <-done:
			going = false
		default:
		}
		s.balanced(s.metrics())
	}
	api.Clear()
	s.settled(4*40 + 4)
	last := s.metrics()
	s.balanced(last)
	if got := last["vitrine_events_deduplicated_total"]; got != 4*9 {
		t.Errorf("got %v events deduplicated, want %d", got, 4*9)
	}
	calls := 0.0
	for name, value := range last {
		if strings.HasPrefix(name, "vitrine_events_retried_total") {
			calls += value
		}
	}
	if calls += 4*40 + 4; calls < float64(api.Stats().Events) {
		t.Errorf("got %d calls, want at most %v: every event once, and the retries counted", api.Stats().Events, calls)
	}
	t.Logf("%d scrapes", scrapes)
}

func TestE2EProbes(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	for _, path := range []string{"/startupz", "/livez", "/readyz", "/metrics"} {
		if status, body := s.call(http.MethodGet, s.probes+path, ""); status != http.StatusOK {
			t.Errorf("%s: got %d %s, want 200", path, status, body)
		}
		if status, _ := s.call(http.MethodPost, s.probes+path, ""); status != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: got %d, want 405", path, status)
		}
	}
	if status, _ := s.call(http.MethodGet, s.probes+"/", ""); status != http.StatusNotFound {
		t.Errorf("got %d where there is nothing, want 404", status)
	}
	s.untouched(api.API) // the self-call is no event
	for name, value := range s.metrics() {
		if strings.HasPrefix(name, "vitrine_requests_total{") && value != 0 {
			t.Errorf("got %s %v, want the self-call not to be counted", name, value)
		}
	}
}

func TestE2EBreakerOverride(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	override := func(name, body string) int {
		t.Helper()
		status, _ := s.call(http.MethodPost, s.admin+"/breaker/"+name, body)
		return status
	}
	for _, c := range []struct {
		name, body string
		status     int
	}{
		{"nope", `{"state":"open"}`, http.StatusNotFound},
		{"recommendation", `{"state":"ajar"}`, http.StatusBadRequest},
		{"recommendation", `{}`, http.StatusBadRequest},
		{"recommendation", `{"state":"open","for":"-1s"}`, http.StatusBadRequest},
		{"platform", `{"state":"open","for":"1s"}`, http.StatusOK},
		{"redis", `{"state":"auto"}`, http.StatusOK},
		{"profile", `{"state":"closed"}`, http.StatusOK},
		{"recommendation", `{"state":"open","for":"10m"}`, http.StatusOK},
	} {
		if got := override(c.name, c.body); got != c.status {
			t.Errorf("%s %s: got %d, want %d", c.name, c.body, got, c.status)
		}
	}
	want(t, "set open", s.ask(productView("s1", "p1", own)), "native", "open", ownList())
	if got := s.metrics()["vitrine_events_pending"]; got != 1 {
		t.Errorf("got %v events pending, want 1", got)
	}
	if got := len(api.Ledger()); got != 0 {
		t.Errorf("got %d events at the API while an operator has set its breaker open, want none", got)
	}
	if got := override("recommendation", `{"state":"auto"}`); got != http.StatusOK {
		t.Errorf("back to auto: got %d, want 200", got)
	}
	s.settled(1)
	want(t, "on its own again", s.ask(productView("s2", "p1")), "api", "", api.Ranking("s2", "", fakeapi.ProductView, "p1"))
}

// A web page that an operator looks at must not change anything.
func TestE2EAdminKeepsWebPagesOut(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	s.ask(productView("s1", "p1"))
	host := strings.TrimPrefix(s.admin, "http://")
	for _, c := range []struct {
		line, header string
		status       int
	}{
		{"DELETE /sessions/s1", "Origin: https://evil.example", http.StatusForbidden},
		{"DELETE /sessions/s1", "Origin: null", http.StatusForbidden},
		{"DELETE /sessions/s1", "Sec-Fetch-Site: cross-site", http.StatusForbidden},
		{"POST /breaker/recommendation", "Origin: http://localhost:1", http.StatusForbidden},
		{"POST /outbox/redrive", "Origin: https://evil.example", http.StatusForbidden},
		{"GET /breaker/recommendation", "X: y", http.StatusMethodNotAllowed},
		{"GET /sessions/s1", "X: y", http.StatusMethodNotAllowed},
		{"GET /status.json", "X: y", http.StatusOK},
		{"GET /outbox", "X: y", http.StatusOK},
		{"GET /", "X: y", http.StatusOK},
		{"GET /debug/pprof/", "X: y", http.StatusOK},
		{"GET /nothing", "X: y", http.StatusNotFound},
	} {
		resp, body := exchange(t, host, raw(c.line+" HTTP/1.1", "", "Host: "+host, c.header))
		if resp.StatusCode != c.status {
			t.Errorf("%s with %s: got %d %s, want %d", c.line, c.header, resp.StatusCode, body, c.status)
		}
	}
	if resp, _ := exchange(t, host, raw("GET /status.json HTTP/1.1", "", "Host: evil.example")); resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %d for a foreign Host, want 403", resp.StatusCode)
	}
	if got := s.ask(productView("s1", "p1")); got.source != "cache" {
		t.Errorf("got %v, want nothing erased", got)
	}
}

// What the API rejects is kept for an operator to see and to send again.
func TestE2EDeadLetters(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	sick(t, api, fakeapi.Fault{Status: http.StatusUnprocessableEntity})
	want(t, "a rejected event", s.ask(productView("s1", "p1", own)), "native", "http-422", ownList())
	if got := s.outboxState().DeadLetters; got != 1 {
		t.Errorf("got %d dead letters, want 1", got)
	}
	api.Clear()
	if status, body := s.call(http.MethodPost, s.admin+"/outbox/redrive", ""); status != http.StatusOK || !strings.Contains(body, "1") {
		t.Errorf("redrive: got %d %s, want 200 and one event", status, body)
	}
	s.settled(1)
	if got := s.outboxState().DeadLetters; got != 0 {
		t.Errorf("got %d dead letters after the redrive, want none", got)
	}
	s.balanced(s.metrics())
}

// The catalogue does not know the product of our own call, which it therefore
// takes out of the answer.
func TestE2ELivezWithACatalogue(t *testing.T) {
	t.Parallel()
	feed := filepath.Join(t.TempDir(), "feed.csv")
	if err := os.WriteFile(feed, []byte("id,quantity\np1,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, newAPI(t).URL(), "--catalog.file="+feed)
	eventually(t, "the feed is read", func() bool {
		a := s.ask(`{"sessionId":"s","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true,"native":["unknown","p1"]}}`)
		return slices.Equal(a.products, []string{"p1"})
	})
	if status, body := s.call("GET", s.probes+"/livez", ""); status != 200 {
		t.Errorf("got %d %q from /livez, want 200", status, body)
	}
}

// A token that the API refuses opens no breaker, so the log and the status say it.
func TestE2ETokenRefused(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL(), "--upstream.token=another")
	s.ask(productView("s1", "a"))
	eventually(t, "the refusal is logged", func() bool { return s.log.find("the API refuses the token") != nil })
	if _, status := s.call(http.MethodGet, s.admin+"/status.json", ""); !strings.Contains(status, "the API has refused the token") {
		t.Errorf("got %s, want a verdict that names the token", status)
	}
}
