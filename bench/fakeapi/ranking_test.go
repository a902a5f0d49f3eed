package fakeapi_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

func TestRankingsArePure(t *testing.T) {
	one := fakeapi.Rankings{Catalogue: shopdata.New(3, 800, 10), Seed: 5}
	two := fakeapi.Rankings{Catalogue: shopdata.New(3, 800, 10), Seed: 5}
	a, b := one.Ranking("s", "u", fakeapi.ProductView, "p1"), two.Ranking("s", "u", fakeapi.ProductView, "p1")
	if !slices.Equal(a, b) {
		t.Errorf("got %v and %v from equal values", a, b)
	}
	two.Seed++
	if c := two.Ranking("s", "u", fakeapi.ProductView, "p1"); slices.Equal(a, c) {
		t.Error("got the same list with another seed")
	}
}

// A list that two sessions share would make a mix-up invisible.
func TestNoTwoQuestionsShareAList(t *testing.T) {
	r := fakeapi.Rankings{Catalogue: shopdata.New(1, 2000, 40)}
	seen := make(map[string]string)
	for i := range 3000 {
		session := "s" + strconv.Itoa(i)
		for _, question := range [][3]string{
			{"", fakeapi.ProductView, "p1"},
			{"90", fakeapi.ProductView, "p1"},
			{"", fakeapi.CategoryView, "c1"},
			{"", fakeapi.ShopTheLook, "p1"},
			{"", fakeapi.CustomShelf, ""},
		} {
			list := strings.Join(r.Ranking(session, question[0], question[1], question[2]), " ")
			who := session + strings.Join(question[:], "/")
			if other, taken := seen[list]; taken {
				t.Fatalf("%s and %s share the list %s", who, other, list)
			}
			seen[list] = who
		}
	}
}

// The parts of a question must not run into each other.
func TestPartsOfAQuestionAreKeptApart(t *testing.T) {
	r := fakeapi.Rankings{Catalogue: shopdata.New(1, 2000, 40)}
	if a, b := r.Ranking("ab", "c", fakeapi.CustomShelf, ""), r.Ranking("a", "bc", fakeapi.CustomShelf, ""); slices.Equal(a, b) {
		t.Error("got the same list for sessions ab and a")
	}
}

func TestWhatListsHold(t *testing.T) {
	catalogue := shopdata.New(1, 800, 10)
	r := fakeapi.Rankings{Catalogue: catalogue, Lengths: map[string]int{fakeapi.CustomShelf: 12}}
	category := func(id string) string { p, _ := catalogue.Product(id); return p.Category }
	tests := []struct {
		eventType, id string
		length        int
		fits          func(id string) bool
	}{
		{fakeapi.ProductView, "p1", 24, func(id string) bool { return id != "p1" && category(id) == category("p1") }},
		{fakeapi.ShopTheLook, "p1", 6, func(id string) bool { return category(id) != category("p1") }},
		{fakeapi.CategoryView, "c4", 80, func(id string) bool { return category(id) == "c4" }},
		{fakeapi.CategoryView, "unheard-of", 100, func(string) bool { return true }},
		{fakeapi.CustomShelf, "", 12, func(string) bool { return true }},
	}
	for _, test := range tests {
		list := r.Ranking("s", "", test.eventType, test.id)
		if len(list) != test.length {
			t.Errorf("%s of %q: got %d products, want %d", test.eventType, test.id, len(list), test.length)
		}
		sorted := slices.Sorted(slices.Values(list))
		if len(slices.Compact(sorted)) != len(list) {
			t.Errorf("%s of %q: got a product twice in %v", test.eventType, test.id, list)
		}
		for _, id := range list {
			if _, known := catalogue.Product(id); !known || !test.fits(id) {
				t.Errorf("%s of %q: %s does not belong there", test.eventType, test.id, id)
			}
		}
	}
}
