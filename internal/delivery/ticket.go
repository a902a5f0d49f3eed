package delivery

import (
	"cmp"
	"time"

	"vitrine/breaker"
	"vitrine/internal/reco"
)

// Ticket is an accepted event, for the request that brought it. The zero Ticket is
// that of a request without an event.
type Ticket struct {
	ID ID

	d       *Delivery
	seq     uint64
	at      time.Duration // when it came
	wait    *wait         // nil if there is nothing to wait for
	refused reco.Reason   // then why
}

// Accepted reports whether there is an event.
func (t *Ticket) Accepted() bool { return t.d != nil }

// Result is what became of waiting for a ranking.
type Result struct {
	Ranking   reco.Ranking
	Reason    reco.Reason // why there is no ranking; NoReason if there is one
	Status    int         // the API's; 0 if it gave none in time
	Stored    bool        // the ranking went to the cache
	Collapsed bool        // the ranking was brought by another event that asked the same
}

// wait is a question somebody waits for an answer to. All who ask it share one,
// and whichever delivery answers it first wakes them all.
type wait struct {
	event   reco.Event
	key     uint64 // of the session
	seq     uint64 // of the event that asked first; only its own failure is the answer
	waiting int    // how many wait
	done    chan struct{}
	result  Result // once done is closed
	by      uint64 // the event that brought it
}

// AskedSince reports whether the event waits for an answer, and a ranking of that age
// is one: it was asked for since the event came. Wait then returns at once, or
// as soon as the call that brought it is booked.
func (t *Ticket) AskedSince(age time.Duration) bool {
	return t.wait != nil && t.d.now()-age >= t.at
}

// answered is a wait that is over.
func answered(e reco.Event, r Result, by uint64) *wait {
	w := &wait{event: e, waiting: 1, done: make(chan struct{}), result: r, by: by}
	close(w.done)
	return w
}

// Wait waits until the ranking is there, or is known not to come, or the deadline
// has passed. The event's delivery goes on in any case.
func (t *Ticket) Wait(deadline time.Time) Result {
	if t.wait == nil {
		return Result{Reason: cmp.Or(t.refused, reco.Unreachable)} // without an event there is nothing to come
	}
	select { // an answer that is there is taken, however late it is
	case <-t.wait.done:
		return t.result()
	default:
	}
	left := time.Until(deadline)
	if t.hopeless(left) {
		t.Release()
		return Result{Reason: reco.Overload}
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-t.wait.done:
		return t.result()
	case <-timer.C:
		t.Release()
		return Result{Reason: reco.Timeout}
	}
}

// hopeless reports whether the calls before this one take all the time that is left. Who
// leaves at once makes room for those who can still be answered.
func (t *Ticket) hopeless(left time.Duration) bool {
	t.d.mu.Lock()
	defer t.d.mu.Unlock()
	return t.d.q.remaining(t.wait.key, t.wait.seq) > left
}

func (t *Ticket) result() Result {
	r := t.wait.result
	r.Collapsed = t.wait.by != t.seq
	return r
}

// Release says that nobody waits after all.
func (t *Ticket) Release() {
	if t.wait == nil {
		return
	}
	d := t.d
	d.mu.Lock()
	defer d.mu.Unlock()
	w := t.wait
	t.wait, t.refused = nil, reco.Timeout
	if w.waiting--; w.waiting == 0 && d.waits[w.event] == w {
		delete(d.waits, w.event)
		d.q.await(w.key, w.seq, false, d.now())
	}
}

// joinLocked begins to wait for the answer to e, unless that is known to be in vain.
func (d *Delivery) joinLocked(e reco.Event, key, seq uint64, away bool, now time.Duration) (*wait, reco.Reason) {
	if away {
		return nil, d.awayReasonLocked(now)
	}
	if w := d.waits[e]; w != nil {
		if w.waiting++; w.seq == 0 { // begun by its twin, before it had a number
			w.seq = seq
			d.q.await(key, seq, true, now)
		}
		return w, reco.NoReason
	}
	if d.q.heldUp(key) {
		return nil, reco.Unreachable
	}
	if d.q.overloaded(key, seq) {
		return nil, reco.Overload
	}
	w := &wait{event: e, key: key, seq: seq, waiting: 1, done: make(chan struct{})}
	d.waits[e] = w
	d.q.await(key, seq, true, now)
	return w, reco.NoReason
}

// resolveLocked answers those who wait for e with what became of the event
// numbered by, sent at started.
func (d *Delivery) resolveLocked(e reco.Event, by uint64, started time.Duration, r Result, now time.Duration) {
	if t := d.recent[e]; t != nil && t.seq == by {
		t.answer = &r
	}
	w := d.waits[e]
	switch {
	case w == nil:
		return
	case r.Reason != reco.NoReason && r.Reason != reco.Empty && w.seq != by:
		return // another's failure; their own event may fare better
	case started < d.erased[w.key]:
		return // asked before the session was erased
	}
	w.result, w.by = r, by
	d.endLocked(w, now)
}

// releaseLocked answers everybody who waits with a reason.
func (d *Delivery) releaseLocked(why reco.Reason, now time.Duration) {
	for _, w := range d.waits {
		w.result, w.by = Result{Reason: why}, w.seq
		d.endLocked(w, now)
	}
}

func (d *Delivery) endLocked(w *wait, now time.Duration) {
	delete(d.waits, w.event)
	d.q.await(w.key, w.seq, false, now)
	close(w.done)
}

// twin is an event accepted a short while ago, for shops whose pages fire twice.
type twin struct {
	seq    uint64 // 0 while it is on its way to the journal
	id     ID
	born   time.Duration
	answer *Result // to it, once known
}

// maxTwins bounds the events remembered for duplicate windows; beyond it a
// duplicate may pass as an event of its own.
const maxTwins = 16384

// acceptTwin reports whether e was accepted within the window already, and then
// gives a ticket of that event. Otherwise e, with this id, is remembered from now on.
func (d *Delivery) acceptTwin(e reco.Event, id ID, key uint64, window time.Duration, wanted bool, now time.Duration) (Ticket, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	first := d.recent[e]
	if first == nil || now-first.born >= window {
		if len(d.recent) < maxTwins {
			d.recent[e] = &twin{id: id, born: now}
		}
		return Ticket{}, false
	}
	d.stats.Accepted++
	d.stats.Deduplicated++
	t := Ticket{ID: first.id, d: d, seq: first.seq, at: now}
	switch {
	case !wanted:
	case first.answer != nil: // it will not come a second time
		t.wait = answered(e, *first.answer, first.seq)
	default:
		t.wait, t.refused = d.joinLocked(e, key, first.seq, d.opt.Breaker.State() != breaker.Closed, now)
	}
	return t, true
}

func (d *Delivery) forgetTwinsLocked(now time.Duration) {
	for e, t := range d.recent {
		if now-t.born >= d.opt.DuplicateWindow[e.Type] {
			delete(d.recent, e)
		}
	}
}
