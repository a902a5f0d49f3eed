package check

import (
	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
)

// Arrived counts events the API has seen. The entries follow those of the call before.
func (c *Checker) Arrived(entries []fakeapi.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range entries {
		if e.Seq <= c.after {
			continue
		}
		c.after = e.Seq
		c.seen++
		t := c.asked[c.key(e.Session, e.User, e.Type, e.ID)]
		if t == nil {
			t = &tally{}
			c.asked[c.key(e.Session, e.User, e.Type, e.ID)] = t
		}
		t.arrived++
	}
}

// After is the number of the last entry counted.
func (c *Checker) After() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.after
}

// Settlement is how the events went.
type Settlement struct {
	Accepted   int64 `json:"accepted"`   // answered with an event id
	Unanswered int64 `json:"unanswered"` // requests without an answer: accepted or not
	Arrived    int64 `json:"arrived"`    // at the API
	Missing    int64 `json:"missing"`    // accepted, not arrived
	Lost       int64 `json:"lost"`       // of these, those the sidecar does not tell of: as pending, expired, dropped, parked
	Repeated   int64 `json:"repeated"`   // arrived more often than asked
	Invented   int64 `json:"invented"`   // arrived, never asked
}

// Settle holds the events against what arrived, and the sidecars' own counts, added
// up over all that ran. It is for the end, when nothing is pending any more; what
// the counts call expired or dropped is not lost without a word, and is taken off.
// In flight is how many calls were under way when processes were killed: their events
// may arrive again without being counted as retries.
func (c *Checker) Settle(counts rig.Events, inFlight int64) Settlement {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s Settlement
	for _, t := range c.asked {
		s.Accepted += int64(t.accepted)
		s.Unanswered += int64(t.maybe)
		s.Arrived += int64(t.arrived)
		s.Missing += int64(max(0, t.accepted-t.arrived))
		extra := int64(max(0, t.arrived-t.accepted-t.maybe))
		if t.accepted+t.maybe == 0 {
			s.Invented += extra
		} else {
			s.Repeated += extra
		}
	}
	s.Lost = max(0, s.Missing-counts.Expired-counts.Dropped-counts.Deduplicated-counts.Pending-counts.Parked)
	if s.Lost > 0 {
		c.found.add(Lost, s.Lost, "%d events were accepted and never arrived; the sidecar tells of %d expired, %d dropped, %d parked, %d pending",
			s.Missing, counts.Expired, counts.Dropped, counts.Parked, counts.Pending)
	}
	if s.Invented > 0 {
		c.found.add(Invented, s.Invented, "%d events arrived that nobody asked", s.Invented)
	}
	if s.Repeated > counts.Retried+inFlight {
		c.found.add(Phantom, s.Repeated-counts.Retried, "%d events arrived again, the sidecar counts %d retries", s.Repeated, counts.Retried)
	}
	return s
}

// Balance checks one scrape: events must add up at every one of them.
func (c *Checker) Balance(counts rig.Events) {
	if n := counts.Unbalanced(); n != 0 {
		c.found.add(Unbalanced, 1, "accepted is off by %d: %+v", n, counts)
	}
}
