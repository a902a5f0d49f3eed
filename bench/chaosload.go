package main

import (
	"context"
	"strconv"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/report"
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
		flashCrowd(),
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

// mustHold adds the mark of a bulkhead that is full all the time.
func (r *outcome) mustHold(slots int) {
	// The API learns a moment later than the sidecar that a call was given up.
	r.must(r.stats.MaxInFlight <= slots+1+8, "calls in flight %d, bulkhead %d, a probe, and those given up the API has not noticed", r.stats.MaxInFlight, slots)
}

// kneeCurve is the knee, twice the knee, and then a quarter of it, so that the events of
// those answered natively can be delivered.
func kneeCurve(rate float64, p phases) load.Curve {
	over := p.before + p.during
	return load.Curve{{At: 0, Rate: rate}, {At: p.before, Rate: rate}, {At: p.before, Rate: 2 * rate}, {At: over, Rate: 2 * rate}, {At: over, Rate: rate / 4}, {At: p.length(), Rate: rate / 4}}
}

// redisBudget is redis.budget as it is by default.
const redisBudget = 5 * time.Millisecond

func judgeKnee(r *outcome) {
	good := func(s stretch, from, to time.Duration) float64 {
		return s.share(fresh) * float64(s.n) / (to - from).Seconds()
	}
	was, is := good(r.before, 0, r.from), good(r.in, r.from, r.to)
	r.must(is >= 0.9*was, "good answers a second %.0f, at the knee %.0f, want 90 %% (%.0f %%)", is, was, 100*is/max(1, was))
	rest := r.those(r.from, r.to, func(p point) bool { return !fresh(p.class) })
	r.must(rest.classes["refused"]+rest.classes["no answer"] == 0, "the rest: %s", rest.shares())
	// A hit in memory waits for nothing, and bears the same machine with more to do than it can. The
	// rest look into Redis first, for redis.budget at most.
	hits := r.those(r.from, r.to, func(p point) bool { return hit(p.class) })
	r.within(rest.took.Rough(0.99) <= hits.took.Rough(0.99)+redisBudget, "the rest at once: p50 %v, p99 %v, allowed that of a hit, %v, and redis.budget",
		report.Duration(rest.took.Rough(0.5)), rest.p99(), hits.p99())
	r.mustHold(kneeSlots)
}
