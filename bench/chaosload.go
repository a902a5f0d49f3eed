package main

import (
	"context"
	"iter"
	"strconv"
	"strings"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/traffic"
)

// nothing is the end of a fault that ends by itself.
func nothing(context.Context, *battle) error { return nil }

// kneeSlots is the bulkhead of these rows. With the default of 64 the knee
// lies near 1 000 requests a second, and on a small machine the harness would be the limit.
const kneeSlots = 16

// knee is the rate at which an API of that latency keeps a bulkhead full: beyond it calls
// are asked for faster than they can end.
func knee(slots int, l fakeapi.Latency) float64 { return float64(slots) / l.Mean().Seconds() }

// loadFaults are more shoppers than the API bears.
func loadFaults() []fault {
	return []fault{
		{
			number: 29, name: "flash crowd of new sessions, half of them bots",
			set: func(o *options) {
				o.env["VITRINE_UPSTREAM_MAX_IN_FLIGHT"] = strconv.Itoa(kneeSlots)
				o.warm, o.model.Bots, o.settle = 15*time.Second, 0, 3*time.Minute
			},
			plan: flashPlan, stop: nothing, judge: judgeFlash,
		},
		{
			number: 30, name: "twice the knee",
			set: func(o *options) {
				o.env["VITRINE_UPSTREAM_MAX_IN_FLIGHT"] = strconv.Itoa(kneeSlots)
				o.rate, o.warm, o.settle = knee(kneeSlots, o.latency), 15*time.Second, 3*time.Minute
				o.model.Shoppers = 0 // a shop is full of people, not of people in a hurry
			},
			plan: func(o *options, s *stage, p phases) plan {
				return o.plan(kneeCurve(o.rate, p), s.catalogue)
			},
			stop:  nothing,
			judge: judgeKnee,
		},
	}
}

// flashFactor is how many times as many guests come as there are regular shoppers.
const flashFactor = 3

// flashSeed is the guests' own, which their sessions' names tell: it reads "flash".
const flashSeed = 26_188_001

// flashPlan lets guests come while the regular shoppers go on.
func flashPlan(o *options, s *stage, p phases) plan {
	regular := o.plan(load.Constant(o.rate, p.length()), s.catalogue)
	guests := *o
	guests.model.Seed, guests.model.Bots, guests.model.Shoppers = flashSeed, 0.5, 0
	crowd := guests.plan(flashCurve(flashFactor*o.rate, p), s.catalogue)
	regular.requests = merge(regular.requests, crowd.requests)
	return regular
}

// flashCurve is nobody, the crowd, and nobody again.
func flashCurve(rate float64, p phases) load.Curve {
	over := p.before + p.during
	return load.Curve{{At: 0}, {At: p.before}, {At: p.before, Rate: rate}, {At: over, Rate: rate}, {At: over}, {At: p.length()}}
}

// isGuest reports whether a session is one of the flash crowd's.
func isGuest(session string) bool { return strings.Contains(session, "flash-") }

// firstPage is how many requests a session may have made and still be new: a page's.
const firstPage = 3

// judgeFlash compares the others' hits. The others are the regular shoppers from their
// second page on, before and during alike: one that comes with the crowd is new as the
// crowd is, and until it comes back nothing tells the two apart.
func judgeFlash(r *outcome) {
	other := func(p point) bool { return !isGuest(p.session) && p.nth > firstPage }
	was, is := r.those(0, r.from, other), r.those(r.from, r.to, other)
	guests := r.those(r.from, r.to, func(p point) bool { return isGuest(p.session) })
	hits := func(s stretch) float64 { return 100 * s.share(func(class string) bool { return class == check.Cache }) }
	r.must(guests.n >= 2*(r.in.n-guests.n), "guests %d beside %d of others", guests.n, r.in.n-guests.n)
	r.must(hits(is) >= hits(was)-2, "others' hit share %.1f %%, before %.1f %%, allowed 2 points less (%s; before %s)", hits(is), hits(was), is.shares(), was.shares())
	r.mustHold(kneeSlots)
}

// mustHold adds the mark of a bulkhead that is full all the time.
func (r *outcome) mustHold(slots int) {
	// The API learns a moment later than the sidecar that a call was given up.
	r.must(r.stats.MaxInFlight <= slots+1+8, "calls in flight %d, bulkhead %d, a probe, and those given up the API has not noticed", r.stats.MaxInFlight, slots)
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

// kneeCurve is the knee, twice the knee, and then a quarter of it, so that the events of
// those answered natively can be delivered.
func kneeCurve(rate float64, p phases) load.Curve {
	over := p.before + p.during
	return load.Curve{{At: 0, Rate: rate}, {At: p.before, Rate: rate}, {At: p.before, Rate: 2 * rate}, {At: over, Rate: 2 * rate}, {At: over, Rate: rate / 4}, {At: p.length(), Rate: rate / 4}}
}

func judgeKnee(r *outcome) {
	good := func(s stretch, from, to time.Duration) float64 {
		return s.share(fresh) * float64(s.n) / (to - from).Seconds()
	}
	was, is := good(r.before, 0, r.from), good(r.in, r.from, r.to)
	r.must(is >= 0.9*was, "good answers a second %.0f, at the knee %.0f, want 90 %% (%.0f %%)", is, was, 100*is/max(1, was))
	rest := r.those(r.from, r.to, func(p point) bool { return !fresh(p.class) })
	r.must(rest.classes["refused"]+rest.classes["no answer"] == 0, "the rest: %s", rest.shares())
	r.within(rest.took.Rough(0.99) <= 2*time.Millisecond, "the rest at once: p50 %v, p99 %v, allowed 2 ms", report.Duration(rest.took.Rough(0.5)), rest.p99())
	r.mustHold(kneeSlots)
}
