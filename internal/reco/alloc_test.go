//go:build !race

package reco_test

import (
	"testing"

	"vitrine/internal/reco"
)

// Under the race detector the compiler allocates where it otherwise need not.
func TestAllocations(t *testing.T) {
	event, err := reco.ParseEvent([]byte(pageView))
	if err != nil {
		t.Fatal(err)
	}
	body, dst, ranking, length := []byte(pageView), make([]byte, 0, 256), rankingOf(24), 0
	tests := []struct {
		name string
		do   func()
		want float64
	}{
		{"ParseRequest: one copy of the body", func() { _, _ = reco.ParseRequest(body) }, 1},
		{"AppendJSON into room enough", func() { dst = event.AppendJSON(dst[:0]) }, 0},
		{"Clone: one string for three", func() { event = event.Clone() }, 1},
		{"All", func() {
			for id := range ranking.All {
				length += len(id)
			}
		}, 0},
		{"Without an id it lacks", func() { ranking = ranking.Without("none of them") }, 0},
	}
	for _, tt := range tests {
		if got := testing.AllocsPerRun(100, tt.do); got != tt.want {
			t.Errorf("%s: got %v allocations, want %v", tt.name, got, tt.want)
		}
	}
}
