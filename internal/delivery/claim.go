package delivery

import (
	"cmp"
	"math"
	"slices"
	"time"

	"vitrine/internal/journal"
)

// queued names an event in the schedule.
type queued struct {
	key, seq uint64
	born     time.Duration
}

// backlog lists what is to be parked of what is not under way: of every session
// with an event born before then, all; and all of those sessions that were parked
// from before in this outage, so that their newer events follow the older ones
// instead of overtaking them. Oldest first, but each session in its order.
func (d *Delivery) backlog(before time.Duration) (list []queued) {
	d.mu.Lock()
	for key, s := range d.q.sessions {
		if len(s.queue) == 0 || s.queue[0].born > before && !d.behind[key] {
			continue
		}
		born := time.Duration(math.MinInt64)
		for i := range s.queue {
			p := &s.queue[i]
			if onLoan(p.at) {
				continue // it is in Redis
			}
			born = max(born, p.born) // a clock set back must not turn a session around
			list = append(list, queued{key, p.seq, born})
		}
	}
	d.mu.Unlock()
	slices.SortFunc(list, func(a, b queued) int {
		return cmp.Or(cmp.Compare(a.born, b.born), cmp.Compare(a.seq, b.seq))
	})
	return list
}

// claim is an event on its way to Redis: pending, but not in the schedule.
type claim struct {
	key    uint64
	p      pending
	record journal.Record
}

// claim takes events out of the schedule, those that are still there. A session
// whose last event has not left yet keeps the others, which must not overtake it, and
// goes to held, so that later claims leave them too; with anyway it does not, because
// there is no time left to wait for it.
func (d *Delivery) claim(list []queued, held map[uint64]bool, anyway bool) []claim {
	var claims []claim
	d.mu.Lock()
	now := d.now()
	for _, e := range list {
		s := d.q.sessions[e.key]
		if s == nil {
			continue
		}
		if held[e.key] || s.sending && !anyway {
			held[e.key] = true
			continue
		}
		if p, ok := d.q.discard(s, e.seq, now); ok {
			d.away++
			claims = append(claims, claim{key: e.key, p: p})
		}
	}
	d.mu.Unlock()
	readable := claims[:0]
	for _, c := range claims {
		if d.read(&c) {
			readable = append(readable, c)
		}
	}
	return readable
}

// read reads a claim's body, or gives the event up.
func (d *Delivery) read(c *claim) bool {
	record, e, err := d.load(c.p.at, nil)
	if err == nil {
		c.record = record
		c.record.Key = groupOf(e.Session)
		return true
	}
	d.opt.Log.Error("an accepted event cannot be read back, and is dropped", "error", err)
	d.mu.Lock()
	d.away--
	d.stats.Dropped[Disk]++
	d.mu.Unlock()
	d.settle(c.p.at)
	return false
}

// restore takes claims back into the schedule, where they were.
func (d *Delivery) restore(claims []claim) {
	d.mu.Lock()
	now := d.now()
	for _, c := range claims {
		c.p.replay, c.p.waited = true, false
		d.q.restore(c.key, c.p, now)
	}
	d.away -= len(claims)
	d.shedLocked(now)
	d.mu.Unlock()
	d.work.Signal()
}

// forgetBehind ends an outage: what comes now is delivered by this process.
func (d *Delivery) forgetBehind() {
	d.mu.Lock()
	clear(d.behind)
	d.mu.Unlock()
}

// parked lets go of claims that Redis has acknowledged.
func (d *Delivery) parked(claims []claim) {
	d.mu.Lock()
	d.away -= len(claims)
	d.stats.Parked += uint64(len(claims))
	for _, c := range claims {
		d.behind[c.key] = true
	}
	d.mu.Unlock()
	for _, c := range claims {
		d.settle(c.p.at)
	}
}
