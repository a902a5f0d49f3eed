package load_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"vitrine/bench/load"
)

// Everything is done, by whichever worker, and nothing before its time.
func TestRegularIsNeverEarly(t *testing.T) {
	const rate, n, workers = 5000, 500, 8
	var done [workers]atomic.Int64
	offer, shots := load.Regular(t.Context(), rate, n*time.Second/rate, workers, func(worker int) { done[worker].Add(1) })
	if offer.Planned != n || offer.Sent != n || len(shots) != n {
		t.Fatalf("got %d planned, %d sent, %d told, want %d of each", offer.Planned, offer.Sent, len(shots), n)
	}
	sum := int64(0)
	for i := range done {
		sum += done[i].Load()
	}
	if sum != n {
		t.Errorf("got %d done, want %d", sum, n)
	}
	for i, s := range shots {
		if s.Lag < 0 || s.Took < s.Lag {
			t.Errorf("shot %d: got begun after %v and ended after %v", i, s.Lag, s.Took)
		}
	}
}

// With one worker that takes twice the distance, each thing begins later than the one
// before it, and says so.
func TestRegularTellsWhenItIsLate(t *testing.T) {
	const rate, n = 1000, 10
	_, shots := load.Regular(t.Context(), rate, n*time.Second/rate, 1, func(int) { time.Sleep(2 * time.Millisecond) })
	for i, s := range shots {
		if least := time.Duration(i) * time.Millisecond; s.Lag < least || s.Took < least+2*time.Millisecond {
			t.Errorf("shot %d: got begun after %v and ended after %v, want at least %v and 2 ms more", i, s.Lag, s.Took, least)
		}
	}
}

func TestRegularEndsWithItsContext(t *testing.T) {
	const workers = 4
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var done atomic.Int64
	offer, shots := load.Regular(ctx, 1000, time.Minute, workers, func(int) {
		if done.Add(1) == 10 {
			cancel()
		}
	})
	if offer.Planned != 60_000 {
		t.Errorf("got %d planned, want those of a minute", offer.Planned)
	}
	if offer.Sent < 10 || offer.Sent > 10+workers || offer.Sent != len(shots) {
		t.Errorf("got %d sent and %d told, want the 10 before the end, and at most one more of each worker", offer.Sent, len(shots))
	}
}
