package main_test

import (
	"slices"
	"testing"

	"vitrine/bench/fakeapi"
)

// Without any platform there is a shelf and an order for every category: what sells best.
func TestE2ESalesRankingIsTheLastResort(t *testing.T) {
	t.Parallel()
	api, err := fakeapi.Start(fakeapi.Options{ColdEvents: 1000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	s := start(t, api.URL(), "--platform.sales_ranking=true", "--cache.empty=1ms")
	catalogue := api.Rankings().Catalogue
	category := catalogue.Categories[0].ID
	f := func(what, question string, best []string) {
		t.Helper()
		best = best[:min(len(best), 100)]
		eventually(t, what+" is ordered by sales", func() bool {
			got := s.ask(question)
			return got.source == "native" && got.reason == "empty" && slices.Equal(got.products, best)
		})
	}
	f("the shelf", question(fakeapi.CustomShelf, "s1", ""), catalogue.BestSellers())
	f("a category", question(fakeapi.CategoryView, "s2", category), catalogue.CategoryBestSellers(category))
	sick(t, api, fakeapi.Fault{Status: 503})
	best := catalogue.BestSellers()
	if got := s.ask(question(fakeapi.CustomShelf, "s4", "")); got.source != "native" || !slices.Equal(got.products, best[:min(len(best), 100)]) {
		t.Errorf("got %v in an outage, want what sold best before", got)
	}
	if got := s.ask(question(fakeapi.CategoryView, "s3", "no/such?category&")); got.source != "none" {
		t.Errorf("got %v, want nothing for a category that has no sales", got)
	}
}
