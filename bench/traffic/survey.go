package traffic

import (
	"math/rand/v2"
	"slices"

	"vitrine/bench/shopdata"
)

// Lengths draws session lengths of the model before they are rounded to pages, and
// returns them sorted.
func Lengths(m Model, n int) []float64 {
	rng := rand.New(rand.NewPCG(m.Seed, 1))
	unclipped := m.Length
	unclipped.Min = 0 // the clip at one page hides nothing of the fit below the median
	out := make([]float64, n)
	for i := range out {
		out[i] = unclipped.Draw(rng)
	}
	slices.Sort(out)
	return out
}

// Census is what a crowd was seen to do.
type Census struct {
	ProductPages float64    // share of all pages
	Repeats      float64    // share of shoppers' product pages that show a product of the session again
	CouldRepeat  float64    // share of them that had one to show again
	Bots         float64    // share of all pages
	Top          [2]float64 // share of first views that go to the top 1 % and 10 % of products
}

// Survey watches a crowd look at so many pages.
func Survey(m Model, catalogue *shopdata.Catalogue, pages int) Census {
	c := NewCrowd(m, catalogue, 10)
	rank := make(map[string]float64, len(catalogue.Products))
	for i, id := range catalogue.BestSellers() {
		rank[id] = float64(i) / float64(len(catalogue.Products))
	}
	var out Census
	var products, bots, shoppers, first float64
	seen := make(map[string]map[string]bool) // by session
	for range pages {
		r := c.Page(0).Requests[0]
		if r.Bot {
			bots++
		}
		if r.Type != productView {
			continue
		}
		products++
		if r.Bot {
			continue
		}
		shoppers++
		had := seen[r.Session]
		if had == nil {
			had = make(map[string]bool)
			seen[r.Session] = had
		} else {
			out.CouldRepeat++
		}
		if had[r.ID] {
			out.Repeats++
			continue
		}
		had[r.ID] = true
		first++
		if rank[r.ID] < 0.01 {
			out.Top[0]++
		}
		if rank[r.ID] < 0.1 {
			out.Top[1]++
		}
	}
	out.ProductPages, out.Bots = products/float64(pages), bots/float64(pages)
	out.Repeats, out.CouldRepeat = out.Repeats/shoppers, out.CouldRepeat/shoppers
	out.Top[0], out.Top[1] = out.Top[0]/first, out.Top[1]/first
	return out
}
