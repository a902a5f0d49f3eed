package fallback_test

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// remembered is a cache that holds what a test says.
type remembered struct {
	near, far cache.Found // in memory, and what a lookup finds
	empty     bool        // the API had nothing a moment ago
	looked    int         // lookups that may ask Redis
}

func (r *remembered) Lookup(_ reco.Event, deadline time.Time, _ *trace.Span) cache.Found {
	if deadline.IsZero() {
		return r.near
	}
	r.looked++
	return r.far
}

func (r *remembered) KnownEmpty(reco.Event) bool { return r.empty }

// ticket is an accepted event of which the API says what a test says.
type ticket struct {
	result           delivery.Result
	waited, released int
}

func (t *ticket) AskedSince(time.Duration) bool { return false }
func (t *ticket) Release()                      { t.released++ }

func (t *ticket) Wait(time.Time) delivery.Result {
	t.waited++
	return t.result
}

func fresh(list string) cache.Found {
	return cache.Found{Ranking: ids(list), Status: cache.Fresh, Tier: reco.Redis, Age: time.Second, TTL: time.Minute}
}

func stale(list string) cache.Found {
	return cache.Found{Ranking: ids(list), Status: cache.Stale, Tier: reco.Memory, Age: time.Hour, TTL: -time.Minute}
}

func inMemory(f cache.Found) cache.Found {
	f.Tier = reco.Memory
	return f
}

func newLadder(t testing.TB, o fallback.LadderOptions) *fallback.Ladder {
	t.Helper()
	l, err := fallback.NewLadder(o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func tomorrow() time.Time { return time.Now().Add(24 * time.Hour) }

func ranked(list string) delivery.Result { return delivery.Result{Ranking: ids(list), Status: 200} }

func failed(why reco.Reason) delivery.Result { return delivery.Result{Reason: why} }

func TestLadder(t *testing.T) {
	native := reco.Options{Native: []string{"n1", "n2"}}
	for _, c := range []struct {
		name   string
		near   cache.Found
		far    cache.Found
		empty  bool
		api    delivery.Result
		policy fallback.Policy
		o      reco.Options
		want   string
		source reco.Source
		reason reco.Reason
		waited bool
	}{
		{name: "fresh in memory", near: inMemory(fresh("a b")), want: "a b", source: reco.FromCache},
		{name: "fresh in Redis", far: fresh("a b"), api: ranked("never"), want: "a b", source: reco.FromCache},
		{name: "the API in time", far: stale("old"), api: ranked("a b"), want: "a b", source: reco.FromAPI, waited: true},
		{name: "older, for the API is late", far: stale("a b"), api: failed(reco.Timeout), o: native, want: "a b", source: reco.FromStale, reason: reco.Timeout, waited: true},
		{name: "older, for the API is empty", far: stale("a b"), api: failed(reco.Empty), want: "a b", source: reco.FromStale, reason: reco.Empty, waited: true},
		{name: "native", api: failed(reco.Open), o: native, want: "n1 n2", source: reco.FromNative, reason: reco.Open, waited: true},
		{name: "nothing", api: failed(reco.Unreachable), source: reco.FromNone, reason: reco.Unreachable, waited: true},
		{name: "nobody waits for what was empty a moment ago", empty: true, o: native, want: "n1 n2", source: reco.FromNative, reason: reco.Empty},
		{name: "a bot", o: reco.Options{Native: []string{"n1"}, Bot: true}, want: "n1", source: reco.FromNative, reason: reco.Bot},
		{name: "switched off", near: fresh("a"), policy: fallback.Policy{Mode: fallback.NativeOnly}, o: native, want: "n1 n2", source: reco.FromNative, reason: reco.Holdout},
		{name: "topped up by the older one", far: stale("b c d"), api: ranked("a b"), policy: fallback.Policy{MinItems: 3}, o: native, want: "a b c d", source: reco.FromAPI, reason: reco.ToppedUp, waited: true},
		{name: "topped up natively", api: ranked("a n2"), policy: fallback.Policy{MinItems: 3}, o: native, want: "a n2 n1", source: reco.FromAPI, reason: reco.ToppedUp, waited: true},
		{name: "a hit topped up", near: inMemory(fresh("a")), policy: fallback.Policy{MinItems: 2}, o: native, want: "a n1 n2", source: reco.FromCache, reason: reco.ToppedUp},
		{name: "an older one topped up", far: stale("a"), api: failed(reco.Timeout), policy: fallback.Policy{MinItems: 2}, o: native, want: "a n1 n2", source: reco.FromStale, reason: reco.ToppedUp, waited: true},
		{name: "long enough", api: ranked("a b"), policy: fallback.Policy{MinItems: 2}, o: native, want: "a b", source: reco.FromAPI, waited: true},
		{name: "all of it sold out", api: ranked("out"), o: native, want: "n1 n2", source: reco.FromNative, reason: reco.OutOfStock, waited: true},
		{name: "all of it sold out, and an older one is not", far: stale("out b"), api: ranked("out"), o: native, want: "b", source: reco.FromStale, reason: reco.OutOfStock, waited: true},
		{name: "everything sold out", far: stale("out"), api: ranked("out"), o: reco.Options{Native: []string{"out"}}, source: reco.FromNone, reason: reco.OutOfStock, waited: true},
		{name: "a hit with one sold out", near: inMemory(fresh("a out b")), want: "a b", source: reco.FromCache},
		{name: "excluded altogether", api: ranked("a"), o: reco.Options{Native: []string{"n1"}, Exclude: []string{"a"}}, want: "n1", source: reco.FromNative, reason: reco.Empty, waited: true},
		{name: "limit last", api: ranked("a out b c"), o: reco.Options{Limit: 2}, want: "a b", source: reco.FromAPI, waited: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			memory, ask := &remembered{near: c.near, far: c.far, empty: c.empty}, &ticket{result: c.api}
			l := newLadder(t, fallback.LadderOptions{
				Rankings: memory,
				Rules:    fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", reco.Stock{ID: "out"})),
				Policies: map[reco.EventType]fallback.Policy{reco.CategoryView: c.policy},
			})
			got := l.Answer(request(reco.CategoryView, "dresses", c.o), c.near, ask, tomorrow(), nil)
			if got.Ranking != ids(c.want) || got.Source != c.source || got.Reason != c.reason {
				t.Errorf("got %s %s (%s), want %s %s (%s)", got.Source, got.Ranking.JSON(), got.Reason, c.source, ids(c.want).JSON(), c.reason)
			}
			if (ask.waited > 0) != c.waited || ask.waited+ask.released > 1 {
				t.Errorf("got %d waits and %d releases, want a wait %t", ask.waited, ask.released, c.waited)
			}
			if hit := c.near.Status == cache.Fresh; hit && memory.looked > 0 {
				t.Error("Redis was asked for what memory has")
			}
		})
	}
}

// The age and the life in the headers are those of the list that is shown.
func TestSteppingDownToAnOlderRankingTakesItsAge(t *testing.T) {
	l := newLadder(t, fallback.LadderOptions{Rankings: &remembered{far: stale("b")}})
	got := l.Answer(request(reco.CategoryView, "dresses", reco.Options{Exclude: []string{"a"}}), cache.Found{}, &ticket{result: ranked("a")}, tomorrow(), nil)
	if got.Source != reco.FromStale || got.Age != time.Hour || got.TTL != -time.Minute {
		t.Errorf("got %+v, want the older ranking with its age and life", got)
	}
}

func TestHoldout(t *testing.T) {
	held := func(percent float64, salt string) func(i int) bool {
		l := newLadder(t, fallback.LadderOptions{Rankings: &remembered{}, HoldoutPercent: percent, HoldoutSalt: salt})
		return func(i int) bool {
			req := &reco.Request{Event: reco.Event{Session: "session-" + strconv.Itoa(i), Type: reco.CustomShelf}}
			return !l.Wanted(req)
		}
	}
	const sessions = 50_000
	for _, percent := range []float64{0, 0.5, 5, 50, 100} {
		for _, salt := range []string{"", "spring", "autumn"} {
			here, there, n := held(percent, salt), held(percent, salt), 0
			more := held(min(100, 2*percent), salt)
			for i := range sessions {
				if here(i) != there(i) {
					t.Fatalf("%v%%: two pods disagree on a session", percent)
				}
				if here(i) && !more(i) {
					t.Fatalf("%v%%: a session leaves when the share grows", percent)
				}
				if here(i) {
					n++
				}
			}
			p := percent / 100
			// Five standard deviations: the salts are fixed, so this either always holds or never.
			if got, slack := float64(n)/sessions, 5*math.Sqrt(p*(1-p)/sessions); math.Abs(got-p) > slack {
				t.Errorf("%v%%, salt %q: got a share of %.4f, want it within %.4f", percent, salt, got, slack)
			}
		}
	}
	spring, autumn, both := held(50, "spring"), held(50, "autumn"), 0
	for i := range sessions {
		if spring(i) && autumn(i) {
			both++
		}
	}
	if got := float64(both) / sessions; math.Abs(got-0.25) > 0.01 {
		t.Errorf("two salts of half the sessions share %.3f of them, want about a quarter", got)
	}
}

func TestShadow(t *testing.T) {
	var got []string
	l := newLadder(t, fallback.LadderOptions{
		Rankings: &remembered{},
		Policies: map[reco.EventType]fallback.Policy{reco.CategoryView: {Mode: fallback.Shadow}},
		Shadowed: func(e reco.EventType, shown, instead reco.Ranking) {
			got = append(got, fmt.Sprint(e, shown.IDs(), instead.IDs()))
		},
	})
	native := reco.Options{Native: []string{"n1"}}
	ask := func(e reco.EventType, held cache.Found, o reco.Options) reco.Answer {
		return l.Answer(request(e, "x", o), held, &ticket{result: ranked("z")}, tomorrow(), nil)
	}
	answer := ask(reco.CategoryView, fresh("a"), native)
	if answer.Source != reco.FromNative || answer.Reason != reco.Holdout || answer.Ranking != ids("n1") {
		t.Errorf("got %+v, want the native list", answer)
	}
	ask(reco.CategoryView, stale("b"), native)
	ask(reco.CategoryView, cache.Found{}, native) // nothing to compare with
	ask(reco.ProductView, fresh("c"), native)     // shown, not shadowed
	if want := []string{"categoryView [n1] [a]", "categoryView [n1] [b]"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOverlap(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		depth int
		want  float64
	}{
		{"", "", 10, 1},
		{"a", "", 10, 0},
		{"a b c", "c b a", 10, 1},
		{"a b c", "c b a", 2, 0.5},
		{"a b", "a b c d", 10, 0.5},
		{"a b c d", "e f g h", 4, 0},
	} {
		if got := fallback.Overlap(ids(c.a), ids(c.b), c.depth); got != c.want {
			t.Errorf("Overlap(%q, %q, %d): got %v, want %v", c.a, c.b, c.depth, got, c.want)
		}
	}
}

// From the moment stock is pushed, a product that is sold out is in no answer, wherever
// that comes from and however long ago.
func TestWhatIsSoldOutIsGoneFromEverySource(t *testing.T) {
	products := stocked(t, "id,availability\na,in_stock\nb,in_stock\nc,in_stock\n")
	rules := fallback.NewRules(fallback.RuleOptions{}, products)
	o := reco.Options{Native: strings.Fields("a b c")}
	sources := map[reco.Source]func() reco.Answer{}
	add := func(source reco.Source, near, far cache.Found, api delivery.Result) {
		l := newLadder(t, fallback.LadderOptions{Rankings: &remembered{near: near, far: far}, Rules: rules})
		sources[source] = func() reco.Answer {
			return l.Answer(request(reco.CategoryView, "dresses", o), near, &ticket{result: api}, tomorrow(), nil)
		}
	}
	add(reco.FromCache, inMemory(fresh("a b c")), cache.Found{}, failed(reco.Open))
	add(reco.FromAPI, cache.Found{}, cache.Found{}, ranked("a b c"))
	add(reco.FromStale, cache.Found{}, stale("a b c"), failed(reco.Timeout))
	add(reco.FromNative, cache.Found{}, cache.Found{}, failed(reco.Timeout))
	check := func(want string) {
		t.Helper()
		for source, answer := range sources {
			got := answer()
			if got.Ranking != ids(want) || want != "" && got.Source != source {
				t.Errorf("from %s: got %s %s, want %q", source, got.Source, got.Ranking.JSON(), want)
			}
			if want == "" && (got.Source != reco.FromNone || got.Reason != reco.OutOfStock) {
				t.Errorf("from %s: got %s (%s), want none (out-of-stock)", source, got.Source, got.Reason)
			}
		}
	}
	push := func(id string, quantity int) {
		t.Helper()
		if err := products.Push(t.Context(), []reco.Stock{{ID: id, Quantity: quantity}}); err != nil {
			t.Fatal(err)
		}
	}
	check("a b c")
	push("b", 0)
	check("a c")
	push("a", 0)
	push("c", 0)
	check("")
	push("b", 1)
	check("b")
}
