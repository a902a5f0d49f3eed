package main_test

import (
	"net/http"
	"slices"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/fakeshop"
)

func newShop(t *testing.T) *fakeshop.Server {
	t.Helper()
	shop, err := fakeshop.Start(fakeshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shop.Close() })
	return shop
}

// platformOf is the configuration of a shop's native orderings.
func platformOf(shop *fakeshop.Server) []string {
	return []string{
		"--platform.kind=http", "--platform.url=" + shop.URL() + "/native?category={id}", "--platform.ids=items.#.productId",
		"--platform.similar.url=" + shop.URL() + "/similar?product={id}", "--platform.similar.ids=items.#.productId",
		"--platform.shelf.url=" + shop.URL() + "/shelf", "--platform.shelf.ids=items.#.productId",
		"--platform.timeout=10s",
	}
}

func TestE2EPlatform(t *testing.T) {
	t.Parallel()
	api, shop := newAPI(t), newShop(t)
	s := start(t, api.URL(), append(platformOf(shop), "--platform.refresh=1s")...)
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	sells := shop.Catalogue()
	category, _ := sells.Category("c1")
	similar := slices.DeleteFunc(slices.Clone(sells.Similar("p1")), func(id string) bool { return id == "p1" })

	ask := func(when, reason string) {
		t.Helper()
		want(t, "a category "+when, s.ask(question(fakeapi.CategoryView, "s1", "c1")), "native", reason, category.Products)
		want(t, "a product "+when, s.ask(productView("s2", "p1")), "native", reason, similar)
		want(t, "a shelf "+when, s.ask(question(fakeapi.CustomShelf, "s3", "")), "native", reason, sells.BestSellers()[:24])
		want(t, "a look "+when, s.ask(question(fakeapi.ShopTheLook, "s4", "p1")), "none", reason, []string{})
	}
	ask("in the shop's order", "empty")
	// The request's own list is always right.
	want(t, "its own list", s.ask(question(fakeapi.CategoryView, "s5", "c1", own)), "native", "empty", ownList())

	before := shop.Stats().Requests["/native"]
	shop.Set(fakeshop.Fault{Down: true})
	ask("without the shop", "empty")
	eventually(t, "a refresh has failed", func() bool {
		s.ask(question(fakeapi.CategoryView, "s6", "c1"))
		return shop.Stats().Requests["/native"] > before
	})
	ask("after a refresh in vain", "empty")

	shop.Clear()
	shop.Disable(category.Products[0])
	eventually(t, "a refresh has brought the new order", func() bool {
		return slices.Equal(s.ask(question(fakeapi.CategoryView, "s7", "c1")).products, category.Products[1:])
	})
}

// A category the shop does not have, or throttles, is no empty category.
func TestE2EPlatformErrors(t *testing.T) {
	t.Parallel()
	api, shop := newAPI(t), newShop(t)
	s := start(t, api.URL(), platformOf(shop)...)
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	want(t, "a category nobody knows", s.ask(question(fakeapi.CategoryView, "s1", "nope")), "none", "empty", []string{})
	shop.Set(fakeshop.Fault{Errors: true})
	want(t, "a throttled answer", s.ask(question(fakeapi.CategoryView, "s1", "c2")), "none", "empty", []string{})
}

func TestE2EStock(t *testing.T) {
	t.Parallel()
	api, shop := newAPI(t), newShop(t)
	s := start(t, api.URL(), append(platformOf(shop), "--catalog.url="+shop.URL()+"/feed.tsv")...)
	ranking := api.Ranking("s1", "", fakeapi.ProductView, "p1")
	// Until the feed is read, stock is what was pushed.
	s.ask(productView("s1", "p1"))
	inStock := s.ask(productView("s1", "p1")).products
	for _, c := range []struct {
		body   string
		status int
	}{
		{`[{"id":"` + inStock[0] + `","quantity":0},{"id":"unheard of","quantity":7}]`, http.StatusNoContent},
		{`[]`, http.StatusNoContent},
		{`{}`, http.StatusBadRequest},
		{`[{"id":"p1"}]`, http.StatusBadRequest},
		{`[{"id":"","quantity":1}]`, http.StatusBadRequest},
		{`[{"id":"p1","quantity":-1}]`, http.StatusBadRequest},
		{`[{"id":"p1","quantity":1.5}]`, http.StatusBadRequest},
		{`[{"id":"p1","quantity":1}`, http.StatusBadRequest},
	} {
		if status, body := s.call(http.MethodPost, s.data+"/v1/stock", c.body); status != c.status {
			t.Errorf("%s: got %d %s, want %d", c.body, status, body, c.status)
		}
	}
	for what, got := range map[string]answer{
		"cache":  s.ask(productView("s1", "p1")),
		"api":    s.ask(productView("s1", "p1", `"userId":"9"`)),
		"native": s.ask(productView("s1", "p1", `"vitrine":{"bot":true,"native":["`+inStock[0]+`"]}`)),
	} {
		if slices.Contains(got.products, inStock[0]) {
			t.Errorf("%s: got the sold-out %s in %v", what, inStock[0], got)
		}
	}
	if !slices.Contains(ranking, inStock[0]) {
		t.Errorf("got %s shown, want it from %q", inStock[0], ranking)
	}

	bare := start(t, api.URL())
	if status, _ := bare.call(http.MethodPost, bare.data+"/v1/stock", `[]`); status != http.StatusNotFound {
		t.Errorf("without catalogue and rules: got %d, want 404", status)
	}
}
