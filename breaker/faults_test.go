package breaker_test

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
)

// drive makes a call every 50 ms that succeeds as told, and returns the transitions in each minute.
func drive(b *breaker.Breaker, minutes int, outcome func(since time.Duration) breaker.Outcome) []uint64 {
	perMinute := make([]uint64, minutes)
	began := time.Now()
	for m := range perMinute {
		before := b.Snapshot().Transitions
		for range 60 * 20 {
			time.Sleep(50 * time.Millisecond)
			if p, err := b.Admit(); err == nil {
				p.Done(outcome(time.Since(began)))
			}
		}
		perMinute[m] = b.Snapshot().Transitions - before
	}
	return perMinute
}

func seeded(seed uint64) (*rand.Rand, func(*breaker.Options)) {
	random := rand.New(rand.NewPCG(seed, seed))
	return random, func(o *breaker.Options) { o.Rand = random.Float64 }
}

// An API that is up for 5 s and down for 5 s flips the breaker at most twice a minute once it backs off.
func TestFlappingServiceIsDamped(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			_, jitter := seeded(seed)
			b := start(t, jitter)
			perMinute := drive(b, 33, func(since time.Duration) breaker.Outcome {
				if since%(10*time.Second) < 5*time.Second {
					return breaker.Outcome{Kind: breaker.Success}
				}
				return breaker.Outcome{Kind: breaker.ConnectFailure}
			})
			var sum uint64
			for _, n := range perMinute[3:] {
				sum += n
			}
			if perMinute[0] == 0 || sum > 2*30 {
				t.Errorf("seed %d: got %v transitions in each minute, want at most 2 a minute from the fourth on", seed, perMinute)
			}
		})
	}
}

// 30 % failures, after a healthy minute, are too few to open.
func TestSomeFailuresDoNotOpen(t *testing.T) {
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			random, jitter := seeded(seed)
			b := start(t, jitter)
			perMinute := drive(b, 10, func(since time.Duration) breaker.Outcome {
				if since > time.Minute && random.Float64() < 0.3 {
					return breaker.Outcome{Kind: breaker.Failure}
				}
				return breaker.Outcome{Kind: breaker.Success}
			})
			for m, n := range perMinute {
				if n != 0 {
					t.Errorf("seed %d, minute %d: got %d transitions, want 0", seed, m, n)
				}
			}
		})
	}
}

// From a cold start the first 30 % failures may by chance be half of ten calls. That two
// openings then follow within 10 s happens in few of many starts.
func TestSomeFailuresFromTheStartRarelyFlap(t *testing.T) {
	const starts = 200
	flapping := 0
	for seed := range uint64(starts) {
		synctest.Test(t, func(t *testing.T) {
			random, jitter := seeded(seed)
			var last time.Time
			flaps := 0
			b := start(t, jitter, func(o *breaker.Options) {
				o.OnChange = func(c breaker.Change) {
					if c.From != breaker.Closed {
						return
					}
					if !last.IsZero() && c.At.Sub(last) < 10*time.Second {
						flaps++
					}
					last = c.At
				}
			})
			drive(b, 1, func(time.Duration) breaker.Outcome {
				if random.Float64() < 0.3 {
					return breaker.Outcome{Kind: breaker.Failure}
				}
				return breaker.Outcome{Kind: breaker.Success}
			})
			if flaps > 0 {
				flapping++
			}
		})
	}
	if flapping > starts/25 {
		t.Errorf("starts that flap: got %d of %d, want at most 4 %%", flapping, starts)
	}
}

// Whatever happens in whatever order: never two probes, never stuck, never an edge that is none.
func TestRandomHistories(t *testing.T) {
	legal := map[[2]breaker.State]bool{
		{breaker.Closed, breaker.Open}:     true,
		{breaker.Open, breaker.HalfOpen}:   true,
		{breaker.HalfOpen, breaker.Open}:   true,
		{breaker.HalfOpen, breaker.Closed}: true,
	}
	for seed := range uint64(50) {
		synctest.Test(t, func(t *testing.T) {
			random, jitter := seeded(seed)
			at := breaker.Closed
			b := start(t, jitter, func(o *breaker.Options) {
				o.OpenMax = 4 * time.Second // many short openings show more than few long ones
				o.OnChange = func(c breaker.Change) {
					if c.From != at || !legal[[2]breaker.State{c.From, c.To}] {
						t.Errorf("seed %d: got %s to %s while %s", seed, c.From, c.To, at)
					}
					at = c.To
				}
			})
			history(b, random, 3000, func(probes int) {
				if probes > 1 {
					t.Fatalf("seed %d: got %d probes under way, want at most 1", seed, probes)
				}
			})
			// What is still under way never reports: from here on only the deadlines help.
			for range 100 {
				time.Sleep(time.Until(b.NextAttempt()))
				if p, err := b.Admit(); err == nil {
					p.Done(breaker.Outcome{Kind: breaker.Success})
				}
			}
			state(t, b, breaker.Closed)
			if got := b.Snapshot().Transitions; got < 10 {
				t.Errorf("seed %d: got %d transitions, want a history worth its name", seed, got)
			}
		})
	}
}

// history does steps things at random, and tells after each how many probes younger
// than their deadline are under way.
func history(b *breaker.Breaker, random *rand.Rand, steps int, probes func(int)) {
	type held struct {
		permit breaker.Permit
		due    time.Time
	}
	var under []held
	for step := range steps {
		kinds := 4
		if step/100%2 == 0 {
			kinds = 2 // for a while nothing fails
		}
		switch random.IntN(8) {
		case 0:
			time.Sleep(time.Duration(random.Int64N(int64(3 * time.Second))))
		case 1:
			b.Hold(time.Now().Add(time.Duration(random.Int64N(int64(time.Second)))))
		case 2, 3, 4:
			if p, err := b.Admit(); err == nil {
				under = append(under, held{p, time.Now().Add(5 * time.Second)})
			}
		default:
			if len(under) == 0 {
				continue
			}
			i := random.IntN(len(under))
			under[i].permit.Done(breaker.Outcome{
				Kind: breaker.Kind(random.IntN(kinds)),
				Took: time.Duration(random.Int64N(int64(time.Second))),
			})
			under = append(under[:i], under[i+1:]...)
		}
		n := 0
		for _, h := range under {
			if h.permit.Probe() && time.Now().Before(h.due) {
				n++
			}
		}
		probes(n)
	}
}

// A service that turns slow, or fails, all at once is stopped within its next 18 calls,
// however long it has been well.
func TestAGoodPastDoesNotKeepItClosed(t *testing.T) {
	const want = "18 of the last 20 calls failed or took over 800ms"
	turns := map[string]breaker.Outcome{
		"slow":   {Kind: breaker.Success, Took: 801 * time.Millisecond},
		"failed": {Kind: breaker.Failure},
		"both":   {Kind: breaker.Failure, Took: 801 * time.Millisecond},
	}
	for name, turn := range turns {
		synctest.Test(t, func(t *testing.T) {
			b := start(t)
			for range 60 {
				call(t, b, breaker.Success, 100)
				time.Sleep(500 * time.Millisecond)
			}
			for n := range 18 {
				if got := b.State(); got != breaker.Closed {
					t.Errorf("%s: got %s after %d calls, want closed", name, got, n)
				}
				p := admit(t, b)
				p.Done(turn)
			}
			if got := b.Snapshot(); got.State != breaker.Open || got.Reason != want {
				t.Errorf("%s: got %s (%s), want open (%s)", name, got.State, got.Reason, want)
			}
		})
	}
}

// What was before the breaker opened says nothing of the service that is back.
func TestTheLastCallsBeginAnewWithARecovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t)
		call(t, b, breaker.Success, 50)
		slow(t, b, 18)
		state(t, b, breaker.Open)
		time.Sleep(time.Until(b.NextAttempt()))
		call(t, b, breaker.Success, 3)
		state(t, b, breaker.Closed)
		call(t, b, breaker.Success, 20)
		slow(t, b, 17)
		state(t, b, breaker.Closed)
	})
}

// The shares that are too few to open are so at any rate of calls, in any stretch of them.
func TestTooFewAreTooFewInEveryStretch(t *testing.T) {
	shares := map[string]struct{ failing, slow float64 }{
		"30 % fail":                    {failing: 0.3},
		"30 % are slow":                {slow: 0.3},
		"15 % fail, and 15 % are slow": {failing: 0.15, slow: 0.15},
	}
	for name, share := range shares {
		synctest.Test(t, func(t *testing.T) {
			random, jitter := seeded(7)
			b := start(t, jitter)
			call(t, b, breaker.Success, 100)
			for range 200_000 {
				time.Sleep(5 * time.Millisecond)
				o := breaker.Outcome{Kind: breaker.Success}
				if random.Float64() < share.failing {
					o.Kind = breaker.Failure
				}
				if random.Float64() < share.slow {
					o.Took = time.Second
				}
				p := admit(t, b)
				p.Done(o)
			}
			if got := b.Snapshot(); got.Transitions != 0 {
				t.Errorf("%s: got %d transitions, want none: %+v", name, got.Transitions, got.Changes)
			}
		})
	}
}
