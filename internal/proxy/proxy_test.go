package proxy_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/proxy"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// api answers every event after took, with one product that says whose answer it is.
type api struct {
	mu    sync.Mutex
	took  time.Duration
	items []string // of the events posted
}

func (a *api) Recommend(c fashionai.Call) fashionai.Outcome {
	e, err := reco.ParseEvent(c.Body)
	if err != nil {
		panic(err)
	}
	a.mu.Lock()
	a.items = append(a.items, e.Item)
	took := a.took
	a.mu.Unlock()
	c.Sent()
	time.Sleep(took)
	return fashionai.Outcome{
		Result:  fashionai.Result{Class: fashionai.OK, Status: 200, Sent: true, Took: took},
		Ranking: reco.NewRanking([]string{"r-" + e.Session + "-" + e.Item}),
	}
}

func (a *api) posted() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.items...)
}

// rankings is a cache whose two look-ups can be replaced.
type rankings struct {
	*cache.Cache
	peek   func(reco.Event) cache.Found
	lookup func(reco.Event, time.Time) cache.Found
}

func (r *rankings) Peek(e reco.Event, now time.Time) cache.Found {
	if r.peek != nil {
		return r.peek(e)
	}
	return r.Cache.Peek(e, now)
}

func (r *rankings) Lookup(e reco.Event, deadline time.Time, under *trace.Span) cache.Found {
	if r.lookup != nil {
		return r.lookup(e, deadline)
	}
	return r.Cache.Lookup(e, deadline, under)
}

// observed is what the proxy said of an answered event.
type observed struct {
	event  reco.EventType
	source reco.Source
	reason reco.Reason
	took   time.Duration
}

// rig is a Proxy, what it stands on, and what it was seen doing.
type rig struct {
	*proxy.Proxy
	api      *api
	rankings *rankings
	delivery *delivery.Delivery

	mu   sync.Mutex
	seen []observed
}

const budget = 300 * time.Millisecond

// newRig makes a Proxy whose delivery runs until the test ends.
func newRig(t testing.TB, change ...func(*rig, *proxy.Options)) *rig {
	t.Helper()
	r := &rig{api: &api{took: 20 * time.Millisecond}, rankings: &rankings{}}
	fatal := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	c := cache.Options{Memory: 1 << 20}
	o := proxy.Options{Log: log, PageBudget: budget, Observe: r.observe, Rankings: r.rankings}
	for _, t := range reco.EventTypes {
		c.Policies[t] = cache.Policy{Fresh: time.Minute, Stale: time.Hour, Empty: time.Second, FreshEvents: 3}
		o.Budgets[t] = budget
	}
	var err error
	r.rankings.Cache, err = cache.New(c)
	fatal(err)
	b, err := breaker.New(breaker.Defaults("recommendation"))
	fatal(err)
	r.delivery, err = delivery.New(delivery.Options{
		API: r.api, Breaker: b, Rankings: r.rankings.Cache, Log: log,
		MaxInFlight: 8, Timeout: 10 * time.Second, MaxAge: time.Hour, MaxMemory: 1 << 20,
	})
	fatal(err)
	ladder, err := fallback.NewLadder(fallback.LadderOptions{Rankings: r.rankings})
	fatal(err)
	o.Delivery, o.Ladder = r.delivery, ladder
	for _, f := range change {
		f(r, &o)
	}
	r.Proxy, err = proxy.New(o)
	fatal(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { fatal(r.delivery.Run(ctx)) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return r
}

func (r *rig) observe(t reco.EventType, a *reco.Answer, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = append(r.seen, observed{t, a.Source, a.Reason, took})
}

// reply is what came back.
type reply struct {
	status int
	body   string
	header func(name string) string
}

func (r reply) source() string { return r.header("Vitrine-Source") + " " + r.header("Vitrine-Reason") }

const pathRecommendation = "/api/v1/products/protected/recommendation"

// ask posts a question as the shop app does.
func (r *rig) ask(body string) reply { return r.send("POST", pathRecommendation, body) }

func (r *rig) send(method, path, body string, headers ...string) reply {
	var req fasthttp.Request
	req.Header.SetMethod(method)
	req.SetRequestURI(path)
	req.Header.SetHost("localhost")
	req.Header.SetContentType("application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.SetBodyString(body)
	rc := new(fasthttp.RequestCtx)
	rc.Init(&req, nil, nil)
	r.Handler()(rc)
	resp := &rc.Response
	return reply{resp.StatusCode(), string(resp.Body()), func(name string) string { return string(resp.Header.Peek(name)) }}
}

// problem fails the test unless the reply is a refusal of that status, and returns its detail.
func (r reply) problem(t *testing.T, status int) string {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("got %d %q: %v", r.status, r.body, err)
	}
	if r.status != status || p.Status != status || p.Type == "" || p.Title == "" || p.Detail == "" ||
		r.header("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %q, want a problem of status %d", r.status, r.body, status)
	}
	return p.Detail
}

const (
	first  = `{"sessionId":"s","eventType":"productView","data":{"id":"a"}}`
	native = `{"sessionId":"s","eventType":"productView","data":{"id":"a"},"vitrine":{"native":["n2","n1"]}}`
)

func TestNewReportsAllThatIsMissing(t *testing.T) {
	_, err := proxy.New(proxy.Options{})
	if err == nil {
		t.Fatal("got a Proxy of nothing, want an error")
	}
	for _, want := range []string{"Rankings", "productView", "customShelf", "PageBudget"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %s in it", err, want)
		}
	}
}

// A slow look-up must not turn the API's answer to this very event into a hit.
func TestTheVeryEventsAnswerIsTheAPIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.rankings.lookup = func(e reco.Event, deadline time.Time) cache.Found {
			time.Sleep(50 * time.Millisecond) // the API has answered meanwhile
			return r.rankings.Cache.Lookup(e, deadline, nil)
		}
		got := r.ask(first)
		if got.source() != "api " || got.header("Cache-Status") != "vitrine; fwd=miss; fwd-status=200; stored" {
			t.Errorf("got %s, %s, want the API's answer", got.source(), got.header("Cache-Status"))
		}
	})
}

func TestBudgets(t *testing.T) {
	for what, c := range map[string]struct {
		body string
		want time.Duration
	}{
		"the configured one": {`{"sessionId":"s","eventType":"productView","data":{"id":"a"}}`, 300 * time.Millisecond},
		"of the event type":  {`{"sessionId":"s","eventType":"shopTheLook","data":{"id":"a"}}`, 100 * time.Millisecond},
		"a shorter one":      {`{"sessionId":"s","eventType":"productView","data":{"id":"a"},"vitrine":{"budgetMs":7}}`, 7 * time.Millisecond},
		"a longer one":       {`{"sessionId":"s","eventType":"productView","data":{"id":"a"},"vitrine":{"budgetMs":900}}`, 900 * time.Millisecond},
		"too long a one":     {`{"sessionId":"s","eventType":"shopTheLook","data":{"id":"a"},"vitrine":{"budgetMs":60000}}`, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, func(r *rig, o *proxy.Options) {
				r.api.took = 5 * time.Second
				o.Budgets[reco.ShopTheLook] = 100 * time.Millisecond
			})
			began := time.Now()
			got := r.ask(c.body)
			if took := time.Since(began); took != c.want || got.source() != "none timeout" {
				t.Errorf("%s: got %s after %v, want a timeout after %v", what, got.source(), took, c.want)
			}
			if r.seen[0].took != c.want || r.seen[0].reason != reco.Timeout {
				t.Errorf("%s: got %+v observed", what, r.seen)
			}
			time.Sleep(5 * time.Second)
			synctest.Wait()
			if got := r.ask(c.body); got.source() != "cache " {
				t.Errorf("%s: next time got %s, want the late ranking", what, got.source())
			}
		})
	}
}

func TestAPanicStillAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.rankings.lookup = func(reco.Event, time.Time) cache.Found { panic("a bug") }
		got := r.ask(native)
		if got.status != 200 || got.source() != "native unreachable" || got.body != `{"products":["n2","n1"]}` {
			t.Errorf("got %d %s %s, want the request's own list", got.status, got.source(), got.body)
		}
		if got := r.ask(first); got.status != 200 || got.source() != "none unreachable" || got.body != `{"products":[]}` {
			t.Errorf("got %d %s %s, want an empty list", got.status, got.source(), got.body)
		}
		synctest.Wait()
		time.Sleep(time.Second)
		if got := r.api.posted(); len(got) != 2 {
			t.Errorf("got %q posted, want both events: they were accepted", got)
		}
		r.rankings.peek = func(reco.Event) cache.Found { panic("another bug") }
		if got := r.ask(native); got.status != 200 || got.source() != "native unreachable" {
			t.Errorf("got %d %s without an event, want the request's own list", got.status, got.source())
		}
		if got := r.Stats().Panics; got != 4 {
			t.Errorf("got %d panics counted, want 4: one for each of the first two requests, two for the last", got)
		}
	})
}
