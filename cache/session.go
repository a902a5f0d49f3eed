package cache

import (
	"math"
	"sync"
	"unsafe"

	"vitrine/internal/reco"
)

// session is what the cache knows of a session apart from its rankings. It goes when
// memory is short; whatever depended on it then counts as out of date.
type session struct {
	life uint32 // number of this state among all there ever were in this process

	mu      sync.Mutex
	local   int32              // events accepted here in this life
	foreign int32              // events accepted elsewhere, as far as Redis has told; less than 0 if it has lost some
	floor   int32              // number of the last event before those in runs
	runs    []run              // the last events accepted here, oldest first
	empties *[maxEmpties]empty // questions answered with nothing since the last event for another item
	name    *sessionKey        // in Redis, once it was needed
	telling bool               // Redis is about to be told of pending events
	pending int32              // events accepted here that Redis was not told of
	told    int32              // those it was told of; the rest of local is lost to it
}

// told is what Redis is told of a session in one batch.
type told struct {
	events int32 // how many more there are
	upTo   int32 // how many it has been told of with these
}

// run is events for one (type, id), one directly after the other.
type run struct {
	kind uint32
	last int32 // number of its last event; its first follows the last of the run before
}

// kindOf tells the events of a session apart by type and item, of which half a hash is enough.
func kindOf(t reco.EventType, item uint32) uint32 { return item*31 + uint32(t) }

// empty is a question the API had no answer to.
type empty struct {
	until    instant
	question uint32 // of one session, so that half a hash is enough
	item     uint32
}

// maxEmpties is how many questions may be known to be empty at once: as many as can
// be asked about one item. One that is over leaves its place to the next.
const maxEmpties = len(reco.EventTypes)

// place is where an entry stands among the events of its session.
type place struct {
	life    uint32
	local   int32 // events accepted here up to its own
	foreign int32 // events accepted elsewhere up to its own
}

// accept counts an event, and ends what an event for this item ends. With shared, it
// reports whether somebody has to see to it that Redis is told.
func (s *session) accept(t reco.EventType, item uint32, keep int, shared bool) (m Mark, tell bool) {
	kind := kindOf(t, item)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local++
	if shared {
		s.pending++
		tell = !s.telling
		s.telling = true
	}
	if n := len(s.runs); n > 0 && s.runs[n-1].kind == kind {
		s.runs[n-1].last = s.local
	} else if keep > 0 {
		s.push(run{kind: kind, last: s.local}, keep)
	}
	if s.empties != nil {
		for i, e := range s.empties {
			if e.item != item {
				s.empties[i] = empty{}
			}
		}
	}
	return Mark(s.life)<<32 | Mark(uint32(s.local)), tell //nolint:gosec // never negative
}

// push adds a run; when there are keep already, the oldest goes.
func (s *session) push(r run, keep int) {
	if len(s.runs) < keep {
		s.runs = append(s.runs, r)
		return
	}
	s.floor = s.runs[0].last
	copy(s.runs, s.runs[1:])
	s.runs[keep-1] = r
}

// place is where the event with this mark stands, here and by the count that pods share.
// Events accepted elsewhere that this process has learned of while the event's call was
// under way count as before it.
func (s *session) place(m Mark) (p place, count uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p = place{life: s.life, foreign: s.foreign}
	if uint32(m>>32) == s.life {
		p.local = int32(uint32(m)) //nolint:gosec // accept made it from one
	}
	return p, uint32(max(0, p.local+p.foreign))
}

// placeOf is where an event stands that was the session's count-th when it was accepted,
// perhaps by another pod, now that the session has had total. A count beyond that makes
// no sense: any number of events may have come since.
func (s *session) placeOf(count uint32, total int32) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := place{life: s.life, foreign: s.foreign, local: math.MinInt32}
	if int64(count) <= int64(total) {
		p.local = int32(count) - s.foreign //nolint:gosec // at most total
	}
	return p
}

// learn takes in the count that Redis gave when it had been told of these events. Batches
// of one session are answered in order, so the last reply is the last word.
func (s *session) learn(total int32, t told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign = total - t.upTo
}

// acknowledge returns what Redis was told indeed: not the events of t if it refused to
// count them, as it does when it is full or a replica.
func (s *session) acknowledge(t told, reply any) told {
	if _, counted := reply.(int64); counted || t.events == 0 {
		return t
	}
	s.untell(t)
	return told{upTo: t.upTo - t.events}
}

// untell takes back what Redis may not have been told after all. If it was, events
// count twice, and the session's rankings are taken for out of date a little early.
func (s *session) untell(t told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.untellLocked(t)
}

func (s *session) untellLocked(t told) {
	s.pending += t.events
	s.told -= t.events
}

func (s *session) stopTelling() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.telling = false
}

// nameLocked returns the session's name in Redis.
func (s *session) nameLocked(keys *keyring, id string) sessionKey {
	if s.name == nil {
		name := keys.session(id)
		s.name = &name
	}
	return *s.name
}

// othersSince counts the events for other than this kind since the place p.
//
// A session keeps twice as many runs as the longest count anybody asks for. Two
// neighbours differ in kind, so when events since p have been dropped, the runs kept
// hold at least that many of another kind, and the dropped ones need no telling apart.
func (s *session) othersSince(p place, kind uint32) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.life != s.life {
		return math.MaxInt
	}
	others := int(s.local) - int(p.local) + max(0, int(s.foreign)-int(p.foreign))
	before := s.floor
	for _, r := range s.runs {
		if r.kind == kind {
			others -= int(max(0, r.last-max(before, p.local)))
		}
		before = r.last
	}
	return others
}

// storeEmpty remembers e in place of what it was before, else of what is over first.
func (s *session) storeEmpty(e empty) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empties == nil {
		s.empties = new([maxEmpties]empty)
	}
	slot := &s.empties[0]
	for i := range s.empties {
		have := &s.empties[i]
		if have.question == e.question {
			slot = have
			break
		}
		if have.until < slot.until {
			slot = have
		}
	}
	*slot = e
}

func (s *session) knownEmpty(question uint32, now instant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empties == nil {
		return false
	}
	for _, e := range s.empties {
		if e.question == question && now < e.until {
			return true
		}
	}
	return false
}

// sessionWeight is the most a state can weigh, since it grows after it was weighed.
func (c *Cache) sessionWeight() uint32 {
	size := perEntry + allocated(unsafe.Sizeof(session{})) +
		allocated(uintptr(c.ring)*unsafe.Sizeof(run{})) +
		allocated(unsafe.Sizeof([maxEmpties]empty{})) + allocated(unsafe.Sizeof(sessionKey{}))
	return uint32(size) //nolint:gosec // a few hundred
}
