package breaker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Options tune a Breaker. Every number below is the one that suits the recommendation API;
// Defaults returns them all.
type Options struct {
	// Name is what the breaker guards, as people and metrics know it: "recommendation".
	Name string

	// Window is how far back calls are remembered (30 s). It is cut into buckets of
	// BucketPeriod (3 s) that fall out one at a time, so at least two must fit.
	Window       time.Duration
	BucketPeriod time.Duration

	// MinCalls is how many calls the window must hold before a share of them means anything
	// (10).
	MinCalls int

	// FailureRatio is the share of failed calls, above 0 and at most 1, that opens the
	// breaker (0.5).
	FailureRatio float64

	// SlowCall is the duration beyond which a call is slow, failed or not (800 ms). 0 = no
	// call is.
	SlowCall time.Duration

	// SlowRatio is the share of slow calls, above 0 and at most 1, that opens the breaker
	// (0.8).
	SlowRatio float64

	// Recent is how many of the last calls in the window are also judged by themselves (20,
	// at most 64): RecentRatio of them failed or slow (0.9) opens the breaker however well
	// the window began. Without it, a service that turns bad all at once is called for as long as its
	// good past outweighs that: half the window at an even load. The ratio has to be so high
	// because so few calls show shares far beyond the true one by chance: at 30 % one in
	// thirty million times, at 50 % one in five thousand. 0 = only the window counts.
	Recent      int
	RecentRatio float64

	// ConnectFailures is how many failures to connect in a row open the breaker at once,
	// however few calls there were (5). 0 = they count like any other failure.
	ConnectFailures int

	// OpenMin is how long the first opening lasts, before jitter (1 s). Every further
	// opening without a recovery in between lasts twice as long, up to OpenMax (60 s).
	//
	// A recovery is to have stayed closed for OpenMax. Anything less would let a service
	// that comes and goes every few seconds take the back-off back to its start each time,
	// and the breaker would flap in step with it.
	OpenMin time.Duration
	OpenMax time.Duration

	// Successes is how many probes, one after the other, must succeed to close the breaker
	// (3).
	Successes uint32

	// ProbeTimeout is when a probe that has not reported counts as failed (5 s). It should
	// be longer than the longest call.
	ProbeTimeout time.Duration

	// Rand returns the jitter, at least 0 and below 1. Nil = math/rand/v2.
	Rand func() float64

	// OnChange, if not nil, is told of every change, after it happened and outside the
	// breaker's lock, by the goroutine that caused or noticed it: it may call the breaker,
	// and should not block. Changes close to each other may arrive in either order; who
	// needs the present state asks State.
	OnChange func(Change)
}

// Defaults returns the options for an API that is called for somebody who waits.
func Defaults(name string) Options {
	return Options{
		Name:            name,
		Window:          30 * time.Second,
		BucketPeriod:    3 * time.Second,
		MinCalls:        10,
		FailureRatio:    0.5,
		SlowCall:        800 * time.Millisecond,
		SlowRatio:       0.8,
		Recent:          20,
		RecentRatio:     0.9,
		ConnectFailures: 5,
		OpenMin:         time.Second,
		OpenMax:         60 * time.Second,
		Successes:       3,
		ProbeTimeout:    5 * time.Second,
	}
}

// Validate returns everything that is wrong with o, joined, or nil.
func (o Options) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("breaker %q: %s", o.Name, fmt.Sprintf(format, args...)))
		}
	}
	must(o.Name != "", "a name is required")
	must(o.BucketPeriod > 0, "bucket period %s is not positive", o.BucketPeriod)
	must(o.Window >= 2*o.BucketPeriod, "window %s holds fewer than two buckets of %s", o.Window, o.BucketPeriod)
	must(o.MinCalls > 0, "minimum of %d calls is not positive", o.MinCalls)
	must(o.FailureRatio > 0 && o.FailureRatio <= 1, "failure ratio %g is not above 0 and at most 1", o.FailureRatio)
	must(o.SlowCall >= 0, "slow call %s is negative", o.SlowCall)
	must(o.SlowCall == 0 || o.SlowRatio > 0 && o.SlowRatio <= 1, "slow ratio %g is not above 0 and at most 1", o.SlowRatio)
	must(o.Recent >= 0 && o.Recent <= maxRecent, "%d recent calls are not 0 to %d", o.Recent, maxRecent)
	must(o.Recent == 0 || o.RecentRatio > 0 && o.RecentRatio <= 1, "recent ratio %g is not above 0 and at most 1", o.RecentRatio)
	must(o.ConnectFailures >= 0, "%d connection failures is negative", o.ConnectFailures)
	must(o.OpenMin >= time.Millisecond, "shortest opening %s is below 1ms", o.OpenMin)
	must(o.OpenMax >= o.OpenMin, "longest opening %s is below the shortest, %s", o.OpenMax, o.OpenMin)
	must(o.Successes > 0, "%d probes to close it is not positive", o.Successes)
	must(o.ProbeTimeout > 0, "probe time-out %s is not positive", o.ProbeTimeout)
	return errors.Join(wrong...)
}

func (o Options) withRand() Options {
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}
