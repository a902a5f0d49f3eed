//go:build !race

package fallback_test

import (
	"testing"
	"time"

	"vitrine/fallback"
)

// A native ordering that is there costs a request no memory.
func TestAskAllocations(t *testing.T) {
	n := start(t, fallback.NativeOptions{Platform: &shopFake{}})
	event := view("c")
	n.Ask(event).Wait(time.Now().Add(10 * time.Second))
	got := testing.AllocsPerRun(100, func() {
		if _, _, found := n.Ask(event).Wait(time.Time{}); !found {
			t.Error("got no list")
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want none", got)
	}
}
