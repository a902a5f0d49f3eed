package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
)

func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		began := time.Now()
		b.Hold(began.Add(10 * time.Second))
		b.Hold(began.Add(4 * time.Second)) // no shorter
		state(t, b, breaker.Open)
		if got := b.Snapshot(); got.Measured != breaker.Closed || !got.HoldUntil.Equal(began.Add(10*time.Second)) {
			t.Errorf("got %+v, want measured closed and the longer hold", got)
		}
		refused(t, b, breaker.RefusedRateLimited, began.Add(10*time.Second))
		b.Hold(began.Add(12 * time.Second))
		time.Sleep(12*time.Second - 1)
		refused(t, b, breaker.RefusedRateLimited, began.Add(12*time.Second))
		time.Sleep(1)
		state(t, b, breaker.Closed)
		call(t, b, breaker.Success, 1)
	})
}

func TestHoldOutlastsOpeningAndOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		hold := time.Now().Add(10 * time.Second)
		b.Hold(hold)
		override(t, b, breaker.Closed, 0)
		time.Sleep(time.Second)
		refused(t, b, breaker.RefusedRateLimited, hold)
		b.Auto()
		refused(t, b, breaker.RefusedRateLimited, hold)
		time.Sleep(9 * time.Second)
		if p := admit(t, b); !p.Probe() {
			t.Error("the first call after the hold is no probe")
		}
	})
}

func override(t *testing.T, b *breaker.Breaker, to breaker.State, duration time.Duration) {
	t.Helper()
	if err := b.Override(to, duration); err != nil {
		t.Fatal(err)
	}
}

func TestOverrideOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		began := time.Now()
		override(t, b, breaker.Open, 10*time.Minute)
		state(t, b, breaker.Open)
		refused(t, b, breaker.RefusedOpen, began.Add(10*time.Minute))
		time.Sleep(10 * time.Minute)
		state(t, b, breaker.Closed)
		reason(t, b, "the operator's time is over")

		override(t, b, breaker.Open, 0)
		time.Sleep(1000 * time.Hour)
		refused(t, b, breaker.RefusedOpen, time.Time{})
		if next := b.NextAttempt(); time.Until(next) < 300*24*time.Hour {
			t.Errorf("NextAttempt: got %s, want the far future", next)
		}
		b.Auto()
		call(t, b, breaker.Success, 1)
		if got := b.Snapshot(); got.Transitions != 0 || got.Override != "auto" {
			t.Errorf("got %+v, want no measured transition and no override", got)
		}
	})
}

func TestOverrideClosedMeasuresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		until := b.Snapshot().OpenUntil
		override(t, b, breaker.Closed, time.Minute)
		call(t, b, breaker.Success, 50)
		call(t, b, breaker.Failure, 50)
		state(t, b, breaker.Closed)
		if got := b.Snapshot(); got.Measured != breaker.Open || !got.OpenUntil.Equal(until) || got.Calls != 0 {
			t.Errorf("got %+v, want measured open as before, no calls", got)
		}
		b.Auto()
		refused(t, b, breaker.RefusedOpen, until)
	})
}

func TestOverrideDuringHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(time.Second)
		p := admit(t, b)
		due := time.Now().Add(5 * time.Second)
		override(t, b, breaker.Open, time.Minute)
		b.Auto()
		refused(t, b, breaker.RefusedBusy, due) // the probe is still under way
		override(t, b, breaker.Closed, time.Minute)
		call(t, b, breaker.Failure, 5)
		p.Done(breaker.Outcome{Kind: breaker.Success})
		b.Auto()
		state(t, b, breaker.HalfOpen)
		call(t, b, breaker.Success, 2) // with p's, three
		state(t, b, breaker.Closed)
	})
}

func TestOverrideToHalfOpenIsRefused(t *testing.T) {
	if err := start(t).Override(breaker.HalfOpen, 0); err == nil {
		t.Error("got no error, want one")
	}
}
