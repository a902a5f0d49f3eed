package lists_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/lists"
	"vitrine/internal/reco"
)

func TestPodsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, v := newRemote(), &vendor{class: fashionai.OK, body: best}
		one, two := open(t, v, shared(r)), open(t, v, shared(r))
		one.want("one", sales(), 200, reco.FromAPI, best)
		synctest.Wait()
		time.Sleep(time.Minute)
		if a := two.want("two", sales(), 200, reco.FromCache, best); a.Age != time.Minute {
			t.Errorf("got an age of %s, want a minute", a.Age)
		}
		v.says(fashionai.ServerError, "")
		time.Sleep(10 * time.Minute)
		three := open(t, v, shared(r))
		three.want("a pod that starts in the outage", sales(), 200, reco.FromStale, best)
		for key, value := range r.values {
			if life := r.lives[key]; life != 2*time.Hour+10*time.Minute || !strings.HasPrefix(key, "v1:l:") || !strings.HasSuffix(value, best) {
				t.Errorf("got %q = %q for %s", key, value, life)
			}
		}
	})
}

// What is about to be stale in Redis is asked for anew, and so is what must be new; it is
// better than nothing all the same.
func TestRedisIsNotAlwaysEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, v := newRemote(), &vendor{class: fashionai.OK, body: best}
		open(t, v, shared(r)).want("first", sales(), 200, reco.FromAPI, best)
		synctest.Wait() // for Redis to have it
		v.says(fashionai.OK, later)
		open(t, v, shared(r)).want("forced", forced(sales()), 200, reco.FromAPI, later)
		synctest.Wait()
		time.Sleep(8 * time.Minute)
		v.says(fashionai.ServerError, "")
		open(t, v, shared(r)).want("in an outage", sales(), 200, reco.FromCache, later)
		v.says(fashionai.OK, best)
		open(t, v, shared(r)).want("about to be stale", sales(), 200, reco.FromAPI, best)
	})
}

// An older list in Redis does not replace the one here.
func TestNewerStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		p := open(t, &vendor{class: fashionai.OK, body: best}, shared(r))
		p.want("first", sales(), 200, reco.FromAPI, best)
		synctest.Wait()
		time.Sleep(time.Minute)
		r.goes(errors.New("away"))
		p.v.says(fashionai.OK, later)
		p.want("newer", forced(sales()), 200, reco.FromAPI, later)
		synctest.Wait()
		r.goes(nil)
		p.v.says(fashionai.ServerError, "")
		time.Sleep(time.Hour)
		p.want("in an outage", sales(), 200, reco.FromStale, later)
	})
}

// While the breaker is open, what is here is served without a look at Redis.
func TestOutageIsNotRedisWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		p := open(t, &vendor{class: fashionai.OK, body: best}, shared(r))
		p.want("first", sales(), 200, reco.FromAPI, best)
		time.Sleep(9 * time.Minute)
		p.v.says(fashionai.RateLimited, "")
		p.want("limited", forced(sales()), 200, reco.FromCache, best)
		synctest.Wait()
		looks := r.asked()
		p.want("aging", sales(), 200, reco.FromCache, best)
		synctest.Wait()
		time.Sleep(time.Minute)
		p.want("limited again", sales(), 200, reco.FromStale, best)
		synctest.Wait()
		looks++ // the call that was limited again
		p.want("stale", sales(), 200, reco.FromStale, best)
		synctest.Wait()
		if got := r.asked(); got != looks {
			t.Errorf("got %d looks at Redis, want %d", got, looks)
		}
	})
}

// A list that was fetched in the future would never end.
func TestAClockAhead(t *testing.T) {
	r := newRemote()
	v := &vendor{class: fashionai.OK, body: best}
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(5*time.Second + time.Microsecond)
		open(t, v, shared(r)).want("ahead", sales(), 200, reco.FromAPI, best)
		synctest.Wait()
	})
	synctest.Test(t, func(t *testing.T) {
		p := open(t, v, shared(r))
		if p.want("behind", sales(), 200, reco.FromAPI, best); p.Stats().Rubbish != 1 {
			t.Errorf("got %+v, want it counted as rubbish", p.Stats())
		}
	})
}

// The end of a collection is its end in Redis, and a pod that finds it there knows it.
func TestCollectionEndsInRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, asked := newRemote(), lists.Request{Path: collection + "x"}
		const inactive = `{"productId":"b","active":false},`
		given := `{"products":[` + inactive + `{"productId":"a"}],"endsAt":"` + time.Now().Add(time.Minute).UTC().Format(time.RFC3339Nano) + `"}`
		body := strings.Replace(given, inactive, "", 1)
		v := &vendor{class: fashionai.OK, body: given}
		one, two := open(t, v, shared(r)), open(t, v, shared(r))
		one.want("one", asked, 200, reco.FromAPI, body)
		synctest.Wait()
		for _, life := range r.lives {
			if life != time.Minute {
				t.Errorf("got a life of %s in Redis, want a minute", life)
			}
		}
		two.want("two", asked, 200, reco.FromCache, body)
		v.says(fashionai.ServerError, "")
		time.Sleep(time.Minute)
		two.want("ended", asked, 503, reco.FromNone, "")
		open(t, v, shared(r)).want("ended, in a Redis that still has it", asked, 503, reco.FromNone, "")
	})
}

// What is in Redis is believed only if it was put there for this question.
func TestRubbishInRedis(t *testing.T) {
	for what, to := range map[string]func(string) string{
		"nothing": func(string) string { return "" },
		"cut":     func(s string) string { return s[:len(s)-1] },
		"changed": func(s string) string { return strings.Replace(s, "p1", "p9", 1) },
		"a 404":   func(s string) string { return s[:1] + "-" + s[2:] },
		"version": func(s string) string { return "2" + s[1:] },
		"younger": func(s string) string { return s[:9] + string(s[9]^1) + s[10:] },
	} {
		synctest.Test(t, func(t *testing.T) {
			r, v := newRemote(), &vendor{class: fashionai.OK, body: best}
			open(t, v, shared(r)).want(what, sales(), 200, reco.FromAPI, best)
			synctest.Wait()
			r.change(to)
			p := open(t, v, shared(r))
			if p.want(what, sales(), 200, reco.FromAPI, best); p.Stats().Rubbish != 1 {
				t.Errorf("%s: got %+v, want it counted as rubbish", what, p.Stats())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the answer to another question
		r, v := newRemote(), &vendor{class: fashionai.OK, body: `{"items":["a"]}`}
		p := open(t, v, shared(r))
		p.request(search("a"))
		synctest.Wait()
		a := ""
		r.change(func(s string) string { a = s; return s })
		v.says(fashionai.OK, `{"items":["b"]}`)
		p.request(search("b"))
		synctest.Wait()
		r.change(func(string) string { return a })
		open(t, v, shared(r)).want("b", search("b"), 200, reco.FromAPI, `{"items":["b"]}`)
	})
}

func TestRedisAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRemote()
		r.away = errors.New("away")
		p := open(t, &vendor{class: fashionai.OK, body: best}, shared(r))
		p.want("first", sales(), 200, reco.FromAPI, best)
		p.want("again", sales(), 200, reco.FromCache, best)
		synctest.Wait()
		if p.Stats().Unwritten != 1 {
			t.Errorf("got %+v, want one unwritten", p.Stats())
		}
		if _, err := p.Erase(t.Context(), "s"); !errors.Is(err, r.away) {
			t.Errorf("got %v, want that the other pods may not know", err)
		}
	})
}

// An erase takes what is a session's from every pod, and what is under way for it is not
// kept; it was never in Redis.
func TestErase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, v := newRemote(), &vendor{class: fashionai.OK, body: best}
		one, two := open(t, v, shared(r)), open(t, v, shared(r))
		for _, p := range []pod{one, two} {
			p.want("s1", similar("s1"), 200, reco.FromAPI, best)
			p.want("s2", similar("s2"), 200, reco.FromAPI, best)
		}
		synctest.Wait()
		if len(r.values) != 0 {
			t.Errorf("got %q in Redis, want nothing of a session", r.values)
		}
		v.slow(50 * time.Millisecond)
		go two.Answer(lists.Similar, forced(similar("s1")))
		synctest.Wait()
		if gone, err := one.Erase(t.Context(), "s1"); gone != 1 || err != nil {
			t.Errorf("got %d %v, want one list gone", gone, err)
		}
		time.Sleep(time.Second)
		for _, p := range []pod{one, two} {
			p.want("s2", similar("s2"), 200, reco.FromCache, best)
			p.want("s1", similar("s1"), 200, reco.FromAPI, best)
		}
	})
}
