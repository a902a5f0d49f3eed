package delivery

import (
	"time"
)

// Drop is why an event was given up. The zero Drop is none.
type Drop uint8

// The reasons for dropping an event.
const (
	Full       Drop = iota + 1 // no room for its body, and it was the oldest
	DeadLetter                 // the API rejects it
	Disk                       // its body cannot be read back
)

// String is the metric's label.
func (r Drop) String() string { return [...]string{"", "full", "dead-letter", "disk"}[r] }

// Cause is why an event was sent again.
type Cause uint8

// The causes of another try.
const (
	Unsent          Cause = iota // it had not left
	Ambiguous                    // whether the API has it is not known
	HTTP                         // the API did not take it
	StaleConnection              // an idle connection had been closed by the other side
)

// String is the metric's label.
func (c Cause) String() string {
	return [...]string{"unsent", "ambiguous", "http", "stale-connection"}[c]
}

// Stats is the ledger of this process. At every instant
//
//	Accepted = Delivered + Expired + Dropped + Parked + Deduplicated + Pending
type Stats struct {
	Accepted, Delivered, Expired, Parked, Deduplicated uint64

	Dropped [Disk + 1]uint64            // by Drop
	Retried [StaleConnection + 1]uint64 // by Cause

	Pending int // counted, not computed from the others
	Waiting int // of those pending: not yet sent, and somebody waits
	Replay  int // sessions with nothing but a backlog to send

	InFlight    int
	MemoryBytes int64   // bodies that no journal holds
	InMemory    int     // events among those pending whose bodies these are
	LiveRate    float64 // live events per second, over the last minute
}

// Stats returns the ledger, all of it of one instant.
func (d *Delivery) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Pending = d.q.events + d.away
	s.Waiting = d.q.waiting[favoured] + d.q.waiting[ordinary]
	s.Replay = d.q.ready[replay].size()
	s.InFlight = d.q.underWay()
	s.MemoryBytes, s.InMemory = d.memory.bytes, len(d.memory.slots)
	s.LiveRate = d.pace.liveRate(d.now())
	return s
}

// OldestAge returns the age of the oldest event that is not under way, 0 if there is none.
func (d *Delivery) OldestAge() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	born, found := d.q.oldest()
	if !found {
		return 0
	}
	return d.now() - born
}
