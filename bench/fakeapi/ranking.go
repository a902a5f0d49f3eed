package fakeapi

import (
	"crypto/sha256"
	"encoding/binary"
	"iter"
	"math/rand/v2"
	"slices"

	"vitrine/bench/shopdata"
)

// The documented event types.
const (
	ProductView  = "productView"
	CategoryView = "categoryView"
	ShopTheLook  = "shopTheLook"
	CustomShelf  = "customShelf"
)

// similarCalls stands where an event type would in the ranking of the read-only
// endpoint of similar products, so that its lists are not those of a productView.
const similarCalls = "similar"

// Rankings computes the lists the stand-in answers with. It is a pure value: a
// checker that holds an equal one can say of every answer whose it is.
type Rankings struct {
	// Catalogue is what the lists are drawn from.
	Catalogue *shopdata.Catalogue

	// Seed changes every list.
	Seed uint64

	// Lengths bounds the number of products per event type. A type that is missing
	// has the default: 24, 6 for shopTheLook, the whole category for categoryView.
	// A category's ranking may be made shorter than the category, as the real one is
	// for products the AI has not seen yet.
	Lengths map[string]int
}

// Ranking returns the list for one question. It differs for every session and every
// user as long as there are a few dozen products to choose from: two sessions with
// one list mean that somebody mixed them up.
//
// A product's list has products of its category without itself, a look has
// products of other categories, a shelf any. An id that the catalogue does not know
// is answered from the whole of it, because the vendor documents no such error.
func (r Rankings) Ranking(session, user, eventType, id string) []string {
	pool, fits := r.pool(eventType, id)
	want := min(r.length(eventType, len(pool)), len(pool))
	ranking := make([]string, 0, want)
	for product := range shuffled(r.source(session, user, eventType, id), pool) {
		if len(ranking) == want {
			break
		}
		if fits(product) {
			ranking = append(ranking, product)
		}
	}
	return ranking
}

// pool returns the products a list may be drawn from, and which of them fit.
func (r Rankings) pool(eventType, id string) (pool []string, fits func(string) bool) {
	all := r.Catalogue.IDs()
	notItself := func(product string) bool { return product != id }
	if eventType == CategoryView {
		if category, ok := r.Catalogue.Category(id); ok {
			return category.Products, notItself
		}
		return all, notItself
	}
	viewed, ok := r.Catalogue.Product(id)
	if !ok {
		return all, notItself
	}
	if eventType == ShopTheLook {
		return all, func(product string) bool {
			other, _ := r.Catalogue.Product(product)
			return other.Category != viewed.Category
		}
	}
	category, _ := r.Catalogue.Category(viewed.Category)
	return category.Products, notItself
}

func (r Rankings) length(eventType string, pool int) int {
	if n, ok := r.Lengths[eventType]; ok {
		return n
	}
	switch eventType {
	case CategoryView:
		if pool == len(r.Catalogue.IDs()) { // an unknown category: not the whole shop
			return min(pool, 100)
		}
		return pool
	case ShopTheLook:
		return 6
	default:
		return 24
	}
}

// source returns the randomness of one question. Every part is preceded by its
// length, so that no two questions share it.
func (r Rankings) source(parts ...string) *rand.Rand {
	text := binary.BigEndian.AppendUint64(nil, r.Seed)
	for _, part := range parts {
		text = binary.BigEndian.AppendUint32(text, uint32(len(part)))
		text = append(text, part...)
	}
	return rand.New(rand.NewChaCha8(sha256.Sum256(text)))
}

// shuffled yields the pool in random order, drawing no more than is asked for: a
// Fisher-Yates shuffle that keeps only the places it has touched.
func shuffled(rng *rand.Rand, pool []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		moved := make(map[int]int)
		at := func(i int) int {
			if j, ok := moved[i]; ok {
				return j
			}
			return i
		}
		for i := range pool {
			j := i + rng.IntN(len(pool)-i)
			chosen := at(j)
			moved[j] = at(i)
			if !yield(pool[chosen]) {
				return
			}
		}
	}
}

// dirty returns what a careless API might make of a ranking: the viewed item first,
// products nobody knows, and every third one twice.
func dirty(ranking []string, viewed string) []string {
	out := []string{viewed}
	for i, id := range ranking {
		out = append(out, id)
		if i%3 == 0 {
			out = append(out, id, "unknown-"+id)
		}
	}
	return slices.DeleteFunc(out, func(id string) bool { return id == "" })
}
