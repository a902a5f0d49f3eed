package ops_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"html"
	"io"
	"log/slog"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/logs"
	"vitrine/internal/ops"
	"vitrine/internal/reco"
)

// desk is an admin listener in a bubble.
type desk struct {
	t       *testing.T
	l       *pipes
	metrics *ops.Metrics
}

// inBubble runs test with an admin listener of its own, where time is the bubble's.
func inBubble(t *testing.T, o func() ops.AdminOptions, test func(d desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		options := o()
		options.Metrics, options.Log = newMetrics(), slog.New(slog.DiscardHandler)
		a, err := ops.NewAdmin(options)
		if err != nil {
			t.Fatal(err)
		}
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Serve(ctx, l) }()
		test(desk{t, l, options.Metrics})
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func (d desk) get(path string) reply {
	d.t.Helper()
	c := d.l.dial(d.t)
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"); err != nil {
		d.t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(body)}
}

func (d desk) status() ops.Status {
	d.t.Helper()
	got := d.get("/status.json")
	var s struct {
		ops.Status
		Breakers json.RawMessage `json:"breakers"` // in place of the other: its states are words, for people
	}
	if err := json.Unmarshal([]byte(got.body), &s); err != nil || got.status != http.StatusOK {
		d.t.Fatalf("got %d %s, %v", got.status, got.body, err)
	}
	return s.Status
}

func TestTheLastMinute(t *testing.T) {
	t.Parallel()
	inBubble(t, func() ops.AdminOptions { return ops.AdminOptions{} }, func(d desk) {
		if got := d.status().LastMinute; got.Requests != 0 || len(got.Sources) != 0 {
			t.Errorf("at the start: got %+v", got)
		}
		for range 99 {
			d.metrics.ObserveRequest(reco.ProductView, reco.FromCache, reco.NoReason, 40*time.Microsecond)
		}
		d.metrics.ObserveRequest(reco.CategoryView, reco.FromCache, reco.NoReason, 400*time.Microsecond)
		for range 25 {
			d.metrics.ObserveRequest(reco.CategoryView, reco.FromNative, reco.HTTPStatus(503), 250*time.Millisecond)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		got := d.status().LastMinute
		if got.Requests != 125 || got.Seconds < 10 || got.Seconds > 11 || len(got.Sources) != 2 {
			t.Errorf("got %+v, want 125 requests in 10 s from two sources", got)
		}
		cache := got.Sources["cache"]
		if cache.Requests != 100 || cache.Share != .8 {
			t.Errorf("got %+v, want 100 of 125", cache)
		}
		// 99 of 100 lie in the bucket up to 0.1 ms: an even spread puts the 50th at 50/99 of it.
		if math.Abs(cache.P50Ms-.1*50/99) > 1e-9 || math.Abs(cache.P99Ms-.1) > 1e-9 {
			t.Errorf("got p50 %v ms, p99 %v ms", cache.P50Ms, cache.P99Ms)
		}
		if native := got.Sources["native"]; native.P50Ms != 250 || got.Reasons["http-503"] != 25 || len(got.Reasons) != 1 {
			t.Errorf("got %+v, %v", native, got.Reasons)
		}

		time.Sleep(49 * time.Second)
		if got := d.status().LastMinute; got.Requests != 125 {
			t.Errorf("after 59 s: got %d requests, want 125", got.Requests)
		}
		time.Sleep(7 * time.Second)
		d.metrics.ObserveRequest(reco.ProductView, reco.FromAPI, reco.NoReason, time.Hour)
		now := d.status().LastMinute
		if api := now.Sources["api"]; now.Requests != 1 || api.Share != 1 || api.P99Ms != 2000 {
			t.Errorf("a minute later: got %+v, want only what came since, no slower than the last bound", now)
		}
		if now.Seconds < 55 || now.Seconds > 60 {
			t.Errorf("got %v s, want about a minute", now.Seconds)
		}
	})
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	three := func(d desk, share int) {
		for i := range 10 {
			source := reco.FromCache
			if i >= share {
				source = reco.FromNative
			}
			d.metrics.ObserveRequest(reco.ProductView, source, reco.NoReason, time.Millisecond)
		}
	}
	for _, tt := range []struct {
		name  string
		while func(d desk, b *breaker.Breaker)
		ready bool
		want  string
	}{
		{"idle", func(desk, *breaker.Breaker) {}, true, "Nobody asked in the last minute."},
		{"one source", func(d desk, _ *breaker.Breaker) { three(d, 10) }, true, "Serving from the cache."},
		{"two sources", func(d desk, _ *breaker.Breaker) { three(d, 7) }, true, "Serving mostly from the cache (70 % of the last minute)."},
		{"the fallback", func(d desk, _ *breaker.Breaker) { three(d, 3) }, true, "Serving mostly from the shop's own ordering (70 % of the last minute)."},
		{"the fallback, and why", func(d desk, _ *breaker.Breaker) {
			three(d, 4)
			for range 3 {
				d.metrics.ObserveRequest(reco.ProductView, reco.FromNative, reco.Timeout, time.Millisecond)
			}
			d.metrics.ObserveRequest(reco.ProductView, reco.FromNative, reco.Empty, time.Millisecond)
		}, true, "Serving mostly from the shop's own ordering (71 % of the last minute), because the API took too long."},
		{"overridden", func(_ desk, b *breaker.Breaker) {
			_ = b.Override(breaker.Open, 10*time.Minute)
			time.Sleep(time.Minute)
		}, true, "Nobody asked in the last minute; recommendation breaker set open by an operator for another 9m0s."},
		{"overridden for good", func(_ desk, b *breaker.Breaker) { _ = b.Override(breaker.Closed, 0) }, true, "Nobody asked in the last minute; recommendation breaker set closed by an operator."},
		{"a pause", func(_ desk, b *breaker.Breaker) {
			b.Hold(time.Now().Add(30 * time.Second))
			time.Sleep(10 * time.Second)
		}, true, "Nobody asked in the last minute; recommendation asked for a pause, 20s to go."},
		{"open", func(d desk, b *breaker.Breaker) {
			three(d, 10)
			trip(t, b)
			time.Sleep(2 * time.Second)
		}, true, "Serving from the cache; recommendation breaker open for 2s, next probe in 8s."},
		{"open, and why", func(d desk, b *breaker.Breaker) {
			d.metrics.ObserveRequest(reco.ProductView, reco.FromNative, reco.Open, time.Millisecond)
			trip(t, b)
			time.Sleep(2 * time.Second)
		}, true, "Serving from the shop's own ordering; recommendation breaker open for 2s, next probe in 8s."},
		{"half-open", func(_ desk, b *breaker.Breaker) {
			trip(t, b)
			time.Sleep(10 * time.Second)
			if _, err := b.Admit(); err != nil {
				t.Error(err)
			}
		}, true, "Nobody asked in the last minute; recommendation breaker half-open, trying whether it is back."},
		{"open again", func(_ desk, b *breaker.Breaker) {
			trip(t, b)
			time.Sleep(10 * time.Second)
			probe, err := b.Admit()
			if err != nil {
				t.Error(err)
			}
			probe.Done(breaker.Outcome{Kind: breaker.ConnectFailure})
			time.Sleep(time.Second)
		}, true, "Nobody asked in the last minute; recommendation breaker open for 11s, next probe in 19s."},
		{"a dependency away", func(desk, *breaker.Breaker) {}, false, "Nobody asked in the last minute; redis is away; new events are kept in memory because the journal's disk is full or refuses."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var b *breaker.Breaker
			inBubble(t, func() ops.AdminOptions {
				options := breaker.Defaults("recommendation")
				options.OpenMin, options.Rand = 10*time.Second, func() float64 { return .999999999 }
				var err error
				if b, err = breaker.New(options); err != nil {
					t.Fatal(err)
				}
				return ops.AdminOptions{
					Sources: ops.Sources{
						Breakers: []ops.Breaker{b},
						Journal:  func() ops.Journal { return ops.Journal{Away: !tt.ready} },
					},
					Ready: []ops.Dependency{{Name: "redis", Check: func() (bool, string) { return tt.ready, "" }}},
				}
			}, func(d desk) {
				tt.while(d, b)
				if got := d.status().Verdict; got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// Every reason is put in words, and only those that are somebody's failure want to be looked at.
func TestReasonsInWords(t *testing.T) {
	t.Parallel()
	failures := []reco.Reason{
		reco.Timeout, reco.Open, reco.Overload, reco.RateLimited, reco.Unreachable, reco.BadAnswer, reco.HTTPStatus(401), reco.HTTPStatus(503),
	}
	meant := []reco.Reason{reco.Empty, reco.OutOfStock, reco.Holdout, reco.Bot, reco.ToppedUp}
	said := make(map[string]reco.Reason)
	for _, reason := range slices.Concat(failures, meant) {
		inBubble(t, func() ops.AdminOptions { return ops.AdminOptions{} }, func(d desk) {
			d.metrics.ObserveRequest(reco.ProductView, reco.FromNative, reason, time.Millisecond)
			s := d.status()
			if other, known := said[s.Verdict]; known || !strings.HasPrefix(s.Verdict, "Serving from the shop's own ordering, because ") {
				t.Errorf("%s: got %q, want words of its own (%s)", reason, s.Verdict, other)
			}
			if got, want := s.Well, slices.Contains(meant, reason); got != want {
				t.Errorf("%s: got well %t, want %t", reason, got, want)
			}
			said[s.Verdict] = reason
		})
	}
}

// Events that wait for longer than a call takes are told of.
func TestVerdictOnWhatWaits(t *testing.T) {
	t.Parallel()
	for oldest, want := range map[time.Duration]string{
		5 * time.Second:  "Nobody asked in the last minute.",
		90 * time.Second: "Nobody asked in the last minute; 11 events wait to be delivered, the oldest for 1m30s.",
	} {
		inBubble(t, func() ops.AdminOptions {
			return ops.AdminOptions{Sources: ops.Sources{Ledger: func() ops.Ledger { return ops.Ledger{Accepted: 11, Pending: 11, OldestPending: oldest} }}}
		}, func(d desk) {
			if s := d.status(); s.Verdict != want || s.Well != (oldest < 10*time.Second) {
				t.Errorf("oldest %s: got %q, well %t, want %q", oldest, s.Verdict, s.Well, want)
			}
		})
	}
}

// A token that the API refuses is told of for a minute.
func TestVerdictOnARefusedToken(t *testing.T) {
	t.Parallel()
	inBubble(t, func() ops.AdminOptions { return ops.AdminOptions{} }, func(d desk) {
		for _, code := range []string{"200", "401", "403", "503"} {
			d.metrics.ObserveUpstream(code, time.Millisecond)
		}
		const want = "Nobody asked in the last minute; the API has refused the token 2 times in the last minute."
		if s := d.status(); s.Verdict != want || s.Well || s.LastMinute.TokenRefused != 2 {
			t.Errorf("got %q, well %t, want %q", s.Verdict, s.Well, want)
		}
		time.Sleep(2 * time.Minute)
		if s := d.status(); !s.Well {
			t.Errorf("two minutes later: got %q, want all well", s.Verdict)
		}
	})
}

// trip opens a breaker as an API would that cannot be connected to.
func trip(t *testing.T, b *breaker.Breaker) {
	t.Helper()
	for range 5 {
		call, err := b.Admit()
		if err != nil {
			t.Fatal(err)
		}
		call.Done(breaker.Outcome{Kind: breaker.ConnectFailure})
	}
}

func TestStatusAndPage(t *testing.T) {
	t.Parallel()
	inBubble(t, func() ops.AdminOptions {
		h := logs.New(slog.NewTextHandler(io.Discard, nil)) //nolint:sloglint // DiscardHandler takes no errors to remember
		slog.New(h).Error("posting <an event>", "err", errors.New("refused"))
		return ops.AdminOptions{
			Version: "v1.2.3",
			Sources: ops.Sources{
				Breakers: newBreakers(t, "recommendation"),
				Ledger: func() ops.Ledger {
					return ops.Ledger{Accepted: 4711, Delivered: 4700, Pending: 11, OldestPending: 90 * time.Second}
				},
				Cache: func() (int64, int64) { return 1 << 20, 12 },
				Figures: []ops.Figure{
					{Name: "vitrine_catalogue_age_seconds", Value: func() float64 { return 30 }},
					{Name: "vitrine_catalogue_products", Value: math.NaN},
				},
			},
			LastErrors:    h.Last,
			Configuration: func() any { return map[string]string{"token": "•••"} },
		}
	}, func(d desk) {
		time.Sleep(time.Minute)
		s := d.status()
		if s.Version != "v1.2.3" || s.UptimeSeconds != 60 || s.Events.Accepted != 4711 || s.Events.OldestPendingSeconds != 90 ||
			s.Cache != (ops.Cache{Bytes: 1 << 20, Entries: 12}) || s.Memory.Heap == 0 || s.Memory.Goroutines == 0 || !s.Readiness.Ready {
			t.Errorf("got %+v", s)
		}
		if len(s.Figures) != 1 || s.Figures["vitrine_catalogue_age_seconds"] != 30 {
			t.Errorf("got figures %v, want the one that is a number", s.Figures)
		}
		if len(s.LastErrors) != 1 || s.LastErrors[0].Message != "posting <an event>" || s.LastErrors[0].Attributes != "err=refused" {
			t.Errorf("got errors %+v", s.LastErrors)
		}
		page := d.get("/")
		if kind := page.header.Get("Content-Type"); page.status != 200 || kind != "text/html; charset=utf-8" {
			t.Errorf("got %d %s", page.status, kind)
		}
		if policy := page.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("got policy %q, want one that lets the page ask nobody", policy)
		}
		if want := `data-well="false">` + html.EscapeString(s.Verdict) + "</h1>"; !strings.Contains(page.body, want) {
			t.Errorf("the page lacks %q:\n%s", want, page.body)
		}
		for _, asset := range regexp.MustCompile(`(?:src|href)="(/page[^"]+)"`).FindAllStringSubmatch(page.body, -1) {
			if got := d.get(asset[1]); got.status != 200 || strings.Contains(got.body, "//") && strings.Contains(got.body, "https:") {
				t.Errorf("got %d for %s, or an address in it", got.status, asset[1])
			}
		}
	})
}

// The history tells what came in each few seconds, and forgets what is older than five minutes.
func TestHistory(t *testing.T) {
	t.Parallel()
	var pending atomic.Uint64
	inBubble(t, func() ops.AdminOptions {
		return ops.AdminOptions{Sources: ops.Sources{Ledger: func() ops.Ledger { return ops.Ledger{Pending: pending.Load()} }}}
	}, func(d desk) {
		time.Sleep(time.Second)
		d.metrics.ObserveRequest(reco.ProductView, reco.FromAPI, reco.NoReason, 100*time.Millisecond)
		pending.Store(7)
		time.Sleep(5 * time.Second)
		got := d.status().History
		if len(got) != 1 || got[0].Seconds != 5 || got[0].Sources["api"] != 1 || got[0].Pending != 7 || got[0].P99Ms <= 50 || got[0].P99Ms > 100 {
			t.Errorf("got %+v, want one answer of the API within five seconds, and seven events pending", got)
		}
		time.Sleep(10 * time.Minute)
		got = d.status().History
		if len(got) != 59 || len(got[0].Sources) != 0 || got[0].P99Ms != 0 {
			t.Errorf("got %d moments, the first %+v, want 59 and nothing in it", len(got), got[0])
		}
	})
}
