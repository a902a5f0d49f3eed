package fallback

import (
	"context"
	"sync"
	"time"
)

// lane is a queue of entries and what is done with them, a bounded number at a time.
type lane struct {
	slots chan struct{}
	work  func(context.Context, *entry)
	wait  func() time.Duration // until the next may be worked on; 0 = now

	queue []*entry      // guarded by Natives.mu; at most NativeOptions.MaxQueue
	wake  chan struct{} // holds one signal: something about the queue has changed
}

func newLane(slots int, work func(context.Context, *entry), wait func() time.Duration) *lane {
	if wait == nil {
		wait = func() time.Duration { return 0 }
	}
	return &lane{slots: make(chan struct{}, slots), work: work, wait: wait, wake: make(chan struct{}, 1)}
}

func (l *lane) signal() {
	select {
	case l.wake <- struct{}{}:
	default: // one is there already
	}
}

// drive works on the lane's queue until ctx ends, and returns when the last worker has.
func (n *Natives) drive(ctx context.Context, l *lane) {
	var workers sync.WaitGroup
	defer workers.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case l.slots <- struct{}{}:
		}
		e := n.next(ctx, l)
		if e == nil {
			return
		}
		workers.Go(func() {
			defer func() { <-l.slots }()
			l.work(ctx, e)
		})
	}
}

// longestSleep bounds how long a lane that is held up does not look whether it still
// is: an operator may close a breaker early.
const longestSleep = time.Second

// next waits for the entry to work on next. It is nil when ctx has ended.
func (n *Natives) next(ctx context.Context, l *lane) *entry {
	for {
		wait := min(l.wait(), longestSleep)
		if wait <= 0 {
			var e *entry
			if e, wait = n.take(l); e != nil {
				return e
			}
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-l.wake:
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil
		}
	}
}

// idle is how long a lane with nothing to do sleeps unless it is woken.
const idle = time.Hour

// take removes the most asked-for of the entries that are due from the queue. If
// none is, it returns how long until one will be. Looking through the whole queue
// takes microseconds at its longest, before a call that takes a thousand times that.
func (n *Natives) take(l *lane) (*entry, time.Duration) {
	now, wait, best := time.Now(), idle, -1
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, e := range l.queue {
		if later := e.due.Sub(now); later > 0 {
			wait = min(wait, later)
			continue
		}
		if best < 0 || e.asks > l.queue[best].asks {
			best = i
		}
	}
	if best < 0 {
		return nil, wait
	}
	e := l.queue[best]
	l.removeLocked(best)
	return e, 0
}

// removeLocked keeps the order of the rest: of those asked for equally often, the
// one that waits longest is next.
func (l *lane) removeLocked(i int) {
	copy(l.queue[i:], l.queue[i+1:])
	l.queue[len(l.queue)-1] = nil
	l.queue = l.queue[:len(l.queue)-1]
}

// enqueueLocked puts e into the lane's queue. If the queue is full, or e was evicted
// while it was worked on, nothing goes on for it any more.
func (n *Natives) enqueueLocked(l *lane, e *entry) {
	if e.position == nil {
		e.moveLocked(nil)
		return
	}
	if len(l.queue) >= n.opt.MaxQueue {
		n.counts[outcomeRefused]++
		e.moveLocked(nil)
		return
	}
	e.moveLocked(l)
	l.queue = append(l.queue, e)
	l.signal()
}

// moveLocked says what goes on for e from now on, nil for nothing, to whoever waits for it.
func (e *entry) moveLocked(to *lane) {
	if e.moved != nil {
		close(e.moved)
		e.moved = nil
	}
	if e.lane = to; to != nil {
		e.moved = make(chan struct{})
	}
}
