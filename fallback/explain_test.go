package fallback_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// frozen is an order that a test has frozen, and how often it was told to freeze one.
type frozen struct {
	order   cache.Order
	freezes int
}

func (f *frozen) Freeze(reco.Event, cache.Order) { f.freezes++ }

func (f *frozen) Frozen(reco.Event, time.Time, *trace.Span) (cache.Order, bool) {
	return f.order, !f.order.Ranking.Empty()
}

// some returns a list of some of the products a to h, in any order, "out" among them.
func some(rng *rand.Rand) []string {
	all := strings.Fields("a b c d e f g h out")
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:rng.IntN(len(all)+1)]
}

func someFound(rng *rand.Rand) cache.Found {
	f := cache.Found{Ranking: reco.NewRanking(some(rng)), Status: cache.Status(rng.IntN(3)), Tier: reco.Memory}
	if f.Ranking.Empty() {
		return cache.Found{}
	}
	return f
}

// What is explained is what is answered, for any state of things.
func TestExplainIsWhatIsAnswered(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 2))
	rules := fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", reco.Stock{ID: "out"}))
	modes := []fallback.Mode{fallback.On, fallback.On, fallback.NativeOnly, fallback.Shadow}
	for i := range 3000 {
		near := someFound(rng)
		memory := &remembered{near: near, far: near, empty: rng.IntN(4) == 0}
		if near.Status != cache.Fresh && rng.IntN(2) == 0 {
			memory.far = someFound(rng)
		}
		orders := &frozen{}
		if rng.IntN(2) == 0 {
			orders.order = cache.Order{Ranking: reco.NewRanking(some(rng)), Source: reco.FromCache}
		}
		shadowed := 0
		o := fallback.LadderOptions{
			Rankings: memory, Orders: orders, Rules: rules, HoldoutPercent: 20, HoldoutSalt: fmt.Sprint(i),
			Policies: map[reco.EventType]fallback.Policy{reco.ProductView: {Mode: modes[rng.IntN(len(modes))], MinItems: rng.IntN(6)}},
			Shadowed: func(reco.EventType, reco.Ranking, reco.Ranking) { shadowed++ },
		}
		if rng.IntN(3) == 0 {
			o.Rules = nil
		}
		l := newLadder(t, o)
		req := request(reco.ProductView, "a", reco.Options{
			Native: some(rng), Exclude: []string{"b"}[:rng.IntN(2)], Limit: rng.IntN(4), Complete: rng.IntN(3) == 0, Bot: rng.IntN(10) == 0,
		})
		if rng.IntN(2) == 0 {
			req.Page = reco.Page{Size: 1 + rng.IntN(4), Number: 1 + rng.IntN(3)}
		}
		api, result := breaker.Snapshot{State: breaker.Closed}, failed(reco.Timeout)
		if rng.IntN(2) == 0 {
			api.State, result = breaker.Open, failed(reco.Open)
		}

		got := l.Explain(req, api, tomorrow())
		if shadowed > 0 || orders.freezes > 0 {
			t.Fatal("the explanation left a trace")
		}
		held := near
		if req.Bot { // the journey looks for nothing
			held = cache.Found{}
		}
		want := l.Answer(req, held, &ticket{result: result}, tomorrow(), nil)
		if got.Source != want.Source.String() || got.Reason != string(want.Reason) || !slices.Equal(shown(got), want.Ranking.IDs()) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		if len(got.Products) > 0 && got.Products[0].Source != got.Source && len(orders.order.Ranking.IDs()) == 0 && req.Page.Size == 0 {
			t.Fatalf("got %+v, want the answer's source to be its first product's", got)
		}
	}
}

func shown(x *fallback.Explanation) []string {
	var ids []string
	for _, p := range x.Products {
		ids = append(ids, p.ID)
	}
	return ids
}

func rungsOf(x *fallback.Explanation) (all []string) {
	for _, r := range x.Rungs {
		all = append(all, r.Rung+": "+r.Gave)
	}
	return all
}

func TestExplain(t *testing.T) {
	l := newLadder(t, fallback.LadderOptions{
		Rankings: &remembered{near: stale("old"), far: cache.Found{Ranking: ids("a out b"), Status: cache.Stale, Tier: reco.Redis, Age: time.Minute, TTL: -time.Second}},
		Rules:    fallback.NewRules(fallback.RuleOptions{}, stocked(t, "", reco.Stock{ID: "out"})),
		Policies: map[reco.EventType]fallback.Policy{reco.CategoryView: {MinItems: 3}},
	})
	req := request(reco.CategoryView, "dresses", reco.Options{Native: []string{"n1", "out", "n2", "a"}, Exclude: []string{"n1"}, Limit: 3})
	req.Session, req.User = "secret-session", "secret-user"
	got := l.Explain(req, breaker.Snapshot{State: breaker.Open, Reason: "5 connection failures in a row"}, tomorrow())
	if want := []string{"memory: stale", "redis: stale", "api: not asked", "stale: stale", "native:request: a list"}; !slices.Equal(rungsOf(got), want) {
		t.Errorf("rungs: got %q, want %q", rungsOf(got), want)
	}
	if why := got.Rungs[2].Why; why != "its breaker is open: 5 connection failures in a row" {
		t.Errorf("the API: got %q", why)
	}
	wantShown := []fallback.Shown{{ID: "a", Source: "stale"}, {ID: "b", Source: "stale"}, {ID: "n2", Source: "native"}}
	if !slices.Equal(got.Products, wantShown) {
		t.Errorf("products: got %v, want %v", got.Products, wantShown)
	}
	wantRemoved := []fallback.Taken{
		{ID: "out", Source: "stale", Rule: fallback.RuleStock},
		{ID: "out", Source: "native", Rule: fallback.RuleStock},
		{ID: "n1", Source: "native", Rule: fallback.RuleExcluded},
	}
	if !slices.Equal(got.Removed, wantRemoved) {
		t.Errorf("removed: got %v, want %v", got.Removed, wantRemoved)
	}
	text, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "secret") {
		t.Errorf("got %s, want neither session nor user in it", text)
	}
}

func TestExplainTellsWhyTheAPIIsNotAsked(t *testing.T) {
	pause := time.Now().Add(time.Minute)
	for _, c := range []struct {
		name   string
		empty  bool
		o      reco.Options
		policy fallback.Policy
		api    breaker.Snapshot
		want   string
		reason reco.Reason
	}{
		{name: "asked", want: "api: would be asked", reason: reco.Timeout},
		{name: "a bot", o: reco.Options{Bot: true}, want: "api: not asked", reason: reco.Bot},
		{name: "switched off", policy: fallback.Policy{Mode: fallback.NativeOnly}, want: "api: not asked", reason: reco.Holdout},
		{name: "known to be empty", empty: true, want: "api: not asked", reason: reco.Empty},
		{name: "open", api: breaker.Snapshot{State: breaker.Open}, want: "api: not asked", reason: reco.Open},
		{name: "a pause", api: breaker.Snapshot{State: breaker.Open, HoldUntil: pause}, want: "api: not asked", reason: reco.RateLimited},
	} {
		l := newLadder(t, fallback.LadderOptions{
			Rankings: &remembered{empty: c.empty},
			Policies: map[reco.EventType]fallback.Policy{reco.CategoryView: c.policy},
		})
		got := l.Explain(request(reco.CategoryView, "x", c.o), c.api, tomorrow())
		if !slices.Contains(rungsOf(got), c.want) || got.Reason != string(c.reason) {
			t.Errorf("%s: got %q (%s), want %q (%s)", c.name, rungsOf(got), got.Reason, c.want, c.reason)
		}
	}
}

// A page's products keep the sources they had in the list it was cut from.
func TestExplainAPage(t *testing.T) {
	l := newLadder(t, fallback.LadderOptions{
		Rankings: &remembered{far: stale("a b")}, Orders: &frozen{},
		Policies: map[reco.EventType]fallback.Policy{reco.CategoryView: {MinItems: 4}},
	})
	req := request(reco.CategoryView, "x", reco.Options{Native: []string{"c", "d"}, Page: reco.Page{Size: 2, Number: 2}})
	got := l.Explain(req, breaker.Snapshot{State: breaker.Closed}, tomorrow())
	want := []fallback.Shown{{ID: "c", Source: "native"}, {ID: "d", Source: "native"}}
	if !slices.Equal(got.Products, want) || got.Reason != "topped-up" {
		t.Errorf("got %+v, want %v, topped up", got, want)
	}
}

var _ fallback.Ticket = (*delivery.Ticket)(nil)
