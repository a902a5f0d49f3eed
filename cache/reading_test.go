package cache_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// held answers look-ups with what it holds, by the key, from a goroutine of its own.
type held struct {
	deaf

	replies map[string][]any
	batches chan redis.Batch
}

func newHeld() *held { return &held{replies: map[string][]any{}, batches: make(chan redis.Batch, 1)} }

// put has it hold a ranking for e, whose session has had one event.
func (h *held) put(e reco.Event, r reco.Ranking) {
	session, _ := cache.RemoteNames(hashKey, e)
	raw := string(cache.Seal(hashKey, e, time.Now().UnixMicro(), 1, r))
	h.replies[session] = []any{int64(1), int64(1), []any{raw, "1", nil}}
}

func (h *held) Pipe(b redis.Batch) error { h.batches <- b; return nil }

// serve answers until batches is closed.
func (h *held) serve() {
	for b := range h.batches {
		replies := h.replies[b.Key]
		b.Done(replies[len(replies)-len(b.Commands):], nil)
	}
}

// A reading that Redis was late with is still under way, so that what it brings must not
// reach whoever asks next.
func TestALateReadingIsNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHeld()
		h.batches = make(chan redis.Batch, 2)
		defer close(h.batches)
		late, next := view("late", "a"), view("next", "b")
		h.put(late, ranking("of the late one"))
		h.put(next, ranking("of the next one"))
		c := memory(t, func(o *cache.Options) { o.Remote, o.RemoteBudget, o.HashKey = h, 5*time.Millisecond, hashKey })
		if got := ask(c, late); got.Status != cache.None {
			t.Fatalf("got %+v of a Redis that is silent", got)
		}
		go h.serve()
		if got := ask(c, next); got.Ranking != ranking("of the next one") {
			t.Errorf("got %+v, want the next one's", got)
		}
		synctest.Wait()
		if got := c.Peek(late, time.Now()); got.Ranking != ranking("of the late one") {
			t.Errorf("got %+v, want the late one's in memory by now", got)
		}
		for range 3 { // with what was used before
			if got := ask(c, next); got.Ranking != ranking("of the next one") {
				t.Errorf("got %+v, want the next one's once more", got)
			}
		}
	})
}
