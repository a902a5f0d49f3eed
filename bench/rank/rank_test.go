package rank_test

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rank"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/internal/reco"
)

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestRBO(t *testing.T) {
	for _, c := range []struct {
		a, b string
		p    float64
		want float64
	}{
		{"", "", 0.9, 1},
		{"a", "", 0.9, 0},
		{"a b c", "a b c", 0.9, 1},
		{"a b c", "d e f", 0.9, 0},
		// Agreement is 0 at depth 1 and 1 at depth 2, and extrapolated from there on.
		{"a b", "b a", 0.9, 0.9},
		// Agreement is 1, then 1/2, then that for ever.
		{"a b", "a c", 0.5, 0.75},
		// The shorter list goes on as it began: (1-p)/p (p + (1 + 1)/2 p²) + p² = 1.
		{"a", "a b", 0.5, 1},
		// Nothing at depth 1, one of two at depth 2: (1-p)/p 1/2 p² + 1/2 p², X_s being 0.
		{"b", "a b", 0.5, 0.25},
	} {
		got := rank.RBO(strings.Fields(c.a), strings.Fields(c.b), c.p)
		if !near(got, c.want) {
			t.Errorf("RBO(%q, %q, %v): got %v, want %v", c.a, c.b, c.p, got, c.want)
		}
	}
}

// some returns some of the products a to l in any order.
func some(rng *rand.Rand) []string {
	all := strings.Fields("a b c d e f g h i j k l")
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all[:rng.IntN(len(all)+1)]
}

func TestMeasuresAreShares(t *testing.T) {
	law := func(seed uint64) bool {
		rng := rand.New(rand.NewPCG(seed, 1))
		a, b := some(rng), some(rng)
		rbo, ndcg := rank.RBO(a, b, 0.9), rank.NDCG(a, b, 10)
		return rbo >= 0 && rbo <= 1+1e-9 && ndcg >= 0 && ndcg <= 1+1e-9 &&
			near(rbo, rank.RBO(b, a, 0.9)) && near(rank.RBO(a, a, 0.9), 1) && near(rank.NDCG(a, a, 10), 1)
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 500}); err != nil {
		t.Error(err)
	}
}

func TestNDCG(t *testing.T) {
	second := 1 / math.Log2(3)
	for _, c := range []struct {
		shown, best string
		k           int
		want        float64
	}{
		{"", "", 10, 1},
		{"a", "", 10, 1},
		{"", "a", 10, 0},
		{"x y", "a b", 2, 0},
		{"b a", "a b", 2, (1 + 2*second) / (2 + second)},
		{"x a", "a b", 2, 2 * second / (2 + second)},
		{"a c", "a b c", 2, 2 / (2 + second)}, // c is not among the first two
	} {
		if got := rank.NDCG(strings.Fields(c.shown), strings.Fields(c.best), c.k); !near(got, c.want) {
			t.Errorf("NDCG(%q, %q, %d): got %v, want %v", c.shown, c.best, c.k, got, c.want)
		}
	}
}

func TestTheStandInRanks(t *testing.T) {
	catalogue := shopdata.New(1, 400, 8)
	neutral := rank.API{Catalogue: catalogue}
	shelf := traffic.Request{Session: "s", Type: fakeapi.CustomShelf}
	if got, want := neutral.Rank(shelf, nil), catalogue.BestSellers()[:24]; !slices.Equal(got, want) {
		t.Errorf("without taste and whim: got %q, want the best sellers %q", got, want)
	}
	look := traffic.Request{Session: "s", Type: fakeapi.ShopTheLook, ID: "p1"}
	viewed, _ := catalogue.Product("p1")
	for _, id := range neutral.Rank(look, nil) {
		if p, _ := catalogue.Product(id); p.Category == viewed.Category {
			t.Errorf("a look for p1: got %s of the same category", id)
		}
	}
	keen := rank.API{Catalogue: catalogue, Taste: 100}
	liked, _ := catalogue.Product("p7")
	got := keen.Rank(shelf, []string{"p7"})
	if p, _ := catalogue.Product(got[0]); p.Category != liked.Category || p.Brand != liked.Brand || p.Colour != liked.Colour {
		t.Errorf("after a look at %+v: got %+v first", liked, p)
	}
	moody := rank.API{Catalogue: catalogue, Whim: 1}
	other := shelf
	other.Session = "t"
	if slices.Equal(moody.Rank(shelf, nil), moody.Rank(other, nil)) {
		t.Error("two sessions have the same whims")
	}
}

// small is a scenario that takes no time.
func small() rank.Scenario {
	s := rank.DefaultScenario()
	s.API.Catalogue = shopdata.New(1, 200, 8)
	s.Pages, s.Length, s.From, s.Outage = 1, 20*time.Minute, 15*time.Minute, 5*time.Minute
	return s
}

func TestSimulate(t *testing.T) {
	s := small()
	got := rank.Simulate(s)
	sum := 0
	for kind, bySource := range got.Tallies {
		for source, tally := range bySource {
			sum += tally.Answers
			q := tally.Mean()
			for _, v := range []float64{q.RBO, q.Overlap, q.NDCG} {
				if v < 0 || v > 1+1e-9 {
					t.Errorf("%s from %s: got %+v, want shares", kind, source, q)
				}
			}
			if source == reco.FromAPI {
				t.Error("the API answered in its outage")
			}
		}
	}
	if got.Answers == 0 || sum != got.Answers {
		t.Errorf("got %d answers, and %d in all tallies", got.Answers, sum)
	}
	if looks := got.Tallies[reco.ShopTheLook]; looks[reco.FromNative] != nil {
		t.Error("a look has a native list")
	}
	again := rank.Simulate(s)
	if again.Answers != got.Answers || again.Tallies[reco.CategoryView][reco.FromNative].Mean() != got.Tallies[reco.CategoryView][reco.FromNative].Mean() {
		t.Error("the same scenario came out differently")
	}
}

// An API that minds nothing but popularity would answer as before: older lists are its own.
func TestAStaleListOfAnAPIThatNeverChangesItsMindIsItsOwn(t *testing.T) {
	s := small()
	s.API.Taste, s.API.Whim = 0, 0
	for kind, bySource := range rank.Simulate(s).Tallies {
		for _, source := range []reco.Source{reco.FromCache, reco.FromStale} {
			if tally := bySource[source]; tally != nil && !near(tally.Mean().RBO, 1) {
				t.Errorf("%s from %s: got %+v, want the API's own list", kind, source, tally.Mean())
			}
		}
	}
}

func TestRun(t *testing.T) {
	var out, problems bytes.Buffer
	if code := rank.Run([]string{"-for=5m", "-from=3m", "-outage=1m", "-pages=1"}, &out, &problems); code != 0 || problems.Len() > 0 {
		t.Fatalf("got exit code %d: %s", code, &problems)
	}
	for _, want := range []string{"simulation", "RBO p=0.9", "overlap@10", "NDCG@10", "native", "100.0 %"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", &out, want)
		}
	}
	for _, args := range [][]string{{"-for=1m"}, {"-pages=0"}, {"-taste=-1"}, {"-nope"}} {
		if code := rank.Run(args, &out, &problems); code != 2 {
			t.Errorf("%q: got exit code %d, want 2", args, code)
		}
	}
}
