//go:build !race

package breaker_test

import (
	"testing"
	"time"

	"vitrine/breaker"
)

// A call through a closed breaker allocates nothing, be it fast, slow or failed.
func TestClosedDoesNotAllocate(t *testing.T) {
	for _, outcome := range []breaker.Outcome{
		{Kind: breaker.Success, Took: time.Millisecond},
		{Kind: breaker.Success, Took: time.Second},
		{Kind: breaker.Failure, Took: time.Millisecond},
	} {
		b := start(t, func(o *breaker.Options) { o.FailureRatio, o.SlowRatio, o.Recent = 1, 1, 0 })
		call(t, b, breaker.Success, 1) // with which no ratio ever reaches 1
		if got := testing.AllocsPerRun(1000, func() {
			p, err := b.Admit()
			if err != nil {
				t.Fatal(err)
			}
			p.Done(outcome)
		}); got != 0 {
			t.Errorf("%+v: got %g allocations, want 0", outcome, got)
		}
	}
}

// Whoever only asks when a call may be made next, as every hit does, allocates nothing,
// whatever the answer.
func TestNextAttemptDoesNotAllocate(t *testing.T) {
	b := start(t)
	for _, state := range []breaker.State{breaker.Closed, breaker.Open} {
		if err := b.Override(state, time.Hour); err != nil {
			t.Fatal(err)
		}
		if got := testing.AllocsPerRun(1000, func() { b.NextAttempt() }); got != 0 {
			t.Errorf("set to %v: got %g allocations, want 0", state, got)
		}
	}
}
