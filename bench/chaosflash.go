package main

import (
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/load"
	"vitrine/bench/traffic"
)

// flashCrowd is the row of guests who come all at once. It lasts longer than most, since
// it compares shares.
func flashCrowd() fault {
	return fault{
		number: 29, name: "flash crowd of new sessions, half of them bots",
		before: 20 * time.Second, during: 40 * time.Second,
		set: func(o *options) {
			o.env["VITRINE_UPSTREAM_MAX_IN_FLIGHT"] = strconv.Itoa(kneeSlots)
			o.warm, o.model.Bots, o.settle = 15*time.Second, 0, 3*time.Minute
		},
		plan: flashPlan, stop: nothing, judge: judgeFlash,
	}
}

// flashFactor is how many times as many guests come as there are regular shoppers.
const flashFactor = 3

// flashSeed returns the guests' own seed. Their sessions' names tell it, in base 36 as
// "flash" behind the regular shoppers' seed, or the end of that.
func flashSeed(regular uint64) uint64 {
	const flash, letters = 26_188_001, 36 * 36 * 36 * 36 * 36
	return regular%letters*letters + flash
}

// isGuest reports whether a session is one of the flash crowd's.
func isGuest(session string) bool { return strings.Contains(session, "flash-") }

// flashPlan lets guests come while the regular shoppers go on.
func flashPlan(o *options, s *stage, p phases) plan {
	regular := o.plan(load.Constant(o.rate, p.length()), s.catalogue)
	guests := *o
	guests.model.Seed, guests.model.Bots, guests.model.Shoppers = flashSeed(o.model.Seed), 0.5, 0
	crowd := guests.plan(flashCurve(flashFactor*o.rate, p), s.catalogue)
	regular.requests = merge(regular.requests, crowd.requests)
	return regular
}

// flashCurve is nobody, the crowd, and nobody again.
func flashCurve(rate float64, p phases) load.Curve {
	over := p.before + p.during
	return load.Curve{{At: 0}, {At: p.before}, {At: p.before, Rate: rate}, {At: over, Rate: rate}, {At: over}, {At: p.length()}}
}

// merge yields two plans as one, in the order of time.
func merge(a, b iter.Seq[load.Due[traffic.Request]]) iter.Seq[load.Due[traffic.Request]] {
	return func(yield func(load.Due[traffic.Request]) bool) {
		next, stop := iter.Pull(b)
		defer stop()
		other, more := next()
		for one := range a {
			for ; more && other.At < one.At; other, more = next() {
				if !yield(other) {
					return
				}
			}
			if !yield(one) {
				return
			}
		}
		for more && yield(other) {
			other, more = next()
		}
	}
}

// firstPage is how many requests a session may have made and still be new: a page's.
const firstPage = 3

// judgeFlash looks at the others: regular shoppers who were past their first page when the
// crowd came. Nothing tells who came with the crowd from the crowd, and of what their first
// page was not answered the second can have no hit.
//
// The share of hits says little of a few seconds, for it is as high as chance lets shoppers
// go back to what they saw: a thousand answers tell 20 % from 17 only sometimes. So it is
// held against its standard error, and against the mark those hits are that were due.
func judgeFlash(r *outcome) {
	known := r.knownBy(r.from)
	other := func(p point) bool { return known[p.session] && p.nth > firstPage }
	late := func(p point) bool { return !isGuest(p.session) && !known[p.session] && p.nth > firstPage }
	was, is := r.those(0, r.from, other), r.those(r.from, r.to, other)
	guests := r.those(r.from, r.to, func(p point) bool { return isGuest(p.session) })
	r.must(guests.n >= 2*(r.in.n-guests.n), "guests %d beside %d of others", guests.n, r.in.n-guests.n)

	due, kept := r.hitsDue(r.from, r.to, other)
	lost := 100 * was.share(hit) * float64(due-kept) / float64(max(1, due))
	r.must(due >= leastDue, "hits due to the others %d, enough to tell: %d", due, leastDue)
	r.must(lost <= 2, "of which kept %d: %.1f points of their hit share, allowed 2", kept, lost)
	drop, chance := 100*(was.share(hit)-is.share(hit)), 100*math.Hypot(was.deviation(hit), is.deviation(hit))
	r.must(drop <= 2+3*chance, "others' hit share %.1f %%, before %.1f %%, allowed 2 points less and 3 × %.1f of chance", 100*is.share(hit), 100*was.share(hit), chance)
	r.must(is.bad == 0, "others' fresh answers %.1f %%, before %.1f %%: %s", 100*is.share(fresh), 100*was.share(fresh), is.shares())
	r.mustHold(kneeSlots)
	came := r.those(r.from, r.to, late)
	r.must(came.bad == 0, "regular shoppers who came with the crowd, past their first page: %s", came.shares())
}

func hit(class string) bool { return class == check.Cache }

// deviation is the standard error of a share.
func (s stretch) deviation(want func(string) bool) float64 {
	share := s.share(want)
	return math.Sqrt(share * (1 - share) / float64(max(1, s.n)))
}

// knownBy returns the regular shoppers that are past their first page at an instant.
func (r *outcome) knownBy(at time.Duration) map[string]bool {
	known := make(map[string]bool)
	for _, p := range r.samples {
		if p.at < at && p.nth > firstPage && !isGuest(p.session) {
			known[p.session] = true
		}
	}
	return known
}

const (
	leastDue  = 50
	dueWithin = 50 * time.Second // cache.fresh without its jitter and a moment
	dueOthers = 3                // cache.fresh_events
)

// hitsDue counts those answers of the wanted that had to be hits, and were: the session had
// asked the same lately, its budget was over, and there were not events enough for anything
// else since to end a ranking's freshness, whatever came first of what was asked together.
func (r *outcome) hitsDue(from, to time.Duration, wanted func(point) bool) (due, kept int) {
	sessions := r.bySession()
	for _, p := range r.samples {
		if p.at < from || p.at >= to || !wanted(p) || !isDue(p, sessions[p.session]) {
			continue
		}
		if due++; hit(p.class) {
			kept++
		}
	}
	return due, kept
}

// isDue reports whether the answer had to be a hit, given all that its session asked.
func isDue(p point, session []point) bool {
	var last *point // time the same was asked
	for i := range session {
		if q := &session[i]; q.asks == p.asks && q.at < p.at {
			last = q
		}
	}
	if last == nil || p.at < last.at+usualBudget || p.at > last.at+dueWithin {
		return false
	}
	others := 0
	for _, q := range session {
		if q.at >= last.at && q.at <= p.at && q.kind != p.kind {
			others++
		}
	}
	return others < dueOthers
}
