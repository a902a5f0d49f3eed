//go:build !race

package fallback_test

import (
	"strconv"
	"testing"
	"time"

	"vitrine/fallback"
	"vitrine/internal/reco"
)

func shelf(n int) reco.Ranking {
	list := make([]string, n)
	for i := range list {
		list[i] = "product-" + strconv.Itoa(i)
	}
	return reco.NewRanking(list)
}

// A list that needs no change costs nothing, whether nothing is known of any
// product or all of it is in stock; one that is changed costs its own encoding.
func TestDressAllocations(t *testing.T) {
	ranking := shelf(24)
	feed := "id,price,quantity\n"
	for id := range ranking.All {
		feed += id + ",10.00 BRL,5\n"
	}
	priced := fallback.RuleOptions{Product: fallback.Filter{MaxPrice: 20, LowStock: 1, FullSizeRun: true}}
	for _, c := range []struct {
		name  string
		rules *fallback.Rules
		opts  reco.Options
		want  float64
	}{
		{"without rules", nil, reco.Options{Limit: 24}, 0},
		{"nothing known", fallback.NewRules(priced, stocked(t, "")), reco.Options{}, 0},
		{"a feed", fallback.NewRules(priced, stocked(t, feed)), reco.Options{Exclude: []string{"x"}}, 0},
		{"a feed, and a removal", fallback.NewRules(priced, stocked(t, feed, reco.Stock{ID: "product-3"})), reco.Options{}, 6},
	} {
		dresser := fallback.NewDresser(c.rules)
		job := &fallback.Job{
			Request: request(reco.ProductView, "viewed", c.opts),
			Head:    fallback.Course{Ranking: ranking, Source: reco.FromNative},
			At:      time.Now(),
		}
		if got := testing.AllocsPerRun(200, func() { dresser.Dress(job) }); got > c.want {
			t.Errorf("%s: got %v allocations, want at most %v", c.name, got, c.want)
		}
	}
}

// Dressers share nothing that would make them wait or allocate for each other.
func BenchmarkDress(b *testing.B) {
	ranking := shelf(24)
	feed := "id,price,quantity\n"
	for id := range ranking.All {
		feed += id + ",10.00 BRL,5\n"
	}
	dresser := fallback.NewDresser(fallback.NewRules(fallback.RuleOptions{}, stocked(b, feed)))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		job := &fallback.Job{
			Request: request(reco.ProductView, "viewed", reco.Options{}),
			Head:    fallback.Course{Ranking: ranking, Source: reco.FromAPI},
			At:      time.Now(),
		}
		for pb.Next() {
			if dresser.Dress(job).Ranking.Empty() {
				b.Error("got an empty list")
				return
			}
		}
	})
}
