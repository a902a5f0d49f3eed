package fallback_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"vitrine/fallback"
	"vitrine/internal/reco"
)

func ids(list string) reco.Ranking { return reco.NewRanking(strings.Fields(list)) }

func request(t reco.EventType, item string, o reco.Options) *reco.Request {
	return &reco.Request{Event: reco.Event{Session: "s", Type: t, Item: item}, Options: o}
}

// rungs gives lower rungs one after the other.
func rungs(courses ...fallback.Course) func() (fallback.Course, bool) {
	return func() (c fallback.Course, ok bool) {
		if len(courses) == 0 {
			return c, false
		}
		c, courses = courses[0], courses[1:]
		return c, true
	}
}

func TestDress(t *testing.T) {
	api := func(list string) fallback.Course { return fallback.Course{Ranking: ids(list), Source: reco.FromAPI} }
	stale := func(list string) fallback.Course { return fallback.Course{Ranking: ids(list), Source: reco.FromStale} }
	native := func(list string) fallback.Course { return fallback.Course{Ranking: ids(list), Source: reco.FromNative} }
	own := func(list string) fallback.Course {
		return fallback.Course{Own: strings.Split(list, " "), Source: reco.FromNative}
	}
	page := func(o reco.Options) *reco.Request { return request(reco.CategoryView, "dresses", o) }
	many := strings.Fields("c e1 e2 e3 e4 e5 e6 e7 e8 e9")
	for _, c := range []struct {
		name string
		job  fallback.Job
		want string
		fallback.Dressed
	}{
		{"nothing to do", fallback.Job{Request: page(reco.Options{}), Head: api("a b c")}, "a b c", fallback.Dressed{Source: reco.FromAPI}},
		{"sold out", fallback.Job{Request: page(reco.Options{}), Head: api("a out b")}, "a b", fallback.Dressed{Source: reco.FromAPI}},
		{"the viewed product", fallback.Job{Request: request(reco.ProductView, "b", reco.Options{}), Head: api("a b c")}, "a c", fallback.Dressed{Source: reco.FromAPI}},
		{"of a look too", fallback.Job{Request: request(reco.ShopTheLook, "b", reco.Options{}), Head: api("a b c")}, "a c", fallback.Dressed{Source: reco.FromAPI}},
		{"a category is no product", fallback.Job{Request: request(reco.CategoryView, "b", reco.Options{}), Head: api("a b c")}, "a b c", fallback.Dressed{Source: reco.FromAPI}},
		{"excluded", fallback.Job{Request: page(reco.Options{Exclude: []string{"a", "x"}}), Head: api("a b c")}, "b c", fallback.Dressed{Source: reco.FromAPI}},
		{"many excluded", fallback.Job{Request: page(reco.Options{Exclude: many}), Head: api("e1 a e9 b c")}, "a b", fallback.Dressed{Source: reco.FromAPI}},
		{"limit", fallback.Job{Request: page(reco.Options{Limit: 2}), Head: api("a b c")}, "a b", fallback.Dressed{Source: reco.FromAPI}},
		{
			"complete, then the limit", fallback.Job{
				Request: page(reco.Options{Complete: true, Limit: 4, Exclude: []string{"d"}}), Head: api("c a"),
				Native: func() fallback.Course { return native("a out b c d e f") },
			}, "c a b e", fallback.Dressed{Source: reco.FromAPI},
		},
		{"complete without a native list", fallback.Job{Request: page(reco.Options{Complete: true}), Head: api("a b")}, "a b", fallback.Dressed{Source: reco.FromAPI}},
		{
			"topped up",
			fallback.Job{Request: page(reco.Options{}), Head: api("a out"), MinItems: 4, Next: rungs(stale("a b"), native("c d e"), native("never"))},
			"a b c d e",
			fallback.Dressed{Source: reco.FromAPI, ToppedUp: true},
		},
		{
			"completed from the request's own, which repeats some", fallback.Job{
				Request: page(reco.Options{Complete: true, Limit: 3}), Head: api("c"),
				Native: func() fallback.Course { return own("a out a  out c b b d") },
			}, "c a b", fallback.Dressed{Source: reco.FromAPI},
		},
		{
			"stepped down to the request's own", fallback.Job{
				Request: request(reco.ProductView, "b", reco.Options{}), Next: rungs(own("a a out b c b")),
			}, "a c", fallback.Dressed{Source: reco.FromNative},
		},
		{
			"long enough after completion", fallback.Job{
				Request: page(reco.Options{Complete: true}), Head: api("a"), MinItems: 2,
				Native: func() fallback.Course { return native("b") }, Next: rungs(stale("never")),
			}, "a b", fallback.Dressed{Source: reco.FromAPI},
		},
		{
			"judged before the limit",
			fallback.Job{Request: page(reco.Options{Limit: 2}), Head: api("a b c"), MinItems: 9, Next: rungs(stale("never"))},
			"a b",
			fallback.Dressed{Source: reco.FromAPI},
		},
		{
			"nothing left",
			fallback.Job{Request: page(reco.Options{}), Head: api("out"), Next: rungs(stale("out"), native("a b"), native("never"))},
			"a b",
			fallback.Dressed{Source: reco.FromNative, OutOfStock: true},
		},
		{
			"nothing left at all",
			fallback.Job{Request: page(reco.Options{}), Head: api("out"), Next: rungs()},
			"",
			fallback.Dressed{Source: reco.FromNone, OutOfStock: true},
		},
		{
			"a native list of which nothing is left",
			fallback.Job{Request: page(reco.Options{}), Head: fallback.Course{}, Next: rungs(native("out"))},
			"",
			fallback.Dressed{Source: reco.FromNone, OutOfStock: true},
		},
		{
			"no list but a native one",
			fallback.Job{Request: page(reco.Options{}), Head: fallback.Course{}, Next: rungs(native("out a"))},
			"a",
			fallback.Dressed{Source: reco.FromNative},
		},
		{
			"nothing left, but for another reason",
			fallback.Job{Request: page(reco.Options{Exclude: []string{"a"}}), Head: api("a"), Next: rungs()},
			"",
			fallback.Dressed{Source: reco.FromNone},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", reco.Stock{ID: "out"}))
			dresser := fallback.NewDresser(rules)
			trace := &fallback.Trace{}
			c.job.Trace = trace
			got := dresser.Dress(&c.job)
			c.Dressed.Ranking = ids(c.want)
			if got != c.Dressed {
				t.Errorf("Dress:\n got %+v\nwant %+v", got, c.Dressed)
			}
			if len(trace.Slots) != got.Ranking.Len() || len(trace.Slots) > 0 && trace.Slots[0] != got.Source {
				t.Errorf("Slots: got %v for %d products", trace.Slots, got.Ranking.Len())
			}
		})
	}
}

// A lower rung may have to be waited for: it is not asked for what a limit would cut.
func TestDressAsksForNoMoreThanIsShown(t *testing.T) {
	dressed := fallback.NewDresser(nil).Dress(&fallback.Job{
		Request:  request(reco.CategoryView, "dresses", reco.Options{Limit: 2, Exclude: []string{"a"}}),
		Head:     fallback.Course{Ranking: ids("a b c"), Source: reco.FromAPI},
		MinItems: 9,
		Native: func() fallback.Course {
			t.Error("Native was called without Complete")
			return fallback.Course{}
		},
		Next: func() (fallback.Course, bool) {
			t.Error("Next was called for a list that fills the limit")
			return fallback.Course{}, false
		},
	})
	if want := ids("b c"); dressed.Ranking != want {
		t.Errorf("Ranking: got %v, want %v", dressed.Ranking.IDs(), want.IDs())
	}
}

func TestDressTracesEveryRemoval(t *testing.T) {
	dresser := fallback.NewDresser(fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", reco.Stock{ID: "out"})))
	trace := &fallback.Trace{}
	got := dresser.Dress(&fallback.Job{
		Request: request(reco.ProductView, "v", reco.Options{Exclude: []string{"x"}, Complete: true, Limit: 3}),
		Head:    fallback.Course{Ranking: ids("v a x out b"), Source: reco.FromCache},
		Native: func() fallback.Course {
			return fallback.Course{Own: strings.Fields("b c v d v"), Source: reco.FromNative}
		},
		Trace: trace,
	})
	if want := ids("a b c"); got.Ranking != want {
		t.Errorf("Ranking: got %v, want %v", got.Ranking.IDs(), want.IDs())
	}
	want := []fallback.Removed{
		{ID: "out", Source: reco.FromCache, Rule: fallback.RuleStock},
		{ID: "v", Source: reco.FromCache, Rule: fallback.RuleViewed},
		{ID: "x", Source: reco.FromCache, Rule: fallback.RuleExcluded},
		{ID: "v", Source: reco.FromNative, Rule: fallback.RuleViewed},
		{ID: "d", Source: reco.FromNative, Rule: fallback.RuleLimit},
	}
	if !slices.Equal(trace.Removed, want) {
		t.Errorf("Removed:\n got %+v\nwant %+v", trace.Removed, want)
	}
	if want := []reco.Source{reco.FromCache, reco.FromCache, reco.FromNative}; !slices.Equal(trace.Slots, want) {
		t.Errorf("Slots: got %v, want %v", trace.Slots, want)
	}
}

// Whatever is asked, the list has no duplicates, nothing that is sold out, excluded
// or viewed, only what the lists held, in their order, within the limit; and
// dressing it again changes nothing.
func TestDressLaws(t *testing.T) {
	soldOut := []reco.Stock{{ID: "p3"}, {ID: "p7"}, {ID: "p11"}, {ID: "p12"}}
	dresser := fallback.NewDresser(fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", soldOut...)))
	law := func(seed uint64) bool {
		r := rand.New(rand.NewPCG(seed, 1))
		draw := func(most int) []string {
			list := make([]string, r.IntN(most))
			for i := range list {
				list[i] = "p" + strconv.Itoa(r.IntN(30))
			}
			return list
		}
		head, native, stale := reco.NewRanking(draw(20)), reco.NewRanking(draw(20)), reco.NewRanking(draw(20))
		req := request(reco.EventTypes[r.IntN(4)], "p1", reco.Options{
			Exclude: draw(14), Limit: r.IntN(25), Complete: r.IntN(2) == 0,
		})
		job := func(c fallback.Course) *fallback.Job {
			return &fallback.Job{
				Request: req, Head: c, At: time.Unix(0, 0), MinItems: int(seed % 20),
				Native: func() fallback.Course { return fallback.Course{Ranking: native, Source: reco.FromNative} },
				Next:   rungs(fallback.Course{Ranking: stale, Source: reco.FromStale}, fallback.Course{Ranking: native, Source: reco.FromNative}),
			}
		}
		first := fallback.Course{Ranking: head, Source: reco.FromAPI}
		got := dresser.Dress(job(first))
		list := got.Ranking.IDs()
		pool := slices.Concat(head.IDs(), native.IDs(), stale.IDs())
		seen, lastOfHead := map[string]bool{}, -1
		for _, id := range list {
			at := slices.Index(head.IDs(), id)
			inOrder := at < 0 || at > lastOfHead
			lastOfHead = max(lastOfHead, at)
			isSoldOut := slices.ContainsFunc(soldOut, func(s reco.Stock) bool { return s.ID == id })
			if seen[id] || isSoldOut || !inOrder || slices.Contains(req.Exclude, id) || !slices.Contains(pool, id) ||
				req.Type.ViewsProduct() && id == req.Item {
				t.Logf("%s in %v of %v, %v, %v for %+v", id, list, head.IDs(), native.IDs(), stale.IDs(), req)
				return false
			}
			seen[id] = true
		}
		again := dresser.Dress(job(fallback.Course{Ranking: got.Ranking, Source: got.Source}))
		same := dresser.Dress(job(first))
		return (req.Limit == 0 || len(list) <= req.Limit) && again.Ranking == got.Ranking && same == got &&
			(got.Source == reco.FromNone) == got.Ranking.Empty()
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 3000}); err != nil {
		t.Error(err)
	}
}
