package reco_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"vitrine/internal/reco"
)

// Whatever is done to a list, it holds what a slice would that is searched from end to end.
func TestListIsASliceWithoutRepetitions(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	var l reco.List
	for range 300 {
		var want []string
		distinct := reco.NewRanking(names(random.IntN(400), 0))
		for id := range distinct.All {
			l.Append(id)
			want = append(want, id)
		}
		for range random.IntN(1200) {
			id := names(1, random.IntN(900))[0]
			isNew := !slices.Contains(want, id)
			if got := l.Add(id); got != isNew {
				t.Fatalf("got %t adding %q to %d ids, want %t", got, id, len(want), isNew)
			}
			if isNew {
				want = append(want, id)
			}
			if random.IntN(200) == 0 {
				n := random.IntN(len(want) + 1)
				l.Cut(n)
				want = want[:n]
			}
		}
		if got := l.IDs(); !slices.Equal(got, want) || l.Len() != len(want) {
			t.Fatalf("got %d ids, want %d: %q, %q", l.Len(), len(want), got, want)
		}
		if got := l.Ranking(); !slices.Equal(got.IDs(), want) {
			t.Fatalf("got %s, want %q", got.JSON(), want)
		}
		l.Reset()
		if got := l.Ranking(); l.Len() != 0 || !got.Empty() {
			t.Fatalf("got %s after a reset, want nothing", got.JSON())
		}
	}
}

// names returns n ids, some of which JSON does not hold as they are.
func names(n, from int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "product-" + strconv.Itoa(from+i)
		switch (from + i) % 50 {
		case 7:
			ids[i] += `"`
		case 8:
			ids[i] += "é"
		}
	}
	return ids
}

func TestListTakesNoIDThatNoDocumentHolds(t *testing.T) {
	t.Parallel()
	var l reco.List
	for _, id := range []string{"", "\xff", "a\xed\xa0\x80"} {
		if l.Add(id) {
			t.Errorf("got %q added, want not", id)
		}
	}
	if got := l.Ranking(); !got.Empty() {
		t.Errorf("got %s, want nothing", got.JSON())
	}
}
