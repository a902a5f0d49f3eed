package delivery

import (
	"iter"
	"time"
)

// This file is what the schedule does when there is more to send than there are slots.
// Then not everybody can be answered in time, and every event is still to be sent. So
// calls go where they are worth most, a share of each kind of turns goes by age, and who
// would wait in vain is told so at once.

// rank is what a call is worth while calls are scarce.
type rank uint8

const (
	favoured rank = iota // of a session that will make use of the ranking
	ordinary             // of one that is new, or too far behind
	ranks
)

const (
	// firstPage is for how many events a session is new: what a page asks, a view with its
	// look and a shelf. In a flash crowd most sessions end with it, and of their first events
	// the API makes little yet.
	firstPage = 3

	// byAge is how often, at the least, the turn is that of the session that has waited the
	// longest, whatever its rank: every fourth time.
	byAge = 4

	// liveTurn is how often, at the least, a session is next that nobody waits for.
	liveTurn = 16
)

// rank is the event's own, whatever lies before it.
func (p *pending) rank() rank {
	if p.mark.Events() > firstPage {
		return favoured
	}
	return ordinary
}

// rank is that of the session's turn: of its last event, if those before it can be under
// way together with it.
func (s *session) rank() rank {
	if n := len(s.queue); n <= maxTogether {
		return s.queue[n-1].rank()
	}
	return ordinary
}

// line is the sessions of a class that are ready, each rank by birth of the event that
// would be started.
type line struct {
	ranked [ranks]sessionHeap
	passed int // favoured ones started, one after the other, before an older ordinary one
}

func (l *line) size() int { return len(l.ranked[favoured]) + len(l.ranked[ordinary]) }

// next returns the session whose turn it is. There must be one.
func (l *line) next() *session {
	first, second := l.ranked[favoured], l.ranked[ordinary]
	switch {
	case len(second) == 0:
		return first[0]
	case len(first) == 0, l.passed >= byAge-1 && second[0].before(first[0]):
		return second[0]
	default:
		return first[0]
	}
}

// took notes whose turn it was, while it is still in the line.
func (l *line) took(s *session) {
	if second := l.ranked[ordinary]; s.in == &l.ranked[favoured] && len(second) > 0 && second[0].before(s) {
		l.passed++
	} else {
		l.passed = 0
	}
}

// lineUp returns the heap that the session belongs to when it is ready.
func (q *schedule) lineUp(s *session) *sessionHeap { return &q.ready[s.class()].ranked[s.rank()] }

// lines yields the heaps of all sessions that are ready.
func (q *schedule) lines() iter.Seq[*sessionHeap] {
	return func(yield func(*sessionHeap) bool) {
		for c := range q.ready {
			for r := range q.ready[c].ranked {
				if !yield(&q.ready[c].ranked[r]) {
					return
				}
			}
		}
	}
}

// pick returns the session whose event is to be sent next, or nil, and as what that event
// counts while it is under way. Sessions that somebody waits for go first, but a quarter
// of the slots is for live events that nobody waits for, those in front of one that is
// waited for among them, and one turn in liveTurn for sessions that have only such.
// Replayed events take what is left, at most half, and only while it is allowed.
func (q *schedule) pick(replaying bool) (*session, class) {
	if q.underWay() >= q.slots {
		return nil, 0
	}
	reserve := q.slots / 4
	full := q.inFlight[live] < reserve && q.inFlight[waited] >= q.slots-reserve
	switch {
	case q.ready[waited].size() > 0 && (q.ready[live].size() == 0 || !full && q.unlive < liveTurn-1):
		s := q.ready[waited].next()
		if !s.queue[s.next].waited {
			return s, live
		}
		return s, waited
	case q.ready[live].size() > 0:
		return q.ready[live].next(), live
	case q.ready[replay].size() > 0 && replaying && q.inFlight[replay] < max(q.slots/2, 1):
		return q.ready[replay].next(), replay
	default:
		return nil, 0
	}
}

// turn notes whose turn it was, while it is still in its line.
func (q *schedule) turn(s *session) {
	for c := range q.ready {
		l := &q.ready[c]
		if s.in != &l.ranked[favoured] && s.in != &l.ranked[ordinary] {
			continue
		}
		l.took(s)
		if q.unlive++; class(c) == live {
			q.unlive = 0
		}
	}
}

// overloaded reports whether nobody is to begin to wait for the event, since those of its
// rank who wait already are as many as there are slots, beside those whom the free ones are
// about to take; of ordinary ones half as many, while favoured ones come, who go before
// them. An event that is not in the queue is under way.
func (q *schedule) overloaded(key, seq uint64) bool {
	s := q.sessions[key]
	if s == nil {
		return false
	}
	i := s.find(seq)
	if i < 0 {
		return false
	}
	r, free := s.queue[i].rank(), q.free()
	if free == 0 && i-s.waited > q.carries(r) {
		return true
	}
	places := q.slots
	if r == ordinary && q.alone < q.slots {
		places = (q.slots + 1) / 2
	}
	return q.waiting[r] >= places+free
}

// carries is how many events that nobody waits for may be in front of one that somebody
// wants to wait for. Each of them costs a call that could answer somebody else. One is
// little; a favoured session is let in with all that its first page left behind while few
// of its like wait, whom it would cost something.
func (q *schedule) carries(r rank) int {
	if r == favoured && q.waiting[favoured] < max(q.slots/4, 1) {
		return firstPage
	}
	return 1
}

func (q *schedule) free() int { return max(q.slots-q.underWay(), 0) }

// remaining estimates how long it takes until the event's answer is there; 0 if it is under
// way or about to be.
func (q *schedule) remaining(key, seq uint64) time.Duration {
	s := q.sessions[key]
	if s == nil || q.free() > 0 {
		return 0
	}
	i := s.find(seq)
	if i < 0 {
		return 0
	}
	mine, others, times := q.waiting[favoured], q.waiting[ordinary], 1.0/(byAge-1)
	if s.queue[i].rank() == ordinary {
		mine, others, times = others, mine, byAge-1
	}
	ahead := float64(mine) + min(float64(others), times*float64(mine))
	rounds := ahead / float64(q.slots-q.slots/4)
	return time.Duration((1 + rounds) * float64(q.call))
}

// observe takes in how long a call took.
func (q *schedule) observe(took time.Duration) {
	if q.call == 0 {
		q.call = took
	}
	q.call += (took - q.call) / 16 // the last few dozen calls
}
