package delivery

import (
	"container/heap"
	"slices"
	"time"
)

// schedule decides which event is sent next: pick.go says by which rules. It does no I/O,
// has no lock of its own and knows the time only as it is told.
//
// Its unit is the session, since events of a session go in order: each session is
// in the ready line of its most urgent event, in delayed, or, while it may start
// nothing, in no heap.
type schedule struct {
	slots    int // the bulkhead
	sessions map[uint64]*session
	ready    [classes]line
	delayed  sessionHeap // by the time the session becomes ready
	inFlight [classes]int
	events   int           // pending and under way
	waiting  [ranks]int    // of those pending: waited for
	alone    int           // ordinary events waited for since a favoured one was
	unlive   int           // turns since one was that of a session nobody waits for
	call     time.Duration // how long calls take, smoothed; 0 before the first
	seq      uint64
}

func newSchedule(slots int) *schedule {
	return &schedule{slots: slots, sessions: make(map[uint64]*session), alone: slots}
}

// add takes in an event and gives it its number.
func (q *schedule) add(key uint64, p pending, now time.Duration) *session {
	s := q.session(key)
	q.seq++
	p.seq = q.seq
	q.events++
	q.insert(s, p)
	if s.in != q.lineUp(s) {
		q.place(s, now)
	}
	return s
}

// restore takes an event back that discard took out.
func (q *schedule) restore(key uint64, p pending, now time.Duration) {
	s := q.session(key)
	q.events++
	q.insert(s, p)
	q.place(s, now)
}

func (q *schedule) session(key uint64) *session {
	s := q.sessions[key]
	if s == nil {
		s = &session{key: key}
		q.sessions[key] = s
	}
	return s
}

// insert puts p where its number says, which for a new event is the end.
func (q *schedule) insert(s *session, p pending) {
	if last := len(s.queue) - 1; last < 0 || s.queue[last].seq < p.seq {
		if len(s.queue) == cap(s.queue) {
			s.queue = slices.Grow(s.queue, len(s.queue)+1) // twice as long: append is thriftier, and copies more
		}
		s.queue = append(s.queue, p)
	} else {
		s.queue = slices.Insert(s.queue, s.search(p.seq), p)
	}
	q.tally(s, &p, 1)
}

func (q *schedule) remove(s *session, i int) pending {
	p := s.queue[i]
	q.tally(s, &p, -1)
	if i == 0 {
		s.queue = s.queue[1:] // the common case; growing moves the rest to the front in time
	} else {
		s.queue = slices.Delete(s.queue, i, i+1)
	}
	return p
}

func (q *schedule) tally(s *session, p *pending, n int) {
	if p.waited {
		s.waited += n
		q.waiting[p.rank()] += n
	}
	if !p.replay {
		s.live += n
	}
}

// place puts the session where it belongs after a change.
func (q *schedule) place(s *session, now time.Duration) {
	if s.in != nil {
		heap.Remove(s.in, s.index)
	}
	switch {
	case len(s.queue) == 0 && s.inFlight == 0:
		delete(q.sessions, s.key)
		return
	case len(s.queue) == 0 || s.sending:
		return
	}
	next, due := s.candidate(now)
	if next < 0 {
		s.order, s.tie = due, s.queue[0].seq
		q.delayed.put(s)
		return
	}
	p := &s.queue[next]
	if !s.hasRoom(p) {
		return
	}
	s.next, s.order, s.tie = next, p.born, p.seq
	q.lineUp(s).put(s)
}

// heldUp reports whether the session waits to try again to send an event that did not
// leave: what comes after that event would wait in vain.
func (q *schedule) heldUp(key uint64) bool {
	s := q.sessions[key]
	return s != nil && s.in == &q.delayed
}

// wake makes the sessions ready whose time has come, and returns when the next will be, 0 for none.
func (q *schedule) wake(now time.Duration) (next time.Duration) {
	for len(q.delayed) > 0 {
		s := q.delayed[0]
		if s.order > now {
			return s.order
		}
		q.place(s, now)
	}
	return 0
}

// underWay is the number of calls.
func (q *schedule) underWay() int { return q.inFlight[waited] + q.inFlight[live] + q.inFlight[replay] }

// pickProbe returns the session with the oldest event, whatever its class and
// back-off, passing over those in skip while there are others.
func (q *schedule) pickProbe(skip map[uint64]bool) *session {
	var best *session
	consider := func(s *session, born time.Duration) {
		if !skip[s.key] && (best == nil || born < best.queue[best.next].born) {
			best = s
		}
	}
	for h := range q.lines() {
		var passed []*session
		for len(*h) > 0 && skip[(*h)[0].key] {
			passed = append(passed, heap.Pop(h).(*session)) //nolint:errcheck,forcetypeassert // it holds nothing else
		}
		if len(*h) > 0 {
			consider((*h)[0], (*h)[0].order)
		}
		for _, s := range passed {
			h.put(s)
		}
	}
	if best == nil {
		for _, s := range q.delayed {
			if s.hasRoom(&s.queue[0]) {
				s.next = 0
				consider(s, s.queue[0].born)
			}
		}
	}
	return best
}

// start takes the session's next event out of its queue: it is under way.
func (q *schedule) start(s *session, as class, now time.Duration) pending {
	q.turn(s)
	p := q.remove(s, s.next)
	s.sending = true
	s.inFlight++
	if p.replay {
		s.replayInFlight++
	}
	q.inFlight[as]++
	q.place(s, now)
	return p
}

// sent says that the event started last has left, so that the next may follow.
func (q *schedule) sent(s *session, now time.Duration) {
	s.sending = false
	q.place(s, now)
}

// finish ends what start began. The event goes back to its queue, or is settled.
func (q *schedule) finish(s *session, as class, p pending, settled bool, now time.Duration) {
	s.inFlight--
	if p.replay {
		s.replayInFlight--
	}
	q.inFlight[as]--
	if settled {
		q.events--
	} else {
		p.replay, p.waited = true, false
		q.insert(s, p)
	}
	q.place(s, now)
}

// discard takes out an event that is not under way, and reports whether it was there.
func (q *schedule) discard(s *session, seq uint64, now time.Duration) (pending, bool) {
	i := s.find(seq)
	if i < 0 {
		return pending{}, false
	}
	p := q.remove(s, i)
	q.events--
	q.place(s, now)
	return p, true
}

// await marks an event as waited for, or as no longer. One that is under way or settled is left alone.
func (q *schedule) await(key, seq uint64, wanted bool, now time.Duration) {
	s := q.sessions[key]
	if s == nil {
		return
	}
	i := s.find(seq)
	if i < 0 || s.queue[i].waited == wanted {
		return
	}
	p := &s.queue[i]
	q.tally(s, p, -1)
	p.waited = wanted
	q.tally(s, p, 1)
	switch {
	case !wanted:
	case p.rank() == favoured:
		q.alone = 0
	default:
		q.alone++
	}
	q.place(s, now)
}

// backlog turns every event that has not started into one to be replayed: the API is away.
func (q *schedule) backlog(now time.Duration) {
	for _, s := range q.sessions {
		if s.live == 0 && s.waited == 0 {
			continue
		}
		for i := range s.queue {
			p := &s.queue[i]
			q.tally(s, p, -1)
			p.replay, p.waited = true, false
		}
		q.place(s, now)
	}
}

// older returns a session that could start an event born before then, or nil.
func (q *schedule) older(then time.Duration) *session {
	for h := range q.lines() {
		if len(*h) > 0 && (*h)[0].order < then {
			return (*h)[0]
		}
	}
	for _, s := range q.delayed {
		if s.queue[0].born < then {
			s.next = 0
			return s
		}
	}
	return nil
}

// oldest returns when the oldest event that is not under way was accepted.
func (q *schedule) oldest() (born time.Duration, found bool) {
	for _, s := range q.sessions {
		if len(s.queue) > 0 && (!found || s.queue[0].born < born) {
			born, found = s.queue[0].born, true
		}
	}
	return born, found
}
