// Package breaker stops calls to something that fails, and finds out when it is back.
//
// A Breaker is gobreaker behind a gate. gobreaker counts outcomes in a rolling window and
// moves between closed, open and half-open. The gate holds what gobreaker has no notion of:
// how long an opening lasts (growing, with jitter), slow calls, the operator's override,
// the pause a 429 asks for, and the one probe under way with its deadline.
//
//	permit, err := b.Admit()
//	if err != nil {
//		return err // *Refused says why, and until when
//	}
//	defer func() { permit.Done(breaker.Outcome{Kind: kind, Took: time.Since(start)}) }()
//
// A Breaker starts no goroutine and no timer: what is due (a probe that never reported, an
// override that is over) happens when it is next asked anything.
package breaker

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Breaker decides which calls may be made. It is safe for concurrent use.
type Breaker struct {
	opt Options

	// free is the generation under which calls are admitted without the lock: closed, with
	// neither override nor hold. Otherwise it is 0.
	free atomic.Uint64

	// mu guards all below, and every call of counter is made under it. counter's callbacks,
	// which it runs inside such calls under a lock of its own, may therefore touch our
	// fields; they must not call counter.
	mu      sync.Mutex
	counter *gobreaker.CircuitBreaker[struct{}]

	measured   State     // counter's state, mirrored by changed
	generation uint64    // raised by every change of measured; results of an older one are void
	because    string    // why the next change of measured happens; empty while closed
	openUntil  time.Time // end of the opening
	closedAt   time.Time // start of the time closed
	step       int       // openings since the last recovery: the exponent of the back-off
	unreached  int       // connection failures in a row
	recent     recent    // the last calls

	probing  bool      // half-open, and the probe is under way
	probeDue time.Time // when it counts as failed

	holdUntil     time.Time
	overridden    bool
	override      State // Open or Closed, if overridden
	overrideUntil time.Time

	transitions uint64
	changes     []Change // the last maxChanges
	untold      []Change // not yet given to OnChange
}

const maxChanges = 20

// New returns a closed breaker, or what is wrong with the options.
func New(o Options) (*Breaker, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	b := &Breaker{opt: o.withRand(), generation: 1}
	b.counter = gobreaker.NewCircuitBreaker[struct{}](gobreaker.Settings{
		Name:          o.Name,
		MaxRequests:   o.Successes,
		Interval:      o.Window,
		BucketPeriod:  o.BucketPeriod,
		Timeout:       time.Nanosecond, // openUntil decides; counter only has to agree when it is over
		ReadyToTrip:   b.readyToTrip,
		IsExcluded:    func(err error) bool { return errors.Is(err, errSlow) },
		OnStateChange: func(_ string, from, to gobreaker.State) { b.changed(mirror(from), mirror(to)) },
	})
	b.publishLocked()
	return b, nil
}

// Name returns the name of what the breaker guards.
func (b *Breaker) Name() string { return b.opt.Name }

// Admit asks to make a call. The error, if any, is a *Refused. A permit must be settled by
// its Done, whatever becomes of the call.
func (b *Breaker) Admit() (Permit, error) {
	if generation := b.free.Load(); generation != 0 {
		return Permit{breaker: b, generation: generation}, nil
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	if refused, no := b.refusedLocked(now); no {
		told := refused // else every call let in here would allocate one too
		return Permit{}, &told
	}
	if b.overridden {
		return Permit{}, nil
	}
	if b.measured == Open {
		b.because = "time for a probe"
		b.counter.State() // sees that its own time-out is over, and turns half-open
	}
	permit := Permit{breaker: b, generation: b.generation}
	if b.measured == HalfOpen {
		permit.probe = true
		b.probing, b.probeDue = true, now.Add(b.opt.ProbeTimeout)
	}
	return permit, nil
}

// refusedLocked reports whether a call may not be made now, and why. The operator's "open"
// goes before everything, the pause that the other side asked for before the operator's
// "closed".
func (b *Breaker) refusedLocked(now time.Time) (why Refused, no bool) {
	switch {
	case b.overridden && b.override == Open:
		return Refused{Reason: RefusedOpen, Until: b.overrideUntil}, true
	case now.Before(b.holdUntil):
		return Refused{Reason: RefusedRateLimited, Until: b.holdUntil}, true
	case b.overridden:
		return Refused{}, false
	case b.measured == Open && now.Before(b.openUntil):
		return Refused{Reason: RefusedOpen, Until: b.openUntil}, true
	case b.probing:
		return Refused{Reason: RefusedBusy, Until: b.probeDue}, true
	default:
		return Refused{}, false
	}
}

// NextAttempt returns the earliest time at which Admit may admit a call, for a caller that
// sleeps until then: zero if that is now, and a year ahead if only an operator can change
// it. A probe that reports, Auto or Override may make it sooner; OnChange tells.
func (b *Breaker) NextAttempt() time.Time {
	if b.free.Load() != 0 {
		return time.Time{}
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	switch refused, no := b.refusedLocked(now); {
	case !no:
		return time.Time{}
	case refused.Until.IsZero():
		return now.AddDate(1, 0, 0)
	default:
		return refused.Until
	}
}

// State returns the effective state: what the breaker does with calls now, override and
// hold included.
func (b *Breaker) State() State {
	if b.free.Load() != 0 {
		return Closed
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	return b.effectiveLocked(now)
}

func (b *Breaker) effectiveLocked(now time.Time) State {
	switch {
	case b.overridden && b.override == Open, now.Before(b.holdUntil):
		return Open
	case b.overridden:
		return Closed
	default:
		return b.measured
	}
}

// Snapshot returns what there is to show.
func (b *Breaker) Snapshot() Snapshot {
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	counts := b.counter.Counts()
	s := Snapshot{
		Name:        b.opt.Name,
		State:       b.effectiveLocked(now),
		Measured:    b.measured,
		HoldUntil:   b.holdUntil,
		Override:    "auto",
		Calls:       int(counts.TotalSuccesses + counts.TotalFailures),
		Failed:      int(counts.TotalFailures),
		Slow:        int(counts.TotalExclusions),
		Transitions: b.transitions,
		Changes:     append([]Change(nil), b.changes...),
	}
	if n := len(b.changes); n > 0 {
		s.Reason = b.changes[n-1].Reason
	}
	if b.measured == Open {
		s.OpenUntil = b.openUntil
	}
	if b.overridden {
		s.Override, s.OverrideUntil = b.override.String(), b.overrideUntil
	}
	return s
}

// Hold refuses every call until then, whatever the state: the other side has asked for a
// pause. A hold can only be made longer. It counts neither for nor against the measured
// state.
func (b *Breaker) Hold(until time.Time) {
	b.mu.Lock()
	defer b.unlock()
	if until.After(b.holdUntil) {
		b.holdUntil = until
	}
	b.advanceLocked(time.Now())
}

// Override makes the effective state Open or Closed for a time, or, if that is not
// positive, until told otherwise. The measured state is neither tripped nor reset by it:
// calls admitted by an override to Closed count for nothing, and when it is over the
// breaker is where it was.
func (b *Breaker) Override(to State, duration time.Duration) error {
	if to != Open && to != Closed {
		return fmt.Errorf("a breaker cannot be overridden to %s", to)
	}
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	from := b.effectiveLocked(now)
	b.overridden, b.override, b.overrideUntil = true, to, time.Time{}
	reason := "set by an operator"
	if duration > 0 {
		b.overrideUntil = now.Add(duration)
		reason += " for " + duration.String()
	}
	b.publishLocked()
	b.recordLocked(Change{From: from, To: b.effectiveLocked(now), Reason: reason, At: now, Until: b.overrideUntil})
	return nil
}

// Auto ends an override: the measured state holds again, at once.
func (b *Breaker) Auto() {
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.advanceLocked(now)
	b.endOverrideLocked(now, "set back by an operator")
}

func (b *Breaker) endOverrideLocked(now time.Time, reason string) {
	if !b.overridden {
		return
	}
	from := b.effectiveLocked(now)
	b.overridden, b.overrideUntil = false, time.Time{}
	b.publishLocked()
	b.recordLocked(Change{From: from, To: b.effectiveLocked(now), Reason: reason, At: now})
}

// advanceLocked does what has become due by now.
func (b *Breaker) advanceLocked(now time.Time) {
	if b.probing && !now.Before(b.probeDue) {
		b.because = "the probe did not report within " + b.opt.ProbeTimeout.String()
		b.countLocked(failed)
	}
	if !b.holdUntil.IsZero() && !now.Before(b.holdUntil) {
		b.holdUntil = time.Time{}
	}
	if b.overridden && !b.overrideUntil.IsZero() && !now.Before(b.overrideUntil) {
		b.endOverrideLocked(now, "the operator's time is over")
	}
	b.publishLocked()
}

// publishLocked opens or shuts the way around the lock.
func (b *Breaker) publishLocked() {
	if b.measured == Closed && !b.overridden && b.holdUntil.IsZero() {
		b.free.Store(b.generation)
	} else {
		b.free.Store(0)
	}
}

func (b *Breaker) recordLocked(c Change) {
	c.Name = b.opt.Name
	if len(b.changes) == maxChanges {
		b.changes = append(b.changes[:0], b.changes[1:]...)
	}
	b.changes = append(b.changes, c)
	if b.opt.OnChange != nil {
		b.untold = append(b.untold, c)
	}
}

// unlock releases the lock, then tells of what changed under it.
func (b *Breaker) unlock() {
	untold := b.untold
	b.untold = nil
	b.mu.Unlock()
	for _, c := range untold {
		b.opt.OnChange(c)
	}
}
