//go:build !race

package cache_test

import (
	"testing"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
)

// The hit of a known session must leave nothing for the garbage collector.
func TestHitAllocatesNothing(t *testing.T) {
	t.Run("memory", func(t *testing.T) { hitAllocatesNothing(t, memory(t)) })
	t.Run("shared", func(t *testing.T) {
		// It does not run: what telling Redis costs is not the request's.
		hitAllocatesNothing(t, memory(t, func(o *cache.Options) {
			o.Remote, o.RemoteBudget, o.HashKey = away{}, time.Second, hashKey
		}))
	})
}

func hitAllocatesNothing(t *testing.T, c *cache.Cache) {
	t.Helper()
	e := reco.Event{Session: "session", User: "user", Item: "item", Type: reco.ProductView}
	learn(t, c, e, ranking("p1", "p2"))
	if got := testing.AllocsPerRun(10_000, func() {
		c.Accept(e)
		if c.Peek(e, time.Now()).Status != cache.Fresh {
			t.Error("not a fresh hit")
		}
	}); got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
