//go:build !race

package proxy_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/proxy"
	"vitrine/internal/reco"
)

// silent is an API that is never called: nothing runs the delivery here.
type silent struct{}

func (silent) Recommend(fashionai.Call) fashionai.Outcome { panic("called") }

const hit = `{"userId":"90","sessionId":"sess456","eventType":"productView","data":{"id":"id789"}}`

// hitter returns the whole handler with one question's answer in memory and the
// events going to a real journal, and a request for it.
func hitter(tb testing.TB) (fasthttp.RequestHandler, *fasthttp.RequestCtx) {
	tb.Helper()
	fatal := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	b, err := breaker.New(breaker.Defaults("recommendation"))
	fatal(err)
	o := cache.Options{Memory: 64 << 20}
	for _, t := range reco.EventTypes {
		o.Policies[t] = cache.Policy{Fresh: time.Hour, Stale: time.Hour, Empty: time.Second, FreshEvents: 3}
	}
	memory, err := cache.New(o)
	fatal(err)
	disk, err := journal.Open(journal.Options{Dir: tb.TempDir(), MaxBytes: 4 << 30}) // room for a benchmark's backlog
	fatal(err)
	ctx, stop := context.WithCancel(context.WithoutCancel(tb.Context()))
	var running sync.WaitGroup
	running.Go(func() { fatal(disk.Run(ctx)) })
	tb.Cleanup(func() {
		stop()
		running.Wait()
		fatal(disk.Close())
	})
	d, err := delivery.New(delivery.Options{
		API: silent{}, Breaker: b, Rankings: memory, Journal: disk, Log: log,
		MaxInFlight: 64, Timeout: time.Second, MaxAge: time.Hour, MaxMemory: 1 << 20,
	})
	fatal(err)
	ladder, err := fallback.NewLadder(fallback.LadderOptions{Rankings: memory})
	fatal(err)
	po := proxy.Options{
		Rankings: memory, Delivery: d, Ladder: ladder, Log: log, PageBudget: time.Second,
		Observe: func(reco.EventType, *reco.Answer, time.Duration) {},
	}
	for _, t := range reco.EventTypes {
		po.Budgets[t] = time.Second
	}
	p, err := proxy.New(po)
	fatal(err)

	e := reco.Event{Type: reco.ProductView, User: "90", Session: "sess456", Item: "id789"}
	mark := memory.Accept(e)
	ids := make([]string, 24)
	for i := range ids {
		ids[i] = "product-number-" + string(rune('a'+i))
	}
	memory.Store(e, reco.NewRanking(ids), time.Now(), mark)

	var req fasthttp.Request
	req.Header.SetMethod("POST")
	req.SetRequestURI("/api/v1/products/protected/recommendation")
	req.Header.SetHost("127.0.0.1:8377")
	req.Header.SetContentType("application/json")
	req.SetBodyString(hit)
	rc := new(fasthttp.RequestCtx)
	rc.Init(&req, nil, nil)
	handler := p.Handler()
	handler(rc)
	if got := string(rc.Response.Header.Peek("Vitrine-Source")); got != "cache" {
		tb.Fatalf("got source %q, want cache: %s", got, rc.Response.Body())
	}
	return handler, rc
}

// The body is copied once, since the event's strings outlive nothing else.
func TestAMemoryHitAllocatesOnce(t *testing.T) {
	handler, rc := hitter(t)
	got := testing.AllocsPerRun(1000, func() {
		rc.Response.Reset()
		handler(rc)
	})
	if got > 1 {
		t.Errorf("got %v allocations for a memory hit, want at most 1", got)
	}
}

// A request of a trace costs no more.
func TestATracedMemoryHitAllocatesOnce(t *testing.T) {
	handler, rc := hitter(t)
	raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTraceparent: %s\r\nContent-Length: %d\r\n\r\n%s",
		rc.Path(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", len(hit), hit)
	var req fasthttp.Request
	if err := req.Read(bufio.NewReader(strings.NewReader(raw))); err != nil {
		t.Fatal(err)
	}
	rc.Init(&req, nil, nil)
	got := testing.AllocsPerRun(1000, func() {
		rc.Response.Reset()
		handler(rc)
	})
	if source := string(rc.Response.Header.Peek("Vitrine-Source")); source != "cache" || got > 1 {
		t.Errorf("got %v allocations for a hit from %q, want at most 1 from cache", got, source)
	}
}

func BenchmarkMemoryHit(b *testing.B) {
	handler, rc := hitter(b)
	b.ReportAllocs()
	for b.Loop() {
		rc.Response.Reset()
		handler(rc)
	}
}
