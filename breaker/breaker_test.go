package breaker_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
)

// start returns a breaker with the default options, without jitter: an opening lasts
// exactly half of its full time, 0.5 s the first.
func start(t *testing.T, change ...func(*breaker.Options)) *breaker.Breaker {
	t.Helper()
	o := breaker.Defaults("recommendation")
	o.Rand = func() float64 { return 0 }
	for _, f := range change {
		f(&o)
	}
	b, err := breaker.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// admit asks for a permit that must be given.
func admit(t *testing.T, b *breaker.Breaker) breaker.Permit {
	t.Helper()
	p, err := b.Admit()
	if err != nil {
		t.Fatalf("Admit: got %v, want a permit", err)
	}
	return p
}

// refused asks for a permit that must not be given, and checks why.
func refused(t *testing.T, b *breaker.Breaker, want breaker.Refusal, until time.Time) {
	t.Helper()
	_, err := b.Admit()
	var got *breaker.Refused
	if !errors.As(err, &got) {
		t.Fatalf("Admit: got %v, want a refusal", err)
	}
	if got.Reason != want || !got.Until.Equal(until) {
		t.Fatalf("Admit: got %v, want %s until %s", got, want, until)
	}
	if next := b.NextAttempt(); !until.IsZero() && !next.Equal(until) {
		t.Fatalf("NextAttempt: got %s, want %s", next, until)
	}
}

func call(t *testing.T, b *breaker.Breaker, kind breaker.Kind, times int) {
	t.Helper()
	for range times {
		p := admit(t, b)
		p.Done(breaker.Outcome{Kind: kind, Took: 100 * time.Millisecond})
	}
}

func slow(t *testing.T, b *breaker.Breaker, times int) {
	t.Helper()
	for range times {
		p := admit(t, b)
		p.Done(breaker.Outcome{Kind: breaker.Success, Took: 801 * time.Millisecond})
	}
}

func state(t *testing.T, b *breaker.Breaker, want breaker.State) {
	t.Helper()
	if got := b.State(); got != want {
		t.Fatalf("state: got %s (%s), want %s", got, b.Snapshot().Reason, want)
	}
}

func reason(t *testing.T, b *breaker.Breaker, want string) {
	t.Helper()
	if got := b.Snapshot().Reason; got != want {
		t.Fatalf("reason: got %q, want %q", got, want)
	}
}

// trip opens a closed breaker.
func trip(t *testing.T, b *breaker.Breaker) {
	t.Helper()
	call(t, b, breaker.ConnectFailure, 5)
	state(t, b, breaker.Open)
}

func TestFailureRatioOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		call(t, b, breaker.Failure, 9)
		state(t, b, breaker.Closed) // too few calls to say
		call(t, b, breaker.Failure, 1)
		state(t, b, breaker.Open)
		reason(t, b, "100% of 10 calls failed in 30s")
		refused(t, b, breaker.RefusedOpen, time.Now().Add(500*time.Millisecond))
	})
}

func TestFailuresLeaveTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		call(t, b, breaker.Failure, 9)
		time.Sleep(30 * time.Second)
		call(t, b, breaker.Failure, 9)
		state(t, b, breaker.Closed)
		call(t, b, breaker.Success, 8)
		time.Sleep(15 * time.Second)
		call(t, b, breaker.Failure, 1)
		state(t, b, breaker.Open)
		reason(t, b, "56% of 18 calls failed in 30s")
	})
}

func TestIgnoredCallsCountForNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		call(t, b, breaker.ConnectFailure, 4)
		call(t, b, breaker.Ignored, 100)
		if got := b.Snapshot().Calls; got != 4 {
			t.Errorf("calls: got %d, want 4", got)
		}
		call(t, b, breaker.ConnectFailure, 1)
		state(t, b, breaker.Open)
		reason(t, b, "5 connection failures in a row")
	})
}

func TestConnectFailuresMustBeInARow(t *testing.T) {
	for _, between := range []breaker.Kind{breaker.Success, breaker.Failure} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t)
			call(t, b, breaker.ConnectFailure, 4)
			call(t, b, between, 1)
			call(t, b, breaker.ConnectFailure, 4)
			state(t, b, breaker.Closed)
		})
	}
}

func TestSlowCallsOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		call(t, b, breaker.Success, 2)
		slow(t, b, 7)
		state(t, b, breaker.Closed)
		slow(t, b, 1)
		state(t, b, breaker.Open)
		reason(t, b, "slow: 80% of 10 calls took over 800ms in 30s")
	})
}

func TestSomeSlowCallsDoNotOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		for range 200 {
			slow(t, b, 1)
			call(t, b, breaker.Success, 19)
			time.Sleep(time.Second)
		}
		state(t, b, breaker.Closed)
		if got := b.Snapshot(); got.Transitions != 0 || got.Slow == 0 || got.Failed != 0 {
			t.Errorf("got %+v, want slow calls, no failures and no transition", got)
		}
	})
}

func TestSlowProbesNeitherCloseNorOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(500 * time.Millisecond)
		slow(t, b, 50)
		state(t, b, breaker.HalfOpen)
		call(t, b, breaker.Success, 3)
		state(t, b, breaker.Closed)
	})
}

func TestHalfOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(500*time.Millisecond - 1)
		refused(t, b, breaker.RefusedOpen, time.Now().Add(1))
		time.Sleep(1)
		if next := b.NextAttempt(); !next.IsZero() {
			t.Errorf("NextAttempt: got %s, want now", next)
		}
		state(t, b, breaker.Open) // until somebody probes

		for range 3 {
			p := admit(t, b)
			if !p.Probe() {
				t.Error("the permit is no probe")
			}
			state(t, b, breaker.HalfOpen)
			refused(t, b, breaker.RefusedBusy, time.Now().Add(5*time.Second))
			time.Sleep(100 * time.Millisecond)
			p.Done(breaker.Outcome{Kind: breaker.Success, Took: 100 * time.Millisecond})
		}
		state(t, b, breaker.Closed)
		reason(t, b, "3 probes succeeded")
		if p := admit(t, b); p.Probe() {
			t.Error("a permit of a closed breaker is a probe")
		}
		if got := b.Snapshot().Transitions; got != 2 {
			t.Errorf("transitions: got %d, want 2", got)
		}
	})
}

func TestCancelledProbeMakesRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(time.Second)
		call(t, b, breaker.Ignored, 10)
		state(t, b, breaker.HalfOpen)
		p := admit(t, b)
		if !p.Probe() {
			t.Error("the permit is no probe")
		}
	})
}

func TestSilentProbeCountsAsFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		trip(t, b)
		time.Sleep(time.Second)
		late := admit(t, b)
		time.Sleep(5 * time.Second)
		refused(t, b, breaker.RefusedOpen, time.Now().Add(time.Second))
		reason(t, b, "the probe did not report within 5s")

		time.Sleep(time.Second)
		next := admit(t, b)
		late.Done(breaker.Outcome{Kind: breaker.Success})
		refused(t, b, breaker.RefusedBusy, time.Now().Add(5*time.Second)) // late did not free next's place
		next.Done(breaker.Outcome{Kind: breaker.Failure, Took: 30 * time.Millisecond})
		state(t, b, breaker.Open)
		reason(t, b, "a probe failed after 30ms")
	})
}

// A probe that reports after its deadline has failed, even if nobody has asked in between.
func TestLateProbeIsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *breaker.Options) { o.Successes = 1 })
		trip(t, b)
		time.Sleep(time.Second)
		p := admit(t, b)
		time.Sleep(5 * time.Second)
		p.Done(breaker.Outcome{Kind: breaker.Success})
		state(t, b, breaker.Open)
	})
}

func TestPermitReportsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		p := admit(t, b)
		for range 20 {
			p.Done(breaker.Outcome{Kind: breaker.Failure})
		}
		if got := b.Snapshot().Failed; got != 1 {
			t.Errorf("failed: got %d, want 1", got)
		}
	})
}

func TestLateResultsOfAnotherStateAreVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		var late []breaker.Permit
		for range 20 {
			late = append(late, admit(t, b))
		}
		trip(t, b)
		report := func(from, to int, kind breaker.Kind) {
			for i := from; i < to; i++ {
				late[i].Done(breaker.Outcome{Kind: kind})
			}
		}
		report(0, 5, breaker.Success)
		state(t, b, breaker.Open)
		time.Sleep(time.Second)
		call(t, b, breaker.Success, 1)
		report(5, 10, breaker.Failure)
		state(t, b, breaker.HalfOpen)
		call(t, b, breaker.Success, 2)
		report(10, 20, breaker.ConnectFailure)
		state(t, b, breaker.Closed)
		if got := b.Snapshot(); got.Calls != 0 {
			t.Errorf("calls since it closed: got %d, want 0", got.Calls)
		}
	})
}

func TestOpenTimeGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, jitter := range []float64{0, 0.5} {
			b := start(t, func(o *breaker.Options) { o.Rand = func() float64 { return jitter } })
			trip(t, b)
			for _, full := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
				half := time.Duration(full) * time.Second / 2
				want := half + time.Duration(jitter*float64(half))
				if got := time.Until(b.Snapshot().OpenUntil); got != want {
					t.Errorf("jitter %g, open for: got %s, want %s", jitter, got, want)
				}
				time.Sleep(want)
				call(t, b, breaker.ConnectFailure, 1) // the probe
				reason(t, b, "a probe could not connect")
			}
		}
	})
}

func TestOnlyALastingRecoveryEndsTheGrowth(t *testing.T) {
	for _, c := range []struct{ closed, want time.Duration }{
		{60*time.Second - 1, time.Second},
		{60 * time.Second, 500 * time.Millisecond},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := start(t)
			trip(t, b)
			time.Sleep(500 * time.Millisecond)
			call(t, b, breaker.Success, 3)
			time.Sleep(c.closed)
			trip(t, b)
			if got := time.Until(b.Snapshot().OpenUntil); got != c.want {
				t.Errorf("closed for %s, then open for: got %s, want %s", c.closed, got, c.want)
			}
		})
	}
}

// OnChange may call the breaker: it is called outside the lock.
func TestOnChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var b *breaker.Breaker
		b = start(t, func(o *breaker.Options) {
			o.OnChange = func(c breaker.Change) {
				_ = b.Snapshot()
				got = append(got, c.Name+" "+c.From.String()+" "+c.To.String()+": "+c.Reason)
			}
		})
		trip(t, b)
		time.Sleep(time.Second)
		call(t, b, breaker.Success, 3)
		override(t, b, breaker.Open, time.Minute)
		b.Auto()
		b.Auto()
		want := []string{
			"recommendation closed open: 5 connection failures in a row",
			"recommendation open half-open: time for a probe",
			"recommendation half-open closed: 3 probes succeeded",
			"recommendation closed open: set by an operator for 1m0s",
			"recommendation open closed: set back by an operator",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if changes := b.Snapshot().Changes; len(changes) != len(want) {
			t.Errorf("changes kept: got %d, want %d", len(changes), len(want))
		}
	})
}

func TestTheLastChangesAreKept(t *testing.T) {
	b := start(t)
	for i := range 30 {
		override(t, b, breaker.Open, time.Duration(i+1)*time.Hour)
	}
	changes := b.Snapshot().Changes
	if len(changes) != 20 || changes[0].Reason != "set by an operator for 11h0m0s" || changes[19].Reason != "set by an operator for 30h0m0s" {
		t.Errorf("got %d changes, %v, want the last 20", len(changes), changes)
	}
}

func TestConcurrentCallers(t *testing.T) {
	b := start(t, func(o *breaker.Options) { o.OnChange = func(breaker.Change) {} })
	var callers sync.WaitGroup
	for i := range 8 {
		callers.Go(func() {
			for n := range 2000 {
				if p, err := b.Admit(); err == nil {
					p.Done(breaker.Outcome{Kind: breaker.Kind((n / 100) % 4)})
				}
				if i == 0 && n%500 == 0 {
					b.Hold(time.Now().Add(time.Microsecond))
					_ = b.Snapshot()
				}
			}
		})
	}
	callers.Wait()
}

func TestValidateReportsEverything(t *testing.T) {
	_, err := breaker.New(breaker.Options{FailureRatio: 2, SlowCall: -1, Recent: 65, ConnectFailures: -1, OpenMax: -1})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{
		"name", "bucket period", "minimum of 0 calls", "failure ratio 2", "slow call", "65 recent calls", "recent ratio", "connection failures",
		"shortest opening", "longest opening", "probes to close", "probe time-out",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to tell of %q", err, want)
		}
	}
}
