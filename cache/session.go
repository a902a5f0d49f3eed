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
	local   int32   // events accepted here in this life
	foreign int32   // events accepted elsewhere, as far as Redis has told
	floor   int32   // number of the last event before those in runs
	runs    []run   // the last events accepted here, oldest first
	empties []empty // questions answered with nothing, all of them since the last event for another item
}

// run is events for one (type, id), one directly after the other.
type run struct {
	kind uint32
	last int32 // number of its last event; its first follows the last of the run before
}

// empty is a question the API had no answer to.
type empty struct {
	until    instant
	question uint32 // of one session, so that half a hash is enough
	item     uint32
}

// maxEmpties is how many questions may be known to be empty at once: as many as can
// be asked about one item.
const maxEmpties = len(reco.EventTypes)

// place is where an entry stands among the events of its session.
type place struct {
	life    uint32
	local   int32 // events accepted here up to its own
	foreign int32 // events accepted elsewhere up to its own
}

// accept counts an event, and ends what an event for this item ends.
func (s *session) accept(kind, item uint32, keep int) Mark {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.local++
	if n := len(s.runs); n > 0 && s.runs[n-1].kind == kind {
		s.runs[n-1].last = s.local
	} else if keep > 0 {
		s.push(run{kind: kind, last: s.local}, keep)
	}
	kept := s.empties[:0]
	for _, e := range s.empties {
		if e.item == item {
			kept = append(kept, e)
		}
	}
	s.empties = kept
	return Mark(s.life)<<32 | Mark(uint32(s.local)) //nolint:gosec // never negative
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

// place is where the event with this mark stands. Events accepted elsewhere that this
// process has learned of while the event's call was under way count as before it.
func (s *session) place(m Mark) place {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := place{life: s.life, foreign: s.foreign}
	if uint32(m>>32) == s.life {
		p.local = int32(uint32(m)) //nolint:gosec // accept made it from one
	}
	return p
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

// storeEmpty adds e; when there are maxEmpties already, the oldest goes.
func (s *session) storeEmpty(e empty, now instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.empties[:0]
	for _, have := range s.empties {
		if have.question != e.question && have.until > now {
			kept = append(kept, have)
		}
	}
	if len(kept) == maxEmpties {
		kept = append(kept[:0], kept[1:]...)
	}
	s.empties = append(kept, e)
}

func (s *session) knownEmpty(question uint32, now instant) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
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
		allocated(uintptr(maxEmpties)*unsafe.Sizeof(empty{}))
	return uint32(size) //nolint:gosec // a few hundred
}
