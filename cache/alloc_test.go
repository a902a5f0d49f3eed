//go:build !race

package cache_test

import (
	"fmt"
	"strings"
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

// A hit in Redis of a session unknown here leaves what is kept of it (the session, the
// entry and its body, and otter's nodes for both) and the names Redis is asked by. The way
// there and back, the wait for it, and the reading of it leave nothing.
func TestRedisHitAllocatesWhatItKeeps(t *testing.T) {
	const most = 16
	h := newHeld()
	defer close(h.batches)
	events := make([]reco.Event, 4096) // far more than memory holds
	for i := range events {
		events[i] = view(fmt.Sprint("session", i), "item")
		h.put(events[i], ranking(strings.Repeat("x", 600)))
	}
	go h.serve()
	c := memory(t, func(o *cache.Options) {
		o.Memory, o.Remote, o.RemoteBudget, o.HashKey = 64<<10, h, time.Minute, hashKey
	})
	i := 0
	if got := testing.AllocsPerRun(len(events)-1, func() {
		e := events[i]
		i++
		c.Accept(e)
		if got := c.Lookup(e, time.Now().Add(time.Minute), nil); got.Tier != reco.Redis {
			t.Errorf("got %+v, want it from Redis", got)
		}
	}); got > most {
		t.Errorf("got %v allocations, want at most %d", got, most)
	} else {
		t.Logf("%v allocations", got)
	}
}
