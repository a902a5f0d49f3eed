package cache

import "sync/atomic"

// Stats are the cache's figures since it was made, but for Bytes and Entries, which
// are what it holds now.
type Stats struct {
	Bytes   int64 // of the tier in memory
	Entries int64 // rankings in memory

	Fresh  uint64 // peeks that found a fresh ranking
	Stale  uint64 // peeks that found a stale one
	Misses uint64 // peeks that found none

	RemoteFresh  uint64 // replies of Redis with a fresh ranking
	RemoteStale  uint64 // those with a stale one
	RemoteMisses uint64 // those with none
	Late         uint64 // lookups that had to go on without a reply
	Rubbish      uint64 // things in Redis that were not ours, not whole, or not of this time
	Unwritten    uint64 // rankings that Redis refused to store
}

type counters struct {
	fresh, stale, misses          atomic.Uint64
	farFresh, farStale, farMisses atomic.Uint64
	late, rubbish, unwritten      atomic.Uint64
}

func (n *counters) foundFar(f Found) {
	switch f.Status {
	case Fresh:
		n.farFresh.Add(1)
	case Stale:
		n.farStale.Add(1)
	case None:
		n.farMisses.Add(1)
	}
}

func (n *counters) found(f Found) {
	switch f.Status {
	case Fresh:
		n.fresh.Add(1)
	case Stale:
		n.stale.Add(1)
	case None:
		n.misses.Add(1)
	}
}

// Stats returns the cache's figures.
func (c *Cache) Stats() Stats {
	return Stats{
		Bytes:   int64(c.entries.WeightedSize() + c.orders.WeightedSize() + c.sessions.WeightedSize()), //nolint:gosec // bounded by Options.Memory
		Entries: int64(c.entries.EstimatedSize()),
		Fresh:   c.count.fresh.Load(),
		Stale:   c.count.stale.Load(),
		Misses:  c.count.misses.Load(),

		RemoteFresh:  c.count.farFresh.Load(),
		RemoteStale:  c.count.farStale.Load(),
		RemoteMisses: c.count.farMisses.Load(),
		Late:         c.count.late.Load(),
		Rubbish:      c.count.rubbish.Load(),
		Unwritten:    c.count.unwritten.Load(),
	}
}
