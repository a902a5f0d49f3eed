package load

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Shot is one thing that Regular did.
type Shot struct {
	Lag  time.Duration // from when it was due until it was begun
	Took time.Duration // from when it was due until its end
}

// Regular does something rate times a second for a while, at even distances, in so many
// goroutines. Each takes the next instant of the plan, sleeps in the kernel until then,
// does it and takes another, so that nothing has to be handed over between what waits
// for the time and what waits for an answer. Only when all are at work at once is
// something late. Shots come in the order in which they were due; what ctx did not leave
// the time to begin is planned but not sent.
func Regular(ctx context.Context, rate float64, length time.Duration, workers int, do func(worker int)) (Offer, []Shot) {
	defer processors(workers + spare)()
	var (
		shots = make([]Shot, int64(rate*length.Seconds()))
		next  atomic.Int64
		group sync.WaitGroup // awaited below
		start = time.Now()
	)
	for worker := range workers {
		group.Go(func() {
			for {
				i := next.Add(1) - 1
				if i >= int64(len(shots)) {
					return
				}
				due := start.Add(time.Duration(float64(i) / rate * float64(time.Second)))
				if !doze(ctx, due) {
					return
				}
				lag := time.Since(due)
				do(worker)
				shots[i] = Shot{lag, time.Since(due)}
			}
		})
	}
	group.Wait()
	sent := slices.DeleteFunc(shots, func(s Shot) bool { return s == Shot{} })
	return Offer{Planned: len(shots), Sent: len(sent), Workers: workers}, sent
}

// spare is how many of the runtime's processors are left to others beside those that sleep.
const spare = 2

// processors sees to it that the runtime has at least so many, until the function it
// returns is called. Who sleeps in the kernel holds on to one: with none left nobody looks
// for what came from the network, until the runtime's monitor does every ten milliseconds.
func processors(n int) (restore func()) {
	if runtime.GOMAXPROCS(0) >= n {
		return func() {}
	}
	runtime.GOMAXPROCS(n)
	return runtime.SetDefaultGOMAXPROCS
}

// dozing is how long nobody asks whether the context has ended.
const dozing = 50 * time.Millisecond

// doze sleeps in the kernel until an instant, and reports false if ctx ends before it.
func doze(ctx context.Context, at time.Time) bool {
	for {
		wait := min(time.Until(at), dozing)
		if wait <= 0 || ctx.Err() != nil {
			return ctx.Err() == nil
		}
		if !nap(wait) {
			time.Sleep(wait)
		}
	}
}
