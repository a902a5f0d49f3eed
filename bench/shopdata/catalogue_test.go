package shopdata_test

import (
	"reflect"
	"slices"
	"testing"

	"vitrine/bench/shopdata"
)

func TestSameSeedSameCatalogue(t *testing.T) {
	a, b := shopdata.New(7, 500, 10), shopdata.New(7, 500, 10)
	if !reflect.DeepEqual(a, b) {
		t.Error("got two different catalogues from one seed")
	}
	if other := shopdata.New(8, 500, 10); reflect.DeepEqual(a.Products, other.Products) {
		t.Error("got the same products from two seeds")
	}
}

func TestEveryProductIsInItsCategoryOnce(t *testing.T) {
	c := shopdata.New(1, 503, 10)
	var all []string
	for _, category := range c.Categories {
		for _, id := range category.Products {
			p, ok := c.Product(id)
			if !ok || p.Category != category.ID {
				t.Errorf("%s is on the page of %s: got category %q, known %t", id, category.ID, p.Category, ok)
			}
		}
		all = append(all, category.Products...)
	}
	slices.Sort(all)
	want := slices.Sorted(slices.Values(c.IDs()))
	if !slices.Equal(all, want) {
		t.Errorf("got %d products on category pages, want each of %d once", len(all), len(want))
	}
}

func TestBestSellersFallInPopularity(t *testing.T) {
	c := shopdata.New(1, 300, 6)
	for _, ids := range [][]string{c.BestSellers(), c.CategoryBestSellers("c2")} {
		if !slices.IsSortedFunc(ids, func(a, b string) int {
			pa, _ := c.Product(a)
			pb, _ := c.Product(b)
			return int(max(-1, min(1, (pb.Popularity-pa.Popularity)*1e9)))
		}) {
			t.Errorf("got best sellers out of order: %v", ids[:5])
		}
	}
	if got, want := len(c.CategoryBestSellers("c2")), 50; got != want {
		t.Errorf("got %d best sellers of the category, want %d", got, want)
	}
}

func TestSimilarIsNearInPriceAndNeverItself(t *testing.T) {
	c := shopdata.New(1, 300, 6)
	for _, p := range c.Products {
		similar := c.Similar(p.ID)
		if len(similar) != 24 {
			t.Fatalf("got %d similar products of %s, want 24", len(similar), p.ID)
		}
		last := 0
		for _, id := range similar {
			other, _ := c.Product(id)
			distance := max(other.Price-p.Price, p.Price-other.Price)
			if id == p.ID || other.Category != p.Category || distance < last {
				t.Fatalf("%s does not belong among the similar of %s at this place", id, p.ID)
			}
			last = distance
		}
	}
	if got := c.Similar("nothing"); got != nil {
		t.Errorf("got %v similar to an unknown product, want none", got)
	}
}

func TestSmallestCatalogue(t *testing.T) {
	c := shopdata.New(1, 0, 0)
	if len(c.Products) != 1 || len(c.Categories) != 1 {
		t.Errorf("got %d products in %d categories, want one of each", len(c.Products), len(c.Categories))
	}
}
