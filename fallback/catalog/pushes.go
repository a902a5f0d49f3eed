package catalog

import (
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"
	"time"
)

// Level is the stock of a product at a moment, as it was pushed.
type Level struct {
	ID       string
	Quantity int       // units, at least 0
	At       time.Time // when it was pushed, to the millisecond
}

// pushes remembers the newest level of each product that was pushed. A look-up
// takes no lock: the ids are spread over small maps that are replaced, never
// changed. Who writes holds the catalogue's lock.
type pushes struct {
	seed   maphash.Seed
	shards [256]atomic.Pointer[map[string]push]
	n      atomic.Int64
}

type push struct {
	at       int64 // Unix milliseconds
	quantity int32
	void     bool // the feed has more recent news; kept so that it does not come back from another pod
}

func (l Level) push() push {
	return push{at: l.At.UnixMilli(), quantity: int32(l.Quantity)} //nolint:gosec // check bounds it
}

func newPushes() *pushes { return &pushes{seed: maphash.MakeSeed()} }

func (p *pushes) shard(id string) *atomic.Pointer[map[string]push] {
	return &p.shards[maphash.String(p.seed, id)%uint64(len(p.shards))]
}

// find returns the newest push for id, if it still counts.
func (p *pushes) find(id string) (push, bool) {
	shard := p.shard(id).Load()
	if shard == nil {
		return push{}, false
	}
	found, ok := (*shard)[id]
	return found, ok && !found.void
}

// newer reports whether a push replaces another. Of two in the same millisecond
// the smaller quantity counts, so that all pods agree whatever order they learn
// of them in.
func (p push) newer(old push) bool {
	return p.at > old.at || p.at == old.at && p.quantity < old.quantity
}

// merge takes in the levels that are newer than what it has, and returns the ids
// that changed. What it has from beyond the horizon, in Unix milliseconds, was
// written before the clock was set back, and counts as old.
func (p *pushes) merge(levels []Level, horizon int64) []string {
	changed := make([]string, 0, len(levels))
	next := make(map[*atomic.Pointer[map[string]push]]map[string]push)
	for _, l := range levels {
		shard := p.shard(l.ID)
		m := next[shard]
		if m == nil {
			if old := shard.Load(); old != nil {
				m = maps.Clone(*old)
			} else {
				m = make(map[string]push)
			}
			next[shard] = m
		}
		now := l.push()
		old, had := m[l.ID]
		if had && old.at <= horizon && !now.newer(old) {
			continue
		}
		if !had {
			p.n.Add(1)
		}
		m[l.ID] = now
		changed = append(changed, l.ID)
	}
	for shard, m := range next {
		shard.Store(&m)
	}
	return changed
}

// drop forgets the pushes that stale picks, and returns their ids.
func (p *pushes) drop(stale func(id string, p push) bool) []string {
	var dropped []string
	p.rewrite(func(id string, was push) (push, bool) {
		if stale(id, was) {
			dropped = append(dropped, id)
			return push{}, false
		}
		return was, true
	})
	p.n.Add(-int64(len(dropped)))
	return dropped
}

// void makes the pushes that stale picks count no longer.
func (p *pushes) void(stale func(id string, p push) bool) {
	p.rewrite(func(id string, was push) (push, bool) {
		was.void = was.void || stale(id, was)
		return was, true
	})
}

// rewrite replaces every push by what edit makes of it.
func (p *pushes) rewrite(edit func(id string, p push) (push, bool)) {
	for i := range p.shards {
		shard := p.shards[i].Load()
		if shard == nil {
			continue
		}
		next := make(map[string]push, len(*shard))
		for id, was := range *shard {
			if now, keep := edit(id, was); keep {
				next[id] = now
			}
		}
		p.shards[i].Store(&next)
	}
}

// shrink forgets the oldest until an eighth of most is free, so that forgetting
// is rare, if there are more than most. It returns their ids.
func (p *pushes) shrink(most int) []string {
	if p.len() <= most {
		return nil
	}
	at := make([]int64, 0, p.len())
	for _, was := range p.all {
		at = append(at, was.at)
	}
	slices.Sort(at)
	excess := len(at) - most + most/8
	last := at[excess-1]
	older, _ := slices.BinarySearch(at, last)
	left := excess - older // to forget of those pushed in that very millisecond
	return p.drop(func(_ string, was push) bool {
		if was.at == last {
			left--
			return left >= 0
		}
		return was.at < last
	})
}

// all calls yield for each push, in no particular order.
func (p *pushes) all(yield func(id string, p push) bool) {
	for i := range p.shards {
		shard := p.shards[i].Load()
		if shard == nil {
			continue
		}
		for id, was := range *shard {
			if !yield(id, was) {
				return
			}
		}
	}
}

// levels lists what counts.
func (p *pushes) levels() []Level {
	levels := make([]Level, 0, p.len())
	for id, was := range p.all {
		if !was.void {
			levels = append(levels, Level{ID: id, Quantity: int(was.quantity), At: time.UnixMilli(was.at)})
		}
	}
	return levels
}

func (p *pushes) len() int { return int(p.n.Load()) }
