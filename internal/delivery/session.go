package delivery

import (
	"container/heap"
	"sort"
	"time"

	"vitrine/cache"
	"vitrine/internal/journal"
)

// class is how urgent an event is.
type class uint8

const (
	waited class = iota // a shopper waits for its ranking
	live                // it has just happened, and nobody waits
	replay              // it has waited for the API before: left by an outage, a restart, another pod
	classes
)

// maxTogether is how many events of one session may be under way at once; of
// those that are replayed, one.
const maxTogether = 4

// pending is an accepted event that is neither settled nor under way. It holds
// where the body is, not the body, and no pointer, so that the backlog of a long
// outage costs the garbage collector nothing.
type pending struct {
	at        journal.Position // see store
	seq       uint64           // order of acceptance in this process
	born      time.Duration    // when it was accepted; negative if that was before this process
	due       time.Duration    // not to be tried before
	mark      cache.Mark       // where in its session it stands, for the cache
	successes uint32           // of other events, when this one last failed
	attempts  uint8            // failures so far: the exponent of the back-off
	strikes   uint8            // failures that count towards the dead letter
	received  bool             // the API has had it once, so its session goes on without it
	waited    bool             // counts in session.waited
	replay    bool             // counts as replay, else in session.live
}

// session is the queue of one session's pending events, and its place in the schedule.
type session struct {
	key            uint64
	queue          []pending // by seq
	sending        bool      // the last one started has not left yet: nothing may overtake it
	inFlight       int
	replayInFlight int
	waited, live   int // among queue

	in    *sessionHeap  // the heap it is in, nil if it has nothing to start now
	index int           // its index there
	next  int           // in queue: what would be started
	order time.Duration // of in: birth of the next event in a ready heap, time due in delayed
	tie   uint64        // of in: the next event's number
}

func (s *session) class() class {
	switch {
	case s.waited > 0:
		return waited
	case s.live > 0:
		return live
	default:
		return replay
	}
}

// candidate returns the event to start first: the oldest that is due, unless an
// older one that the API never had is not. Without one it returns -1 and when
// there will be one.
func (s *session) candidate(now time.Duration) (next int, due time.Duration) {
	for i := range s.queue {
		p := &s.queue[i]
		if p.due <= now {
			return i, 0
		}
		if i == 0 || p.due < due {
			due = p.due
		}
		if !p.received {
			break
		}
	}
	return -1, due
}

// hasRoom reports whether p may be under way beside what is of the session.
func (s *session) hasRoom(p *pending) bool {
	if p.replay || s.replayInFlight > 0 {
		return s.inFlight == 0
	}
	return s.inFlight < maxTogether
}

// find returns where the event with this number is in the queue, or -1.
func (s *session) find(seq uint64) int {
	i := s.search(seq)
	if i == len(s.queue) || s.queue[i].seq != seq {
		return -1
	}
	return i
}

func (s *session) search(seq uint64) int {
	return sort.Search(len(s.queue), func(i int) bool { return s.queue[i].seq >= seq })
}

// before is the order of heaps.
func (s *session) before(other *session) bool {
	if s.order != other.order {
		return s.order < other.order
	}
	return s.tie < other.tie
}

// sessionHeap is a heap of sessions by their order, and by age where that is equal.
type sessionHeap []*session //nolint:recvcheck // container/heap wants both kinds of receivers

func (h *sessionHeap) put(s *session) {
	s.in = h
	heap.Push(h, s)
}

// Len, Less, Swap, Push and Pop are container/heap's.
func (h sessionHeap) Len() int { return len(h) }

func (h sessionHeap) Less(i, j int) bool {
	return h[i].before(h[j])
}

func (h sessionHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *sessionHeap) Push(x any) {
	s := x.(*session) //nolint:errcheck,forcetypeassert // put gives it nothing else
	s.index = len(*h)
	*h = append(*h, s)
}

func (h *sessionHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.in = nil
	return s
}
