package load

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Due is something to be done at an instant.
type Due[T any] struct {
	At   time.Duration // since the start
	What T
}

// Offer says how far Open came with a plan.
type Offer struct {
	Planned int // were due before the end
	Sent    int // of these, were begun
	Workers int // the most that were under way together
}

// Open does everything in the plan when it is due, each in a goroutine that is kept
// for the next, so that nothing waits for something else's answer. Only when limit
// things are under way does it wait, and what is then late is begun late: do is told
// the instant it was due and can tell. It returns when all has been done or, after
// ctx has ended, what was begun; what was due by then and not begun still counts as
// planned.
func Open[T any](ctx context.Context, plan iter.Seq[Due[T]], limit int, do func(what T, due time.Time)) Offer {
	defer processors(2)() // one is the nap's
	type job struct {
		what T
		due  time.Time
	}
	var (
		offer   Offer
		start   = time.Now()
		jobs    = make(chan job)
		workers sync.WaitGroup // awaited below
		begun   atomic.Int64
	)
	work := func(j job) {
		for ok := true; ok; j, ok = <-jobs {
			begun.Add(1)
			do(j.what, j.due)
		}
	}
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for d := range plan {
		due := start.Add(d.At)
		if !until(ctx, alarm, due) {
			break
		}
		offer.Planned++
		j := job{d.What, due}
		select {
		case jobs <- j:
			continue
		default:
		}
		if offer.Workers < limit {
			offer.Workers++
			workers.Go(func() { work(j) })
			continue
		}
		select {
		case jobs <- j:
		case <-ctx.Done():
		}
	}
	close(jobs)
	workers.Wait()
	offer.Sent = int(begun.Load())
	return offer
}

// coarse is how late the runtime's timers may be: the last of a wait is slept otherwise.
const coarse = 1500 * time.Microsecond

// until waits for an instant, and reports false if ctx ends before it.
func until(ctx context.Context, alarm *time.Timer, at time.Time) bool {
	runtime.Gosched() // what was just handed out goes first: a nap holds on to its processor
	for {
		wait := time.Until(at)
		if wait <= 0 {
			return ctx.Err() == nil
		}
		if wait <= coarse && nap(wait) && time.Until(at) < wait { // a test's clock stands still meanwhile
			continue
		}
		if wait > coarse {
			wait -= coarse
		}
		alarm.Reset(wait)
		select {
		case <-alarm.C:
		case <-ctx.Done():
			return false
		}
	}
}

// Closed does something again and again in so many goroutines, each waiting for its
// own answer, until ctx ends, and returns when all have. It finds the most a server
// does; the latencies under it mean little, because a slow server slows the asking.
func Closed(ctx context.Context, workers int, do func(worker int)) {
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			for ctx.Err() == nil {
				do(i)
			}
		})
	}
	group.Wait()
}
