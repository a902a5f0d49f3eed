package fallback

import (
	"container/list"
	"slices"
	"strings"
	"time"
)

// entry is all there is to know about one list. Its fields but place are guarded by Natives.mu.
type entry struct {
	place    place
	snapshot *snapshot     // nil before the first
	asks     int           // since the last fetch
	asked    time.Time     // last
	due      time.Time     // nothing is to be done for it before: back-off, or another pod is at it
	failures int           // in a row
	polls    int           // of Shared, in a row
	lane     *lane         // where it waits or is worked on; nil = nothing goes on
	moved    chan struct{} // closed when lane changes; nil if lane is
	position *list.Element // in recent; nil = evicted
}

// overhead is about what an entry takes beside its strings.
const overhead = 512

func (e *entry) size() int {
	size := overhead + len(e.place.id)
	if s := e.snapshot; s != nil {
		size += len(s.ranking.JSON()) + len(s.seen.ETag) + len(s.seen.LastModified)
	}
	return size
}

// touchLocked notes that p is asked for, and starts what must be done for it.
func (n *Natives) touchLocked(p place, now time.Time) *entry {
	e := n.entries[p]
	if e == nil {
		p.id = strings.Clone(p.id) // the event may share a request's memory
		e = &entry{place: p, asked: now}
		e.position = n.recent.PushFront(e)
		n.entries[p] = e
		n.bytes += e.size()
		n.evictLocked(now)
	}
	n.recent.MoveToFront(e.position)
	e.asked = now
	e.asks++
	if n.young(e.snapshot, now) || e.lane != nil || now.Before(e.due) {
		return e
	}
	if n.opt.Shared != nil {
		n.enqueueLocked(n.loads, e)
	} else {
		n.enqueueLocked(n.laneOf(p), e)
	}
	return e
}

// installLocked makes s e's snapshot. An entry evicted meanwhile gets it too, for who still waits.
func (n *Natives) installLocked(e *entry, s *snapshot) {
	before := e.size()
	e.snapshot = s
	if e.position != nil {
		n.bytes += e.size() - before
		n.evictLocked(time.Now())
	}
}

// evictLocked forgets the lists asked for longest ago, as far as the bounds demand,
// but for the one asked for last.
func (n *Natives) evictLocked(now time.Time) {
	for back := n.recent.Back(); back != n.recent.Front(); back = n.recent.Back() {
		e := back.Value.(*entry) //nolint:errcheck // recent holds nothing else
		if n.bytes <= n.opt.MaxBytes && len(n.entries) <= n.opt.MaxLists && now.Sub(e.asked) <= n.opt.Keep {
			return
		}
		n.recent.Remove(back)
		delete(n.entries, e.place)
		n.bytes -= e.size()
		e.position = nil
		if e.lane != nil {
			if i := slices.Index(e.lane.queue, e); i >= 0 {
				e.lane.removeLocked(i)
				e.moveLocked(nil)
			}
		}
	}
}
