package rank

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

// API ranks as the real one might. A product's score is the logarithm of its popularity,
// plus Taste times its likeness to what the session has looked at, the latest counting
// most, and to the product it is shown beside, plus a whim that is each session's own.
//
// The weights are assumptions. Taste 0 ranks alike for everybody, a large one for the
// last click.
type API struct {
	Catalogue *shopdata.Catalogue
	Seed      uint64
	Taste     float64
	Whim      float64 // standard deviations of the whim, against those of the popularity's logarithm
}

// looks is what a session has looked at, the latest last.
type looks []string

const (
	mostLooks = 10  // that the API remembers
	fading    = 0.7 // weight of a look, against the one after it
	topList   = 24  // of a list that is not a whole category
	ofLook    = 6   // products of a look
)

// with returns the looks and one more. It leaves l as it is: older lists depend on it.
func (l looks) with(product string) looks {
	from := max(0, len(l)+1-mostLooks)
	return append(slices.Clone(l[from:]), product)
}

// Rank returns the list for a request of a session that has looked at these products.
func (a API) Rank(r traffic.Request, seen looks) []string {
	viewed, isProduct := a.Catalogue.Product(r.ID)
	pool, most := a.Catalogue.IDs(), topList
	switch r.Type {
	case fakeapi.CategoryView:
		category, _ := a.Catalogue.Category(r.ID)
		pool, most = category.Products, len(category.Products)
	case fakeapi.ProductView:
		category, _ := a.Catalogue.Category(viewed.Category)
		pool = category.Products
	case fakeapi.ShopTheLook:
		most = ofLook
	}
	type scored struct {
		id    string
		score float64
	}
	list := make([]scored, 0, len(pool))
	for _, id := range pool {
		p, _ := a.Catalogue.Product(id)
		if id == r.ID || r.Type == fakeapi.ShopTheLook && p.Category == viewed.Category {
			continue
		}
		score := math.Log(p.Popularity) + a.Whim*whim(a.Seed, r.Session, id) + a.Taste*a.liking(p, seen)
		if isProduct {
			score += a.Taste * likeness(p, viewed)
		}
		list = append(list, scored{id, score})
	}
	slices.SortFunc(list, func(x, y scored) int {
		return cmp.Or(cmp.Compare(y.score, x.score), cmp.Compare(x.id, y.id))
	})
	ids := make([]string, min(most, len(list)))
	for i := range ids {
		ids[i] = list[i].id
	}
	return ids
}

// liking is how much p is like what a session has looked at.
func (a API) liking(p shopdata.Product, seen looks) float64 {
	sum, weight := 0.0, 1.0
	for _, id := range slices.Backward(seen) {
		other, _ := a.Catalogue.Product(id)
		sum += weight * likeness(p, other)
		weight *= fading
	}
	return sum
}

// likeness of two products, from 0 to 1.
func likeness(p, q shopdata.Product) float64 {
	like := 0.0
	if p.Category == q.Category {
		like += 0.5
	}
	if p.Brand == q.Brand {
		like += 0.3
	}
	if p.Colour == q.Colour {
		like += 0.2
	}
	return like
}

// whim is a draw for a session and a product, about normal with a deviation of 1: the
// sum of four even ones.
func whim(seed uint64, session, product string) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(session + "\x00" + product)) // a hash takes everything
	bits, sum := (h.Sum64()^seed)*0x9e3779b97f4a7c15, 0.0
	bits ^= bits >> 29
	bits *= 0xbf58476d1ce4e5b9
	bits ^= bits >> 32
	for range 4 {
		sum += float64(bits&0xffff)/0x10000 - 0.5
		bits >>= 16
	}
	return sum * math.Sqrt(3) // four even draws have a variance of a third together
}
