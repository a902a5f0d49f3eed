// Package cache remembers rankings in two tiers: this process, then Redis.
//
// A cache never fails a request. Redis being slow or away reads as a miss and is
// counted, not returned; only the caller's deadline bounds how long finding out
// may take.
//
// An entry answers one event: session, user, type and item are its key, compared
// in full. It is fresh until its time is over or its session has moved on to other
// things, then stale until it is forgotten. It is stamped with the start of the
// call that brought it, and only the ranking of a later call replaces it.
package cache

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"vitrine/internal/reco"
)

// Cache remembers rankings, empty answers, the orders that shoppers are paging through,
// and as much of every session as it takes to tell whether its rankings still hold. It
// is safe for concurrent use.
type Cache struct {
	opt   Options
	seed  maphash.Seed
	keys  *keyring
	epoch time.Time // what instants are counted from

	entries  *otter.Cache[uint64, *entry]   // by question
	sessions *otter.Cache[uint64, *session] // by session
	orders   *otter.Cache[uint64, *order]   // by question
	erased   *otter.Cache[sessionKey, stamp]

	ring  int           // runs of events a session keeps
	life  int64         // of what is in Redis, in milliseconds
	lives atomic.Uint32 // session states made so far: their numbers

	untold   chan untold // sessions of which Redis must be told
	readings sync.Pool   // of *reading
	count    counters
}

// instant is a time by the monotonic clock: how long after the cache's epoch it
// is. The wall clock may be set back or forth without any entry noticing.
type instant int64

// Status says whether a ranking may be served, and how.
type Status uint8

// The three statuses. The zero Status is a miss.
const (
	None  Status = iota // nothing is held
	Fresh               // to be served without waiting for the API
	Stale               // to be served if the API cannot answer
)

// Found is what the cache holds for an event. The zero Found is a miss.
type Found struct {
	Ranking reco.Ranking
	Status  Status
	Tier    reco.Tier

	// Age is the time since the call that brought the ranking began. TTL is how much
	// longer it stays fresh: negative since its time was over, zero if it is stale only
	// because its session has moved on.
	Age, TTL time.Duration
}

// New returns an empty cache, or everything that is wrong with the options.
func New(o Options) (*Cache, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Cache{
		opt:   o,
		seed:  maphash.MakeSeed(),
		keys:  newKeyring(o.HashKey),
		epoch: time.Now(),
		ring:  2 * o.longestMemory(),
		life:  o.longestLife().Milliseconds(),

		untold: make(chan untold, mostUntold),
	}
	forSessions, forOrders := o.Memory/sessionShare, o.Memory/orderShare
	c.entries = otter.Must(&otter.Options[uint64, *entry]{
		MaximumWeight: uint64(o.Memory - forSessions - forOrders), //nolint:gosec // validated to be positive
		Weigher:       func(_ uint64, e *entry) uint32 { return e.weight() },
	})
	c.sessions = otter.Must(&otter.Options[uint64, *session]{
		MaximumWeight: uint64(forSessions), //nolint:gosec // validated to be positive
		Weigher:       func(uint64, *session) uint32 { return c.sessionWeight() },
	})
	c.orders = otter.Must(&otter.Options[uint64, *order]{
		MaximumWeight: uint64(forOrders), //nolint:gosec // validated to be positive
		Weigher:       func(_ uint64, o *order) uint32 { return o.weight() },
	})
	c.erased = otter.Must(&otter.Options[sessionKey, stamp]{MaximumSize: maxErased})
	return c, nil
}

// Run sweeps out what is over, tells Redis of events, and listens for sessions erased by
// other pods, until ctx ends. Nothing over is ever served, swept or not.
func (c *Cache) Run(ctx context.Context) error {
	var listening sync.WaitGroup
	var listened error
	if c.opt.Remote != nil {
		listening.Go(func() { listened = c.opt.Remote.Subscribe(ctx, eraseChannel, c.receiveErase) })
	}
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			listening.Wait()
			return listened
		case u := <-c.untold:
			c.raise(u)
		case now := <-sweep.C:
			c.sweep(c.at(now))
		}
	}
}

// sweep drops what is over. Otter could, but its timers cost each entry 32 bytes more
// and each read another look at the clock, while looking at all entries once a minute
// takes milliseconds.
func (c *Cache) sweep(now instant) {
	for question, held := range c.entries.All() {
		if now >= held.staleUntil {
			c.entries.Invalidate(question)
		}
	}
	for question, held := range c.orders.All() {
		if now >= held.until {
			c.orders.Invalidate(question)
		}
	}
	for name, s := range c.erased.All() {
		if now >= s.until+instant(c.opt.longestLife()) {
			c.erased.Invalidate(name)
		}
	}
}

// Mark is where in its session an event stands. The zero Mark is that of an event
// accepted by another process: every event of its session seen here came after it.
type Mark uint64

// Events is how many events of its session this process has seen with it, as far as it
// remembers: 0 for one that was accepted by another process.
func (m Mark) Events() int { return int(uint32(m)) } //nolint:gosec // its lower half is the count

// Accept takes note that a session has made an event, which must come before the
// event is looked up. The mark goes to [Cache.Store] with the ranking that the
// event's call brings.
func (c *Cache) Accept(e reco.Event) Mark {
	s := c.session(e.Session)
	mark, tell := s.accept(e.Type, c.item(e), c.ring, c.opt.Remote != nil)
	if tell {
		c.tell(s, e.Session)
	}
	return mark
}

// Peek returns what memory holds for e now. It neither blocks on anything but the
// session's other events nor allocates.
func (c *Cache) Peek(e reco.Event, now time.Time) Found {
	f := c.peek(e, now)
	c.count.found(f)
	return f
}

func (c *Cache) peek(e reco.Event, now time.Time) Found {
	held, ok := c.entries.GetIfPresent(c.question(e))
	if !ok || held.event() != e {
		return Found{}
	}
	s, _ := c.sessions.GetIfPresent(c.sessionHash(e.Session))
	f := c.judge(held, s, c.at(now))
	if f.Status != None {
		f.Tier = reco.Memory
	}
	return f
}

// judge says what a held entry is worth now. Its session is nil if it was forgotten.
func (c *Cache) judge(held *entry, s *session, now instant) Found {
	if now >= held.staleUntil {
		return Found{}
	}
	f := Found{
		Ranking: held.ranking,
		Status:  Fresh,
		Age:     time.Duration(max(0, now-held.started)),
		TTL:     time.Duration(held.freshUntil - now),
	}
	switch {
	case f.TTL <= 0:
		f.Status = Stale
	case c.movedOn(held, s):
		f.Status, f.TTL = Stale, 0
	}
	return f
}

// movedOn reports whether the session of a held entry has had enough other events since.
// Of a session that was forgotten nobody knows, so it may have.
func (c *Cache) movedOn(held *entry, s *session) bool {
	enough := c.opt.Policies[held.eventType].FreshEvents
	return enough > 0 && (s == nil || s.othersSince(held.place, held.kind) >= enough)
}

// Store remembers the ranking that the call for e, started then, has brought, and
// reports whether it did: not if a later call's ranking is held already, if the
// session was erased since, or if there is nothing to remember. Redis gets it in the
// background.
func (c *Cache) Store(e reco.Event, ranking reco.Ranking, started time.Time, mark Mark) bool {
	if ranking.Empty() || c.erasedSince(e.Session, c.at(started)) {
		return false
	}
	stamp := started.UnixMicro()
	fresh := c.newEntry(e, ranking, stamp, c.at(started))
	place, count := c.session(e.Session).place(mark)
	fresh.place = place
	held, newest := c.hold(fresh)
	if newest && c.opt.Remote != nil {
		return c.write(fresh, stamp, count) || held
	}
	return held
}

// hold puts an entry into memory and reports whether it did: not if it is too big, and
// not unless it is the newest, which is if no later call's is there.
func (c *Cache) hold(fresh *entry) (held, newest bool) {
	newest = true
	event := fresh.event()
	c.entries.Compute(c.question(event), func(have *entry, found bool) (*entry, otter.ComputeOp) {
		switch {
		case found && have.event() == event && have.started >= fresh.started:
			newest = false
			return have, otter.CancelOp
		case int64(fresh.weight()) > c.opt.Memory/biggestShare:
			return nil, otter.InvalidateOp // what it would have replaced is out of date
		default:
			held = true
			return fresh, otter.WriteOp
		}
	})
	// An erase leaves its stamp before it looks for entries: either it finds this one,
	// or this finds the stamp.
	if held && c.erasedSince(event.Session, fresh.started) {
		c.entries.Invalidate(c.question(event))
		return false, false
	}
	return held, newest
}

// StoreEmpty remembers that the API has just had nothing to recommend for e. It
// leaves alone what is held for e.
func (c *Cache) StoreEmpty(e reco.Event) {
	life := instant(c.opt.Policies[e.Type].Empty)
	if life == 0 {
		return
	}
	c.session(e.Session).storeEmpty(empty{question: half(c.question(e)), item: c.item(e), until: c.at(time.Now()) + life})
}

// KnownEmpty reports whether asking the API for e again is not worth a wait: it had
// nothing a moment ago, and the session has looked at nothing else since.
func (c *Cache) KnownEmpty(e reco.Event) bool {
	s, ok := c.sessions.GetIfPresent(c.sessionHash(e.Session))
	return ok && s.knownEmpty(half(c.question(e)), c.at(time.Now()))
}

// session returns the state of a session, which may be new.
func (c *Cache) session(id string) *session {
	hash := c.sessionHash(id)
	if s, ok := c.sessions.GetIfPresent(hash); ok {
		return s
	}
	s, _ := c.sessions.SetIfAbsent(hash, &session{life: c.lives.Add(1)})
	return s
}

func (c *Cache) at(t time.Time) instant { return instant(t.Sub(c.epoch)) }

func (c *Cache) question(e reco.Event) uint64 { return maphash.Comparable(c.seed, e) }
func (c *Cache) sessionHash(id string) uint64 { return maphash.String(c.seed, id) }
func (c *Cache) item(e reco.Event) uint32     { return half(maphash.String(c.seed, e.Item)) }

// half of a hash is enough to tell apart what one session does.
func half(hash uint64) uint32 { return uint32(hash >> 32) }
