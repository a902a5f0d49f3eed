package breaker

import (
	"errors"
	"fmt"
	"math/bits"
	"time"

	"github.com/sony/gobreaker/v2"
)

// Kind is how a call ended.
type Kind uint8

const (
	// Ignored says nothing about the other side: the caller gave up, or was told to slow
	// down.
	Ignored Kind = iota
	// Success: it answered, be it with a refusal of this one request.
	Success
	// Failure: it answered wrongly, not at all, or too late.
	Failure
	// ConnectFailure: it could not even be reached.
	ConnectFailure
)

// Outcome is the result of an admitted call.
type Outcome struct {
	// Kind is how it ended.
	Kind Kind
	// Took is how long it took, compared with Options.SlowCall.
	Took time.Duration
}

// Permit allows one call. It belongs to one goroutine at a time and must not be copied once
// in use.
type Permit struct {
	breaker    *Breaker // nil: there is nothing to report
	generation uint64
	probe      bool
}

// Probe tells whether the call was admitted to find out if the other side is back. Nobody
// should be made to wait for it.
func (p *Permit) Probe() bool { return p.probe }

// Done reports how the call ended. Only the first report counts, and it is void if the
// breaker has changed its state since it gave the permit.
func (p *Permit) Done(o Outcome) {
	if p.breaker == nil {
		return
	}
	p.breaker.settle(p, o)
	p.breaker = nil
}

func (b *Breaker) settle(p *Permit, o Outcome) {
	b.mu.Lock()
	defer b.unlock()
	if p.probe {
		b.advanceLocked(time.Now()) // it may have come too late
	}
	if p.generation != b.generation {
		return
	}
	slow := b.opt.SlowCall > 0 && o.Took > b.opt.SlowCall
	switch {
	case p.probe:
		b.settleProbeLocked(o, slow)
	case o.Kind != Ignored:
		b.settleCallLocked(o, slow)
	}
}

// settleProbeLocked judges a probe. A slow success is no proof of health and no failure
// either: the breaker stays half-open and goes on probing one call at a time, so that a
// service which is slow for hours still gets its calls, nobody waits for them, and the
// first fast ones close the breaker.
func (b *Breaker) settleProbeLocked(o Outcome, slow bool) {
	b.probing = false
	switch o.Kind {
	case Ignored:
	case Success:
		if slow {
			return
		}
		b.because = fmt.Sprintf("%d probes succeeded", b.opt.Successes)
		if b.opt.Successes == 1 {
			b.because = "a probe succeeded"
		}
		b.countLocked(succeeded)
	case Failure:
		b.because = fmt.Sprintf("a probe failed after %s", o.Took.Round(time.Millisecond))
		b.countLocked(failed)
	case ConnectFailure:
		b.because = "a probe could not connect"
		b.countLocked(failed)
	}
}

// settleCallLocked counts a call made while closed.
func (b *Breaker) settleCallLocked(o Outcome, slow bool) {
	b.recent = b.recent.with(slow || o.Kind != Success)
	if slow {
		b.countLocked(tookLong)
	}
	switch o.Kind {
	case Ignored:
	case Success:
		b.unreached = 0
		b.countLocked(succeeded)
		// gobreaker looks at its counts after failures only, so after a slow success we do,
		// and if it is enough add the failure that makes it trip.
		if slow {
			b.because = b.verdict(b.counter.Counts())
		}
		if b.because != "" {
			b.countLocked(failed)
		}
	case Failure:
		b.unreached = 0
		b.countLocked(failed)
	case ConnectFailure:
		b.unreached++
		b.countLocked(failed)
	}
}

// What gobreaker is made to execute: an outcome that is already known. Counting a call once
// it is over, instead of wrapping it, costs no allocation and leaves the calls under way to
// the gate.

var (
	errFailed = errors.New("failed")
	errSlow   = errors.New("slow")
)

func succeeded() (struct{}, error) { return struct{}{}, nil }
func failed() (struct{}, error)    { return struct{}{}, errFailed }

// tookLong is excluded from gobreaker's successes and failures. The exclusions it keeps in
// the same rolling window are thus our count of slow calls.
func tookLong() (struct{}, error) { return struct{}{}, errSlow }

// countLocked lets gobreaker count an outcome, and act on it. Its error is only ours coming
// back: it refuses nothing, because the gate lets nothing by that it would refuse.
func (b *Breaker) countLocked(outcome func() (struct{}, error)) {
	_, _ = b.counter.Execute(outcome)
}

// readyToTrip is called by gobreaker after a failure while closed, under both locks.
func (b *Breaker) readyToTrip(c gobreaker.Counts) bool {
	if b.because == "" {
		b.because = b.verdict(c)
	}
	return b.because != ""
}

// verdict returns why the calls in the window are reason enough to open, or "".
func (b *Breaker) verdict(c gobreaker.Counts) string {
	if b.opt.ConnectFailures > 0 && b.unreached >= b.opt.ConnectFailures {
		return fmt.Sprintf("%d connection failures in a row", b.unreached)
	}
	calls := int(c.TotalSuccesses + c.TotalFailures)
	if calls < b.opt.MinCalls {
		return ""
	}
	if share := float64(c.TotalFailures) / float64(calls); share >= b.opt.FailureRatio {
		return fmt.Sprintf("%.0f%% of %d calls failed in %s", 100*share, calls, b.opt.Window)
	}
	if share := float64(c.TotalExclusions) / float64(calls); b.opt.SlowCall > 0 && share >= b.opt.SlowRatio {
		return fmt.Sprintf("slow: %.0f%% of %d calls took over %s in %s", 100*share, calls, b.opt.SlowCall, b.opt.Window)
	}
	if n := b.opt.Recent; n > 0 && calls >= n {
		if bad := b.recent.bad(n); float64(bad) >= b.opt.RecentRatio*float64(n) {
			return fmt.Sprintf("%d of the last %d calls failed or took over %s", bad, n, b.opt.SlowCall)
		}
	}
	return ""
}

// recent is the last calls, the youngest in the lowest bit: set if it failed or was slow.
type recent uint64

const maxRecent = 64

// with is r with one more call.
func (r recent) with(bad bool) recent {
	if bad {
		return r<<1 | 1
	}
	return r << 1
}

// bad is how many of the last n calls were.
func (r recent) bad(n int) int { return bits.OnesCount64(uint64(r) << (maxRecent - n)) }

// changed is called by gobreaker when it has changed its state, under both locks.
func (b *Breaker) changed(from, to State) {
	now := time.Now()
	b.measured = to
	b.generation++
	b.probing = false
	b.unreached = 0
	b.recent = 0
	change := Change{From: from, To: to, Reason: b.because, At: now}
	b.because = ""
	switch to {
	case Open:
		if from == Closed && now.Sub(b.closedAt) >= b.opt.OpenMax {
			b.step = 0
		}
		b.openUntil = now.Add(b.openFor())
		b.step++
		change.Until = b.openUntil
	case Closed:
		b.closedAt = now
	case HalfOpen:
	}
	if from == Closed || to == Closed {
		b.transitions++
	}
	b.publishLocked()
	b.recordLocked(change)
}

// openFor returns how long the next opening lasts: OpenMin doubled by every opening since
// the last recovery, with equal jitter, which is half of it fixed and half random, so that
// the pods of a shop do not all probe at once.
func (b *Breaker) openFor() time.Duration {
	full := b.opt.OpenMin
	for range b.step {
		full = min(2*full, b.opt.OpenMax)
		if full == b.opt.OpenMax {
			break
		}
	}
	half := full / 2
	return half + time.Duration(b.opt.Rand()*float64(full-half))
}

func mirror(s gobreaker.State) State {
	switch s {
	case gobreaker.StateOpen:
		return Open
	case gobreaker.StateHalfOpen:
		return HalfOpen
	case gobreaker.StateClosed:
		return Closed
	default:
		panic("breaker: gobreaker has a fourth state")
	}
}
