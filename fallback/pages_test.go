package fallback_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
)

// paging is a ladder whose orders are kept in a cache of its own, over an API that ranks
// differently each time it is asked.
type paging struct {
	t        *testing.T
	orders   *cache.Cache
	products *catalog.Catalog
	ladder   *fallback.Ladder
	api      []string
}

func newPaging(t *testing.T, products int) *paging {
	t.Helper()
	o := cache.Options{Memory: 1 << 20}
	for _, e := range reco.EventTypes {
		o.Policies[e] = cache.Policy{Fresh: time.Minute, Stale: 30 * time.Minute}
	}
	orders, err := cache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	p := &paging{t: t, orders: orders, products: stocked(t, "")}
	p.ladder = newLadder(t, fallback.LadderOptions{
		Rankings: &remembered{}, Orders: orders, Rules: fallback.NewRules(fallback.RuleOptions{}, p.products),
	})
	for i := range products {
		p.api = append(p.api, "p"+strconv.Itoa(i))
	}
	return p
}

// ask asks for a page, after which the API ranks the other way round.
func (p *paging) ask(size, number int, change ...func(*reco.Options)) reco.Answer {
	p.t.Helper()
	o := reco.Options{Page: reco.Page{Size: size, Number: number}}
	for _, f := range change {
		f(&o)
	}
	list := reco.NewRanking(p.api)
	slices.Reverse(p.api)
	t := &ticket{}
	t.result.Ranking = list
	answer := p.ladder.Answer(request(reco.CategoryView, "dresses", o), cache.Found{}, t, tomorrow(), nil)
	if t.waited+t.released != 1 {
		p.t.Errorf("page %d: got %d waits and %d releases of the event's ticket, want one of them", number, t.waited, t.released)
	}
	return answer
}

func (p *paging) soldOut(id string) {
	p.t.Helper()
	if err := p.products.Push(p.t.Context(), []reco.Stock{{ID: id}}); err != nil {
		p.t.Fatal(err)
	}
}

// All pages together are the order that the first one froze, whatever is ranked since.
func TestPagesAreTheFrozenOrder(t *testing.T) {
	law := func(products, size uint8, seed uint64) bool {
		p := newPaging(t, int(products))
		step := 1 + int(size)%30
		want := slices.Clone(p.api)
		var got []string
		first := p.ask(step, 1)
		got = append(got, first.Ranking.IDs()...)
		rng := rand.New(rand.NewPCG(seed, 1))
		for number := 2; (number-1)*step < len(want); number++ {
			for range rng.IntN(3) { // asked for more than once
				p.ask(step, number)
			}
			page := p.ask(step, number)
			if page.Source != reco.FromCache {
				t.Errorf("page %d: got source %s, want cache", number, page.Source)
			}
			got = append(got, page.Ranking.IDs()...)
		}
		return slices.Equal(got, want) && (len(want) == 0 || first.Source == reco.FromAPI)
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 60}); err != nil {
		t.Error(err)
	}
}

func TestTurningPages(t *testing.T) {
	p := newPaging(t, 10)
	check := func(what string, got reco.Answer, want string, source reco.Source, reason reco.Reason) {
		t.Helper()
		if got.Ranking != ids(want) || got.Source != source || got.Reason != reason {
			t.Errorf("%s: got %s %s (%s), want %s %q (%s)", what, got.Source, got.Ranking.JSON(), got.Reason, source, want, reason)
		}
	}
	limit := func(o *reco.Options) { o.Limit = 2 }
	check("page 1", p.ask(4, 1), "p0 p1 p2 p3", reco.FromAPI, reco.NoReason)
	check("page 2", p.ask(4, 2), "p4 p5 p6 p7", reco.FromCache, reco.NoReason)
	check("page 3, which is short", p.ask(4, 3), "p8 p9", reco.FromCache, reco.NoReason)
	check("page 4, which is not there", p.ask(4, 4), "", reco.FromNone, reco.Empty)
	check("a page far beyond", p.ask(1<<40, 1<<40), "", reco.FromNone, reco.Empty)
	check("the largest page", p.ask(math.MaxInt, 1<<40), "", reco.FromNone, reco.Empty)
	check("limit last", p.ask(4, 2, limit), "p4 p5", reco.FromCache, reco.NoReason)
	check("excluded from a later page", p.ask(4, 2, func(o *reco.Options) { o.Exclude = []string{"p5"} }), "p4 p6 p7", reco.FromCache, reco.NoReason)
	p.soldOut("p6")
	check("sold out since", p.ask(4, 2), "p4 p5 p7", reco.FromCache, reco.NoReason)
	p.soldOut("p8")
	p.soldOut("p9")
	check("a page that is sold out", p.ask(4, 3), "", reco.FromNone, reco.OutOfStock)
	p.api = ids("b2 b1 b0").IDs()
	check("page 1 freezes anew, with a limit of its own", p.ask(2, 1, limit), "b2 b1", reco.FromAPI, reco.NoReason)
	check("and page 2 follows", p.ask(2, 2), "b0", reco.FromCache, reco.NoReason)
}

// What the order lacks when it is frozen is there: top-up, completion, native reasons.
func TestTheWholeDressedListIsFrozen(t *testing.T) {
	p := newPaging(t, 2)
	complete := func(o *reco.Options) { o.Native, o.Complete = []string{"n1", "p1", "n2"}, true }
	first, second := p.ask(2, 1, complete), p.ask(2, 2, complete)
	if first.Ranking != ids("p0 p1") || second.Ranking != ids("n1 n2") {
		t.Errorf("got %s, then %s, want the list completed before it is cut", first.Ranking.JSON(), second.Ranking.JSON())
	}
	down := newPaging(t, 0)
	down.ladder = newLadder(t, fallback.LadderOptions{Rankings: &remembered{}, Orders: down.orders})
	req := request(reco.CategoryView, "x", reco.Options{Native: []string{"n1", "n2"}, Page: reco.Page{Size: 1, Number: 1}})
	for number, want := range []string{"n1", "n2"} {
		req.Page.Number = number + 1
		got := down.ladder.Answer(req, cache.Found{}, &ticket{result: failed(reco.Timeout)}, tomorrow(), nil)
		if got.Ranking != ids(want) || got.Source != reco.FromNative || got.Reason != reco.Timeout {
			t.Errorf("page %d: got %s %s (%s), want native %s (timeout)", number+1, got.Source, got.Ranking.JSON(), got.Reason, want)
		}
		req.Native = []string{"other", "things"}
	}
}

func TestABotFreezesNothing(t *testing.T) {
	p := newPaging(t, 4)
	p.ask(2, 1)
	bot := request(reco.CategoryView, "dresses", reco.Options{Bot: true, Native: []string{"n1", "n2"}, Page: reco.Page{Size: 1, Number: 1}})
	for number, want := range []string{"n1", "n2"} {
		bot.Page.Number = number + 1
		if got := p.ladder.Answer(bot, cache.Found{}, &ticket{}, tomorrow(), nil); got.Ranking != ids(want) || got.Reason != reco.Bot {
			t.Errorf("the bot's page %d: got %+v, want %s", number+1, got, want)
		}
	}
	if got := p.ask(2, 2); got.Ranking != ids("p2 p3") {
		t.Errorf("the shopper's page 2: got %s, want it as frozen", got.Ranking.JSON())
	}
}

func TestAForgottenOrderIsFrozenAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPaging(t, 4)
		p.ask(2, 1)
		time.Sleep(31 * time.Minute) // longer than a ranking may be stale
		if got := p.ask(2, 2); got.Source != reco.FromAPI || got.Ranking != ids("p1 p0") {
			t.Errorf("got %s %s, want the page of a new answer", got.Source, got.Ranking.JSON())
		}
		if got := p.ask(2, 2); got.Source != reco.FromCache || got.Ranking != ids("p1 p0") {
			t.Errorf("got %s %s, want it frozen by the last page", got.Source, got.Ranking.JSON())
		}
	})
}
