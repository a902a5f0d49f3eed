package fallback

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"vitrine/breaker"
	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// fetchLimit is the longest that fetching one list, all its pages and the quota's
// pauses between them included, may take; a lease lasts as long.
const fetchLimit = 30 * time.Second

// Of a list that another pod fetches, Shared is asked again this much later, twice
// as late each time.
const (
	pollMin = 50 * time.Millisecond
	pollMax = 2 * time.Second
)

// backOffMin is how long a list is left alone after its first failure; every
// further one in a row doubles it, up to NativeOptions.Refresh.
const backOffMin = time.Second

// load takes e's snapshot over from Shared, if there is one and it is newer than
// ours. Unless that makes it young again, the source is asked.
func (n *Natives) load(ctx context.Context, e *entry) {
	found := n.sharedSnapshot(ctx, n.shop.Load(), e.place)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.adoptLocked(e, found) {
		return
	}
	n.enqueueLocked(n.laneOf(e.place), e)
}

func (n *Natives) laneOf(p place) *lane {
	if p.source == fromSales {
		return n.sales
	}
	return n.platform
}

// adoptLocked installs a snapshot from Shared if it is newer than e's, and reports
// whether e is young now, so that nothing remains to be done.
func (n *Natives) adoptLocked(e *entry, found *snapshot) bool {
	if found == nil {
		return false
	}
	if e.snapshot == nil || found.from != e.snapshot.from || found.at.After(e.snapshot.at) {
		n.installLocked(e, found)
	}
	if !n.young(e.snapshot, time.Now()) {
		return false
	}
	n.counts[outcomeShared]++
	n.settleLocked(e)
	return true
}

// settleLocked ends an attempt that has brought a young snapshot.
func (n *Natives) settleLocked(e *entry) {
	e.failures, e.polls, e.asks, e.due = 0, 0, 0, time.Time{}
	e.moveLocked(nil)
}

// fetch asks e's source, unless another pod does.
func (n *Natives) fetch(ctx context.Context, e *entry) {
	ctx, cancel := context.WithTimeout(ctx, fetchLimit)
	defer cancel()
	from := n.shop.Load()
	if n.opt.Shared != nil {
		if !n.lease(ctx, from, e.place) {
			n.poll(e)
			return
		}
		defer n.release(ctx, from, e.place)
		if n.broughtByOther(ctx, from, e) {
			return
		}
	}
	n.refresh(ctx, from, e)
}

// refresh asks e's source.
func (n *Natives) refresh(ctx context.Context, from *shop, e *entry) {
	n.mu.Lock()
	before := e.snapshot
	n.mu.Unlock()
	began := time.Now()
	result, err := n.ask(ctx, from, e.place, before.validators(from))
	if err != nil {
		n.failed(from, e, err)
		return
	}
	now := &snapshot{ranking: reco.NewRanking(result.IDs), at: began, seen: result.Validators, from: from}
	how := outcomeFetched
	if result.NotModified {
		now.ranking, how = before.ranking, outcomeUnchanged
	}
	n.mu.Lock()
	n.counts[how]++
	n.installLocked(e, now)
	n.settleLocked(e)
	n.mu.Unlock()
	n.share(ctx, e.place, now) // last, but before the lease ends: nobody here waits for it
}

// broughtByOther looks once more into Shared, now that the lease is ours: its last
// holder may have finished since.
func (n *Natives) broughtByOther(ctx context.Context, from *shop, e *entry) bool {
	found := n.sharedSnapshot(ctx, from, e.place)
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.adoptLocked(e, found)
}

// poll looks again into Shared after a while: another pod fetches e.
func (n *Natives) poll(e *entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e.due = time.Now().Add(growing(pollMin, pollMax, e.polls))
	e.polls++
	n.enqueueLocked(n.loads, e)
}

// failed keeps what there is, and leaves the list alone for a while: half of a
// growing time, and as much of the other half as chance has it. If it was the
// breaker that let nothing through, or another platform is to be asked by now, the
// list only goes back into its queue.
func (n *Natives) failed(from *shop, e *entry, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if _, refused := errors.AsType[*breaker.Refused](err); refused || from != n.shop.Load() {
		n.enqueueLocked(n.laneOf(e.place), e)
		return
	}
	if !errors.Is(err, context.Canceled) { // else we are told to stop
		n.counts[outcomeOf(err)]++
		wait := growing(backOffMin, n.opt.Refresh, e.failures)
		e.due = time.Now().Add(wait/2 + rand.N(wait/2+1))
		e.failures++
	}
	e.polls = 0
	e.moveLocked(nil)
}

// growing is from·2^step, at most to.
func growing(from, to time.Duration, step int) time.Duration {
	for ; step > 0 && from < to; step-- {
		from *= 2
	}
	return min(from, to)
}

// ask asks a place's source.
func (n *Natives) ask(ctx context.Context, from *shop, p place, seen platform.Validators) (platform.Result, error) {
	if p.source == fromSales {
		ids, err := n.opt.Sales.SalesRanking(ctx, p.id)
		return platform.Result{IDs: ids}, err
	}
	q := platform.Query{List: p.kind, ID: p.id, Seen: seen}
	guard := n.opt.Breaker
	if guard == nil {
		return from.platform.Fetch(ctx, q)
	}
	permit, err := guard.Admit()
	if err != nil {
		return platform.Result{}, err
	}
	began := time.Now()
	result, err := from.platform.Fetch(ctx, q)
	permit.Done(breaker.Outcome{Kind: verdict(err), Took: time.Since(began)})
	return result, err
}

// verdict is what a fetch says about the platform as a whole.
func verdict(err error) breaker.Kind {
	switch {
	case err == nil:
		return breaker.Success
	case errors.Is(err, context.Canceled):
		return breaker.Ignored
	}
	switch platform.KindOf(err) {
	case platform.NotFound:
		return breaker.Success
	case platform.Throttled, platform.Exhausted:
		return breaker.Ignored
	case platform.Unreachable:
		return breaker.ConnectFailure
	default:
		return breaker.Failure
	}
}

// platformWait is how long the platform must not be asked for anything. The pause
// that it asked for itself is part of the quota's.
func (n *Natives) platformWait() time.Duration {
	shop := n.shop.Load().platform
	if shop == nil {
		return idle
	}
	wait := shop.Quota().Wait
	if n.opt.Breaker != nil {
		if at := n.opt.Breaker.NextAttempt(); !at.IsZero() {
			wait = max(wait, time.Until(at))
		}
	}
	return wait
}
