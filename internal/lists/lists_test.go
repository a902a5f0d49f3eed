package lists_test

import (
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/lists"
	"vitrine/internal/reco"
)

const (
	best  = `{ "categoryId":null,"products":["p1","p2"] }` + "\n"
	later = `{"categoryId":null,"products":["p3"]}`
)

func sales() lists.Request { return lists.Request{Path: products + "sales-ranking"} }

func search(query string) lists.Request {
	return lists.Request{Path: products + "search", Query: "query=" + query}
}

func similar(session string) lists.Request {
	return lists.Request{Path: products + "similar", Query: "limit=3", Body: []byte(`{"sessionId":"` + session + `","userId":"ana","data":{"id":"p1"}}`)}
}

func forced(r lists.Request) lists.Request {
	r.Forced = true
	return r
}

func TestLivesOfAList(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, best)
		p.want("first", sales(), 200, reco.FromAPI, best)
		time.Sleep(8*time.Minute - 1)
		if a := p.want("fresh", sales(), 200, reco.FromCache, best); a.Age != 8*time.Minute-1 || !a.JSON {
			t.Errorf("got %+v, want JSON of that age", a)
		}
		p.wantCalls("fresh", 1)
		time.Sleep(1)
		p.v.says(fashionai.OK, later)
		p.want("after four fifths", sales(), 200, reco.FromCache, best)
		p.wantCalls("after four fifths", 2)
		p.want("refreshed behind", sales(), 200, reco.FromCache, later)
		p.v.says(fashionai.ServerError, "")
		time.Sleep(10 * time.Minute)
		if a := p.want("in an outage", sales(), 200, reco.FromStale, later); a.Reason != "http-503" {
			t.Errorf("got reason %q, want http-503", a.Reason)
		}
		time.Sleep(2*time.Hour - 1)
		p.want("at its end", sales(), 200, reco.FromStale, later)
		time.Sleep(1)
		if a := p.want("over", sales(), 503, reco.FromNone, ""); a.RetryAfter <= 0 || a.Detail == "" {
			t.Errorf("got %+v, want words and a time to try again", a)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := p.Stats(); got.Entries != 0 || got.Bytes != 0 || got.Stale != 2 || got.Unavailable != 1 {
			t.Errorf("got %+v, want nothing left, two stale, one unavailable", got)
		}
	})
}

// However many ask at once, the API is asked once, and nobody waits longer than the budget.
func TestAskedOnceForAll(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, best)
		p.v.slow(time.Second)
		began := time.Now()
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if a := p.request(sales()); a.Status != 503 || a.Reason != reco.Timeout || time.Since(began) != 300*time.Millisecond {
					t.Errorf("got %d (%s) after %s, want a time-out after the budget", a.Status, a.Reason, time.Since(began))
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		p.want("what came late", sales(), 200, reco.FromCache, best)
		p.wantCalls("all", 1)
		p.SetBudget(2 * time.Second)
		p.want("with more patience", forced(sales()), 200, reco.FromAPI, best)
		p.v.slow(0)
		p.want("forced", forced(sales()), 200, reco.FromAPI, best)
		p.v.says(fashionai.Timeout, "")
		p.want("forced in an outage", forced(sales()), 200, reco.FromCache, best)
	})
}

// Two calls are under way at most, and six wait for their turn. More are refused at once.
func TestBulkhead(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, `{"items":[1]}`)
		p.v.slow(time.Second)
		began := time.Now()
		var all sync.WaitGroup
		var refused atomic.Int32
		for query := range strings.SplitSeq("abcdefghij", "") {
			all.Go(func() {
				if a := p.request(search(query)); a.Reason == reco.Overload && time.Since(began) == 0 {
					refused.Add(1)
				}
			})
		}
		p.wantCalls("at once", 2)
		all.Wait()
		if got := refused.Load(); got != 2 {
			t.Errorf("got %d refused at once, want 2", got)
		}
		time.Sleep(time.Second)
		p.wantCalls("whose turn came too late is not asked for", 2)
	})
}

// A search that failed looks like one that found nothing: it is neither remembered nor in
// the way of what was found before.
func TestEmptyIsNotRemembered(t *testing.T) {
	for empty, r := range map[string]lists.Request{
		`{"totalItems":0,"items":[]}`: search("vestido"), `{"products":[]}`: similar("s1"), `{"categoryId":null,"products":[]}`: sales(),
	} {
		full := strings.Replace(empty, "[]", `["p1"]`, 1)
		bubble(t, func(p pod) {
			p.v.says(fashionai.OK, empty)
			p.want("nothing", r, 200, reco.FromAPI, empty)
			p.want("nothing again", r, 200, reco.FromAPI, empty)
			p.wantCalls("nothing again", 2)
			p.v.says(fashionai.OK, full)
			p.want("something", r, 200, reco.FromAPI, full)
			p.v.says(fashionai.OK, empty)
			time.Sleep(10 * time.Minute)
			if a := p.want("masked", r, 200, reco.FromStale, full); a.Reason != reco.Empty {
				t.Errorf("got reason %q, want empty", a.Reason)
			}
			time.Sleep(2 * time.Hour)
			p.want("nothing for long", r, 200, reco.FromAPI, empty)
		})
	}
}

func TestNotFoundIsRememberedForAMoment(t *testing.T) {
	bubble(t, func(p pod) {
		r := lists.Request{Path: collection + "summer"}
		p.v.says(fashionai.OK, `{"products":[]}`)
		p.want("there", r, 200, reco.FromAPI, `{"products":[]}`)
		p.v.says(fashionai.NotFound, nothing)
		time.Sleep(10 * time.Minute)
		p.want("gone", r, 404, reco.FromAPI, nothing)
		time.Sleep(24*time.Second - 1)
		p.want("still gone", r, 404, reco.FromCache, nothing)
		p.wantCalls("still gone", 2)
		p.v.says(fashionai.ServerError, "")
		time.Sleep(6*time.Second + 1)
		p.want("who knows", r, 503, reco.FromNone, "")
	})
}

func TestWhatTheAPISaysBeside(t *testing.T) {
	for _, c := range []struct {
		what   string
		class  fashionai.Class
		body   string
		status int
		passed bool
		reason reco.Reason
	}{
		{"refused", fashionai.Rejected, `{"statusCode":400,"message":["limit"]}`, 400, true, ""},
		{"undocumented", fashionai.OK, `{"produtos":[]}`, 200, true, ""},
		{"no object", fashionai.OK, `["p1"]`, 503, false, reco.BadAnswer},
		{"a page", fashionai.OK, `<html>`, 503, false, reco.BadAnswer},
		{"a page that says 404", fashionai.NotFound, `<html>`, 503, false, reco.BadAnswer},
		{"the token", fashionai.Unauthorized, `{"error":"Unauthorized"}`, 503, false, "http-401"},
		{"too many", fashionai.RateLimited, `{}`, 503, false, reco.RateLimited},
	} {
		bubble(t, func(p pod) {
			p.v.says(c.class, c.body)
			source, body := reco.FromNone, ""
			if c.passed {
				source, body = reco.FromAPI, c.body
			}
			if a := p.want(c.what, similar("sess456"), c.status, source, body); a.Reason != c.reason {
				t.Errorf("%s: got reason %q, want %q", c.what, a.Reason, c.reason)
			}
			if p.Stats().Entries != 0 {
				t.Errorf("%s: got it remembered", c.what)
			}
			for _, secret := range []string{"sess456", "ana", "p1", "produtos"} {
				if strings.Contains(p.logged(), secret) {
					t.Errorf("%s: got %q in the log: %s", c.what, secret, p.logged())
				}
			}
		})
	}
}

// After a 429 nothing is asked before the time it names, whoever asks for what.
func TestRateLimited(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, best)
		p.want("before", sales(), 200, reco.FromAPI, best)
		p.v.says(fashionai.RateLimited, "{}")
		if a := p.want("limited", search("x"), 503, reco.FromNone, ""); a.RetryAfter < 7*time.Second {
			t.Errorf("got %+v, want the pause it names", a)
		}
		time.Sleep(5 * time.Second)
		if a := p.want("held back", search("y"), 503, reco.FromNone, ""); a.Reason != reco.RateLimited || a.RetryAfter <= 0 || a.RetryAfter > 3*time.Second {
			t.Errorf("got %+v, want what is left of the pause", a)
		}
		p.want("fresh", sales(), 200, reco.FromCache, best)
		p.wantCalls("held back", 2)
		p.v.says(fashionai.OK, best)
		time.Sleep(3 * time.Second)
		p.want("over", forced(sales()), 200, reco.FromAPI, best)
	})
}

// Where the breaker is open, a stale list is served at once.
func TestOutage(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, best)
		p.want("before", sales(), 200, reco.FromAPI, best)
		p.v.says(fashionai.Unreachable, "")
		time.Sleep(11 * time.Minute)
		for range 5 {
			p.want("unreachable", sales(), 200, reco.FromStale, best)
		}
		p.v.slow(time.Hour)
		began := time.Now()
		if a := p.want("open", sales(), 200, reco.FromStale, best); a.Reason != reco.Open || time.Since(began) != 0 {
			t.Errorf("got %q after %s, want open at once", a.Reason, time.Since(began))
		}
		if a := p.want("open, and nothing there", search("x"), 503, reco.FromNone, ""); a.Reason != reco.Open || a.RetryAfter <= 0 {
			t.Errorf("got %+v, want open and when to try again", a)
		}
		p.wantCalls("open", 6)
	})
}

// However much is searched for, memory stays within its bound; what was asked for last
// is there, and what would push out all else never was.
func TestMemoryIsBounded(t *testing.T) {
	const bound = 64 << 10
	bubble(t, func(p pod) {
		body := `{"items":["` + strings.Repeat("x", 1<<10) + `"]}`
		p.v.says(fashionai.OK, body)
		for i := range 200 {
			p.request(search(strconv.Itoa(i)))
			p.request(search("0"))
		}
		p.wantCalls("the one asked for all along stayed", 200)
		if got := p.Stats(); got.Bytes > bound || got.Bytes < bound*8/10 {
			t.Errorf("got %+v, want nearly %d bytes", got, bound)
		}
		p.want("the last", search("199"), 200, reco.FromCache, body)
		p.want("the second", search("1"), 200, reco.FromAPI, body)
		huge := `{"items":["` + strings.Repeat("x", bound/8) + `"]}`
		p.v.says(fashionai.OK, huge)
		for range 2 {
			p.want("too much", search("huge"), 200, reco.FromAPI, huge)
		}
	}, func(o *lists.Options) { o.Memory = bound })
}

func TestOffUntilConfigured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := open(t, &vendor{}, func(o *lists.Options) { delete(o.Lives, lists.Search) })
		for path, want := range map[string]string{
			products + "similar": "POST similar", products + "sales-ranking": "GET sales_ranking", collection + "x": "GET collections",
			products + "search": "", products + "similar/": "", collection: "", "/": "",
		} {
			k, method, ok := p.Serves(path)
			if got := method + " " + k.String(); ok != (want != "") || ok && got != want {
				t.Errorf("%s: got %q %v, want %q", path, got, ok, want)
			}
		}
	})
}

func TestOptions(t *testing.T) {
	_, err := lists.New(lists.Options{Lives: map[lists.Kind]lists.Life{lists.Search: {Fresh: -1, Stale: -1}}})
	for _, part := range []string{"required", "fresh", "stale", "budget", "max_in_flight", "memory", "hash key"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("got %v, want something about %s", err, part)
		}
	}
}
