//go:build !race

package cache_test

import (
	"testing"

	"vitrine/cache"
)

// The hit of a known session must leave nothing for the garbage collector.
func TestHitAllocatesNothing(t *testing.T) {
	c := memory(t)
	e := view("session", "item")
	learn(t, c, e, ranking("p1", "p2"))
	if got := testing.AllocsPerRun(10_000, func() {
		c.Accept(e)
		if c.Peek(e).Status != cache.Fresh {
			t.Error("not a fresh hit")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
