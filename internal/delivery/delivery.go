// Package delivery is the only way to the API. Every event it accepts is posted,
// in the order of its session, until the API has taken it; the ranking that comes
// back goes to the cache and wakes whoever waits for it.
//
// Reading order: [Delivery.Accept] takes an event in, schedule.go decides when it
// is sent, send.go sends it and settles what came of it, ticket.go is how a request
// waits for it. park.go says how events get to other pods and from them: claim.go and
// ship.go take them from the schedule to Redis, takeover.go and loan.go back.
package delivery

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"hash/maphash"
	"log/slog"
	"sync"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// API posts events. [fashionai.Client] is one.
type API interface {
	Recommend(fashionai.Call) fashionai.Outcome
}

// Rankings remembers what the API answers. [cache.Cache] is one.
type Rankings interface {
	// Accept notes that its session made an event, and returns where in it that was.
	Accept(e reco.Event) cache.Mark
	// Store keeps the ranking that a call brought which was started then, for the
	// event with that mark, and reports whether it did.
	Store(e reco.Event, r reco.Ranking, started time.Time, mark cache.Mark) bool
	// StoreEmpty remembers that the API had nothing to say.
	StoreEmpty(e reco.Event)
}

// Options configure a Delivery.
type Options struct {
	API      API
	Breaker  *breaker.Breaker // its OnChange must call [Delivery.BreakerChanged]
	Rankings Rankings
	Journal  Journal // nil keeps bodies in memory
	Dead     Letters // where rejected events go; nil keeps them in memory
	Log      *slog.Logger

	// MaxInFlight is how many calls may be under way at once, beside one probe.
	MaxInFlight int
	// Timeout bounds one call, its answer's body included.
	Timeout time.Duration
	// MaxAge is the age at which an event is given up as expired.
	MaxAge time.Duration
	// MaxMemory bounds the bodies that no journal holds, in bytes. Beyond it the
	// oldest event is dropped.
	MaxMemory int64
	// Rate is a ceiling over all calls, per second; 0 = none.
	Rate float64
	// DuplicateWindow is for how long an equal event counts as the same one; 0 = never.
	DuplicateWindow map[reco.EventType]time.Duration
}

// Validate reports everything that is wrong with o.
func (o *Options) Validate() error {
	var errs []error
	wrong := func(is bool, what string) {
		if is {
			errs = append(errs, errors.New("delivery: "+what))
		}
	}
	wrong(o.API == nil || o.Breaker == nil || o.Rankings == nil || o.Log == nil, "API, Breaker, Rankings and Log are required")
	wrong(o.MaxInFlight < 1, "MaxInFlight must be at least 1")
	wrong(o.Timeout <= 0, "Timeout must be positive")
	wrong(o.MaxAge <= 0, "MaxAge must be positive")
	wrong(o.MaxMemory <= 0, "MaxMemory must be positive")
	wrong(o.Rate < 0, "Rate must not be negative")
	return errors.Join(errs...)
}

// Delivery delivers events. It is safe for concurrent use.
type Delivery struct {
	opt     Options
	epoch   time.Time // what all its times are counted from, on the monotonic clock
	seed    maphash.Seed
	changed chan struct{} // the breaker has changed; room for one
	buffers sync.Pool     // of *[]byte: bodies on their way to the journal

	mu        sync.Mutex
	work      sync.Cond // something may have become ready to send
	stopping  bool
	q         *schedule
	pace      pacer
	memory    *memory
	loans     *loans
	away      int             // events neither here nor settled: on their way to Redis, or back to it
	behind    map[uint64]bool // sessions with events parked by this process since the API went away
	waits     map[reco.Event]*wait
	erased    map[uint64]time.Duration // sessions erased of late, and when
	recent    map[reco.Event]*twin     // events within their duplicate window
	probed    map[uint64]bool          // sessions probed with since the breaker opened
	holdUntil time.Duration            // the API has asked for a pause
	alarm     *time.Timer
	alarmAt   time.Duration // 0 = not set
	successes uint32        // events delivered, for the strikes of others
	stats     Stats
	dead      deadLetters
}

// New returns a Delivery that accepts events, and sends them once it is run.
func New(o Options) (*Delivery, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d := &Delivery{
		opt:     o,
		epoch:   time.Now(),
		seed:    maphash.MakeSeed(),
		changed: make(chan struct{}, 1),
		buffers: sync.Pool{New: func() any { return new([]byte) }},
		q:       newSchedule(o.MaxInFlight),
		pace:    pacer{ceiling: o.Rate},
		memory:  newMemory(o.MaxMemory),
		loans:   newLoans(),
		behind:  make(map[uint64]bool),
		waits:   make(map[reco.Event]*wait),
		erased:  make(map[uint64]time.Duration),
		recent:  make(map[reco.Event]*twin),
		probed:  make(map[uint64]bool),
		dead:    deadLetters{journal: o.Dead},
	}
	d.work.L = &d.mu
	return d, nil
}

// Accept takes responsibility for an event that has just come, and for the trace it is
// from, if any: it is journalled when Accept returns, and will reach the API by itself. If
// somebody is going to wait for its ranking, wanted puts it before those nobody waits for,
// and the ticket is to be waited on or released.
func (d *Delivery) Accept(e reco.Event, came time.Time, from trace.Context, wanted bool) Ticket {
	id := newID(came)
	key, now := d.sessionKey(e.Session), came.Sub(d.epoch)
	if window := d.opt.DuplicateWindow[e.Type]; window > 0 {
		if t, twice := d.acceptTwin(e, id, key, window, wanted, now); twice {
			return t
		}
	}
	mark := d.opt.Rankings.Accept(e)
	buffer := d.buffers.Get().(*[]byte) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	body := appendStored((*buffer)[:0], e, from)
	record := journal.Record{ID: id, Time: came.UnixNano(), Key: groupOf(e.Session), Body: body}
	at := d.append(record)

	d.mu.Lock()
	away := d.opt.Breaker.State() != breaker.Closed
	seq := d.addLocked(key, record, pending{at: at, born: now, mark: mark, replay: away}, now)
	d.pace.accept(now)
	t := Ticket{ID: id, d: d, seq: seq, at: now}
	if wanted {
		t.wait, t.refused = d.joinLocked(e, key, seq, away, now)
	}
	if first := d.recent[e]; first != nil && first.id == id {
		first.seq = seq
	}
	idle := d.q.underWay() < d.q.slots // else who ends a call looks for more
	d.mu.Unlock()
	if away {
		idle = d.opt.Breaker.NextAttempt().IsZero() // else a worker's alarm is set for it
	}
	if idle {
		d.work.Signal()
	}

	*buffer = body
	d.buffers.Put(buffer)
	return t
}

// Replay accepts an event that another process accepted before, at that time, with
// the body this process read from its journal or took over from another.
func (d *Delivery) Replay(at journal.Position, r journal.Record) error {
	e, err := reco.ParseEvent(r.Body)
	if err != nil {
		return fmt.Errorf("replaying event %s: %w", ID(r.ID), err)
	}
	d.mu.Lock()
	now := d.now()
	age := max(time.Since(time.Unix(0, r.Time)), 0) // a clock set back must not make an event immortal
	d.addLocked(d.sessionKey(e.Session), r, pending{at: at, born: now - age, replay: true}, now)
	d.mu.Unlock()
	d.work.Signal()
	return nil
}

// append writes the record to the journal, and returns no position if there is
// none or it does not take it: memory takes over.
func (d *Delivery) append(r journal.Record) journal.Position {
	if d.opt.Journal == nil {
		return journal.Position{}
	}
	at, err := d.opt.Journal.Append(r)
	if err != nil {
		d.journalFailed(err)
	}
	return at
}

// addLocked schedules an event, and drops the oldest ones in memory if its body
// finds no room there.
func (d *Delivery) addLocked(key uint64, r journal.Record, p pending, now time.Duration) (seq uint64) {
	if inMemory(p.at) {
		p.at = d.memory.put(r, key)
	}
	d.q.add(key, p, now)
	d.stats.Accepted++
	if inMemory(p.at) {
		d.memory.scheduled(p.at, d.q.seq)
		d.shedLocked(now)
	}
	return d.q.seq
}

// shedLocked drops the oldest events in memory while there are too many.
func (d *Delivery) shedLocked(now time.Duration) {
	from := uint32(0)
	for {
		oldest, next, over := d.memory.overflow(from)
		if !over {
			return
		}
		from = next
		s := d.q.sessions[oldest.key]
		if s == nil {
			continue
		}
		if p, ok := d.q.discard(s, oldest.seq, now); ok {
			d.memory.settle(p.at)
			d.stats.Dropped[Full]++
		}
	}
}

// Erase lets no call that has begun answer a shopper of this session from now on.
// The session's events are still delivered.
func (d *Delivery) Erase(session string) {
	d.mu.Lock()
	d.erased[d.sessionKey(session)] = d.now()
	for e := range d.recent { // what they were answered is to be forgotten too
		if e.Session == session {
			delete(d.recent, e)
		}
	}
	d.mu.Unlock()
}

// BreakerChanged tells that the breaker is in another state. It may be called
// from anywhere, under any lock.
func (d *Delivery) BreakerChanged() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}

// Run delivers until ctx ends, then waits for the calls under way and returns nil.
// What is pending then stays in the journal.
func (d *Delivery) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range d.opt.MaxInFlight + 1 { // one for a probe, while hanging calls fill the rest
		workers.Go(d.send)
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-d.changed:
			d.releaseIfAway()
		case <-tick.C:
			d.sweep()
		case <-ctx.Done():
			d.stop()
			workers.Wait()
			return nil
		}
	}
}

func (d *Delivery) stop() {
	d.mu.Lock()
	d.stopping = true
	if d.alarm != nil {
		d.alarm.Stop()
	}
	d.mu.Unlock()
	d.work.Broadcast()
}

// releaseIfAway answers everybody who waits, if the API is not to be called now,
// and makes what is pending a backlog.
func (d *Delivery) releaseIfAway() {
	d.mu.Lock()
	if d.opt.Breaker.State() != breaker.Closed {
		now := d.now()
		d.releaseLocked(d.awayReasonLocked(now), now)
		d.q.backlog(now)
	}
	d.mu.Unlock()
	d.work.Signal()
}

func (d *Delivery) awayReasonLocked(now time.Duration) reco.Reason {
	if now < d.holdUntil {
		return reco.RateLimited
	}
	return reco.Open
}

// sweep does what is due every second: events grow old, and marks of the past are
// forgotten.
func (d *Delivery) sweep() {
	d.mu.Lock()
	now := d.now()
	var settled []journal.Position
	for s := d.q.older(now - d.opt.MaxAge); s != nil; s = d.q.older(now - d.opt.MaxAge) {
		settled = append(settled, d.expireLocked(s, now))
	}
	for key, at := range d.erased {
		if now-at > 2*d.opt.Timeout {
			delete(d.erased, key)
		}
	}
	d.forgetTwinsLocked(now)
	d.mu.Unlock()
	for _, at := range settled {
		d.settle(at)
	}
}

// expireLocked gives up the session's next event.
func (d *Delivery) expireLocked(s *session, now time.Duration) journal.Position {
	p, _ := d.q.discard(s, s.queue[s.next].seq, now)
	d.stats.Expired++
	return p.at
}

// settle marks an event as done with, wherever its body is.
func (d *Delivery) settle(at journal.Position) {
	switch {
	case inMemory(at):
		d.mu.Lock()
		d.memory.settle(at)
		d.mu.Unlock()
		return
	case onLoan(at):
		d.mu.Lock()
		d.loans.settle(at)
		d.mu.Unlock()
		d.loans.wake()
		return
	}
	if err := d.opt.Journal.Settle(at); err != nil {
		d.journalFailed(err)
	}
}

func (d *Delivery) journalFailed(err error) {
	d.opt.Log.Warn("the event journal fails; memory takes over", "error", err)
}

// now is the time since the epoch, on the monotonic clock.
func (d *Delivery) now() time.Duration { return time.Since(d.epoch) }

// sessionKey is by what the schedule knows a session, in this process. Two
// sessions that share one merely wait for each other.
func (d *Delivery) sessionKey(session string) uint64 { return maphash.String(d.seed, session) }

// groupOf is a hash of the session on which all processes agree.
func groupOf(session string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(session)) // a hash takes everything
	return h.Sum64()
}
