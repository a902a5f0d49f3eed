package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

// own is a request's own native ordering.
const own = `"vitrine":{"native":["n1","n2"]}`

func ownList() []string { return []string{"n1", "n2"} }

// gate is an API that holds every call back until it is opened.
type gate struct {
	*fakeapi.API
	URL  string
	open func()
}

func newGate(t *testing.T) *gate {
	t.Helper()
	api, err := fakeapi.New(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	held := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-held
		api.ServeHTTP(w, r)
	}))
	g := &gate{API: api, URL: server.URL, open: sync.OnceFunc(func() { close(held) })}
	t.Cleanup(func() {
		g.open()
		server.Close()
	})
	return g
}

// together asks all questions at the same time and returns the answers in their order.
func together(t *testing.T, s *sidecar, questions []string, meanwhile func()) []answer {
	t.Helper()
	answers, errs := make([]answer, len(questions)), make([]error, len(questions))
	var all sync.WaitGroup
	for i, q := range questions {
		all.Go(func() { answers[i], errs[i] = s.try(q) })
	}
	meanwhile()
	all.Wait()
	for i, err := range errs {
		if err != nil {
			t.Fatalf("asking %s: %v", questions[i], err)
		}
	}
	return answers
}

// accepted waits until the sidecar has accepted n events.
func (s *sidecar) accepted(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprint(n, " events are accepted"), func() bool {
		return int(s.metrics()["vitrine_events_accepted_total"]) == n
	})
}

func TestE2EErrorsServeStaleElseNative(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL(), "--events.productView.cache.fresh=1ms")
	ranking := api.Ranking("s1", "", fakeapi.ProductView, "p1")
	want(t, "a miss", s.ask(productView("s1", "p1")), "api", "", ranking)
	s.settled(1)
	pass()
	sick(t, api, fakeapi.Fault{Status: http.StatusServiceUnavailable})
	stale := s.ask(productView("s1", "p1", own))
	want(t, "what was ranked before", stale, "stale", "http-503", ranking)
	if got := stale.header.Get("Cache-Status"); !strings.HasPrefix(got, "vitrine; hit; ttl=-") || !strings.HasSuffix(got, "; detail=stale") {
		t.Errorf("got Cache-Status %q of a stale answer", got)
	}
	if stale.header.Get("Age") == "" {
		t.Error("got no Age of a stale answer")
	}
	want(t, "what never was", s.ask(productView("s2", "p1", own)), "native", "http-503", ownList())
	want(t, "with nothing to show", s.ask(productView("s3", "p1")), "none", "http-503", []string{})

	// A 503 settles nothing.
	api.Clear()
	s.settled(4)
	for session, want := range map[string]int{"s1": 2, "s2": 1, "s3": 1} {
		if got := answeredWell(api.API, session); got != want {
			t.Errorf("%s: got %d events answered well, want %d", session, got, want)
		}
	}
}

// answeredWell counts a session's events that the API has answered with a list.
func answeredWell(api *fakeapi.API, session string) (n int) {
	for _, e := range api.Ledger() {
		if e.Session == session && e.Status == http.StatusOK {
			n++
		}
	}
	return n
}

func TestE2ELateAnswersAreThereNextTime(t *testing.T) {
	t.Parallel()
	api := newGate(t)
	s := start(t, api.URL)
	hurried := `"vitrine":{"native":["n1","n2"],"budgetMs":30}`
	want(t, "a hanging API", s.ask(productView("s1", "p1", hurried)), "native", "timeout", ownList())
	api.open()
	s.settled(1)
	want(t, "next time", s.ask(productView("s1", "p1", hurried)), "cache", "", api.Ranking("s1", "", fakeapi.ProductView, "p1"))
}

// A request may ask for more time, but for no more than five times the usual.
func TestE2EBudgetIsClamped(t *testing.T) {
	t.Parallel()
	api := newGate(t)
	s := start(t, api.URL, "--budget=20ms", "--events.shopTheLook.budget=30ms")
	for _, q := range []string{
		productView("s1", "p1", `"vitrine":{"budgetMs":600000,"native":["n1","n2"]}`),
		productView("s2", "p1", own),
		question(fakeapi.ShopTheLook, "s3", "p1", own),
	} {
		began := time.Now()
		want(t, q, s.ask(q), "native", "timeout", ownList())
		if took := time.Since(began); took > atOnce {
			t.Errorf("%s: got the answer after %v, want it at the end of a budget of at most 150 ms", q, took)
		}
	}
}

func TestE2EBadAnswersAreNotKept(t *testing.T) {
	t.Parallel()
	for _, answer := range []fakeapi.Answer{
		fakeapi.Null, fakeapi.EmptyObject, fakeapi.WrongTypes, fakeapi.Truncated, fakeapi.HTML,
	} {
		t.Run(string(answer), func(t *testing.T) {
			t.Parallel()
			api := newAPI(t)
			s := start(t, api.URL())
			sick(t, api, fakeapi.Fault{Answer: answer})
			want(t, "a bad answer", s.ask(productView("s1", "p1", own)), "native", "bad-answer", ownList())
			s.settled(1) // it has the event: what it answers does not change that
			api.Clear()
			want(t, "a good one", s.ask(productView("s1", "p1", own)), "api", "", api.Ranking("s1", "", fakeapi.ProductView, "p1"))
			s.settled(2)
		})
	}
}

func TestE2EListsAreClean(t *testing.T) {
	t.Parallel()
	for _, eventType := range []string{fakeapi.ProductView, fakeapi.ShopTheLook} {
		api := newAPI(t)
		s := start(t, api.URL())
		sick(t, api, fakeapi.Fault{Answer: fakeapi.Dirty})
		for _, source := range []string{"api", "cache"} {
			got := s.ask(question(eventType, "s1", "p1"))
			var known []string
			for i, id := range got.products {
				if id == "p1" || slices.Contains(got.products[:i], id) {
					t.Errorf("%s: got %s among %q, want neither the viewed item nor anything twice", eventType, id, got.products)
				}
				if slices.Contains(api.Rankings().Catalogue.IDs(), id) {
					known = append(known, id)
				}
			}
			if want := api.Ranking("s1", "", eventType, "p1"); got.source != source || !slices.Equal(known, want) {
				t.Errorf("%s: got %v, want (%s) %q in this order", eventType, got, source, want)
			}
		}
	}
}

func TestE2EBreakerOpensAndRecovers(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	if err := api.Stop(); err != nil {
		t.Fatal(err)
	}
	asked := 0
	eventually(t, "the breaker is open", func() bool {
		asked++
		got := s.ask(productView(fmt.Sprint("s", asked), "p1", own))
		if got.reason != "unreachable" && got.reason != "open" || got.source != "native" {
			t.Fatalf("got %v, want native (unreachable), then native (open)", got)
		}
		return got.reason == "open"
	})
	began := time.Now()
	asked++
	want(t, "while it is open", s.ask(productView(fmt.Sprint("s", asked), "p1", own)), "native", "open", ownList())
	t.Logf("answered in %v while the breaker is open", time.Since(began))
	if got := s.metrics()[`vitrine_breaker_state{name="recommendation"}`]; got == 0 {
		t.Error("got a closed breaker in the metrics, want it open")
	}
	if status, body := s.call(http.MethodGet, s.probes+"/readyz", ""); status != http.StatusServiceUnavailable {
		t.Errorf("got /readyz %d %s, want 503: the API is away", status, body)
	}

	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	s.settled(asked)
	for i := range asked {
		if got := items(api.API, fmt.Sprint("s", i+1)); !slices.Equal(got, []string{"p1"}) {
			t.Errorf("s%d: got %q at the API, want its event once", i+1, got)
		}
	}
	eventually(t, "the breaker is closed", func() bool {
		return s.metrics()[`vitrine_breaker_state{name="recommendation"}`] == 0
	})
	want(t, "after the outage", s.ask(productView("new", "p1", own)), "api", "", api.Ranking("new", "", fakeapi.ProductView, "p1"))
}

func TestE2ERateLimitIsHeeded(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	sick(t, api, fakeapi.Fault{Status: http.StatusTooManyRequests, RetryAfter: "1"})
	want(t, "a 429", s.ask(productView("s1", "p1", own)), "native", "rate-limited", ownList())
	api.Clear()
	want(t, "meanwhile", s.ask(productView("s2", "p1", own)), "native", "rate-limited", ownList())
	s.settled(2)
	ledger := api.Ledger()
	if got := ledger[1].At.Sub(ledger[0].Settled); got < time.Second-time.Millisecond {
		t.Errorf("got the next call %v after the 429, want a second at least", got)
	}
	if len(ledger) != 3 {
		t.Errorf("got %d calls, want 3: a 429 and the two events", len(ledger))
	}
}

func TestE2EOneAnswerServesAllWhoAskTheSame(t *testing.T) {
	t.Parallel()
	api := newGate(t)
	s := start(t, api.URL)
	questions := slices.Repeat([]string{productView("s1", "p1")}, 10)
	answers := together(t, s, questions, func() {
		s.accepted(len(questions))
		api.open()
	})
	first := 0
	for _, a := range answers {
		want(t, "one of ten", a, "api", "", api.Ranking("s1", "", fakeapi.ProductView, "p1"))
		switch status := a.header.Get("Cache-Status"); status {
		case "vitrine; fwd=miss; collapsed":
		case "vitrine; fwd=miss; fwd-status=200; stored":
			first++
		case "vitrine; fwd=miss; fwd-status=200": // one of the other calls started later, and was stored first
			first++
		default:
			t.Errorf("got Cache-Status %q", status)
		}
	}
	if first != 1 {
		t.Errorf("got %d answers to their own event, want 1", first)
	}
	s.settled(len(questions))
	if got := len(items(api.API, "s1")); got != len(questions) {
		t.Errorf("got %d events at the API, want every one of %d", got, len(questions))
	}
}

func TestE2EOverload(t *testing.T) {
	t.Parallel()
	api := newGate(t)
	s := start(t, api.URL, "--upstream.max_in_flight=1")
	questions := []string{productView("s1", "p1"), productView("s2", "p1")}
	answers := make([]answer, len(questions))
	var waiting sync.WaitGroup
	for i, q := range questions {
		waiting.Go(func() { answers[i], _ = s.try(q) })
		eventually(t, "one call is under way, and the other event waits", func() bool {
			now := s.outboxState()
			return now.InFlight == 1 && now.Waiting == i
		})
	}
	for _, session := range []string{"s3", "s4"} {
		want(t, "one too many", s.ask(productView(session, "p1", own)), "native", "overload", ownList())
	}
	api.open()
	waiting.Wait()
	for i, a := range answers {
		want(t, questions[i], a, "api", "", api.Ranking(fmt.Sprint("s", i+1), "", fakeapi.ProductView, "p1"))
	}
	s.settled(4)
	if got := api.Stats().MaxInFlight; got != 1 {
		t.Errorf("got %d calls at once, want 1", got)
	}
}
