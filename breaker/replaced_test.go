package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
)

func TestReplacedIsProbedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(time.Millisecond)
		b.Hold(time.Now().Add(time.Minute))
		b.Replaced()
		for range 3 {
			p := admit(t, b)
			if !p.Probe() {
				t.Error("got a call, want a probe")
			}
			p.Done(breaker.Outcome{Kind: breaker.Success})
		}
		state(t, b, breaker.Closed)
	})
}

// What is replaced in vain is left alone as briefly as at its first failure.
func TestReplacedInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		for range 6 {
			time.Sleep(time.Until(b.NextAttempt()))
			call(t, b, breaker.Failure, 1)
		}
		time.Sleep(time.Millisecond)
		b.Replaced()
		call(t, b, breaker.Failure, 1)
		refused(t, b, breaker.RefusedOpen, time.Now().Add(500*time.Millisecond))
	})
}

func TestReplacedLeavesAnOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		override(t, b, breaker.Open, 0)
		b.Replaced()
		state(t, b, breaker.Open)
		b.Auto()
		state(t, b, breaker.Closed)
	})
}
