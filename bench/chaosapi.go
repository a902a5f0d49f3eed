package main

import (
	"context"
	"slices"
	"time"

	"vitrine/bench/fakeapi"
)

// faults lists the rows of the fault table in its order.
func faults() []fault {
	return slices.SortedStableFunc(slices.Values(slices.Concat(
		apiFaults(), rateFaults(), answerFaults(), nameFaults(), redisFaults(), groupFaults(), machineFaults(), systemFaults(), diskFaults(), clockFaults(), loadFaults(),
	)), func(a, b fault) int { return a.number - b.number })
}

// loose makes the API unwell.
func loose(f ...fakeapi.Fault) func(context.Context, *battle) error {
	return func(_ context.Context, b *battle) error { return b.stage.api.Set(f...) }
}

// apiFaults are an API that is slow or away.
func apiFaults() []fault {
	return []fault{
		{
			number: 1, name: "API ten times slower", ci: true,
			start: loose(fakeapi.Fault{Latency: &fakeapi.Latency{P50: 1800 * time.Millisecond, P99: 4500 * time.Millisecond}}),
			judge: func(r *outcome) {
				r.within(r.ttd >= 0 && r.ttd <= 2*time.Second, "TTD %s, allowed 2 s", brief(r.ttd))
				// The API learns a moment later than the sidecar that a call was given up.
				r.must(r.stats.MaxInFlight <= bulkhead+8, "calls in flight %d, bulkhead 64, a probe, and those given up the API has not noticed", r.stats.MaxInFlight)
				half := (r.from + r.to) / 2
				open := true
				for _, s := range r.states(half, r.to) {
					open = open && s.Breaker > 0
				}
				probes := float64(len(r.arrivals(half, r.to))) / (r.to - half).Seconds()
				r.must(!open || probes <= 5, "%.1f calls a second in the second half, breaker open throughout: %v, allowed 5 when open", probes, open)
			},
		},
		{
			number: 2, name: "5 % of calls slow",
			start: loose(fakeapi.Fault{Share: 0.05, Delay: time.Second}),
			judge: func(r *outcome) {
				r.must(r.transitions(0, r.to) == 0, "breaker transitions %d, want 0", r.transitions(0, r.to))
				fallback := 1 - r.in.share(fresh)
				r.must(fallback <= 0.06+0.02, "fallback %.1f %%, allowed 6 %% and 2 of chance", 100*fallback)
			},
		},
		{
			// People pause: who is back has a page in front that the outage left, not a dozen
			// questions. And the breaker may look again only as long after as it was open.
			number: 3, name: "API refuses connections", ci: true, after: 40 * time.Second,
			set:   func(o *options) { o.model.Shoppers, o.settle = 0, 3*time.Minute },
			start: loose(fakeapi.Fault{Answer: fakeapi.Refuse}),
			judge: func(r *outcome) {
				r.within(r.ttd >= 0 && r.ttd <= time.Second, "TTD %s, allowed 1 s", brief(r.ttd))
				late := r.stretch(r.from+time.Second, r.to)
				r.within(late.took.Rough(0.99) <= 2*time.Millisecond, "fallback p99 %v, allowed 2 ms", late.p99())
				open := r.openSince()
				r.within(r.ttr >= 0 && r.ttr <= open+5*time.Second, "TTR %s, allowed the time the breaker stays open, at most %s, and 5 s", brief(r.ttr), brief(open))
				r.must(r.in.classes["api"] == 0 || r.in.share(fresh) < 0.5, "answers during do not come from the API")
			},
		},
		{
			number: 5, name: "API accepts and never answers", ci: true,
			start: loose(fakeapi.Fault{Answer: fakeapi.Hang}),
			judge: func(r *outcome) {
				r.must(cutWithin(r, fakeapi.Hung, 2500*time.Millisecond), "every call cut by upstream.timeout, 2 s")
				r.must(r.stats.OpenConnections <= 72, "connections to the API at the end %d", r.stats.OpenConnections)
			},
		},
		{
			number: 6, name: "stale keep-alive: the API closes idle and used connections",
			set:   func(o *options) { o.rate = 10 },
			start: loose(fakeapi.Fault{IdleClose: 300 * time.Millisecond, CloseAfter: 5}),
			judge: func(r *outcome) {
				r.must(r.transitions(0, r.to) == 0, "breaker transitions %d, want 0", r.transitions(0, r.to))
				r.must(r.run.Ledger.Repeated == 0, "events delivered twice %d, want 0", r.run.Ledger.Repeated)
			},
		},
		{
			number: 8, name: "30 % of calls answered 503", ci: true,
			start: loose(fakeapi.Fault{Status: 503, Share: 0.3}),
			judge: func(r *outcome) {
				r.must(r.in.share(fresh) >= 0.6, "good answers used: %.1f %%, want at least 60", 100*r.in.share(fresh))
				flaps := float64(r.transitions(r.from, r.to)) / 2 / ((r.to - r.from).Seconds() / 10)
				r.must(flaps <= 1, "%.1f flaps in 10 s, allowed 1", flaps)
			},
		},
		{
			number: 13, name: "only empty lists",
			start: loose(fakeapi.Fault{Answer: fakeapi.EmptyList}),
			judge: func(r *outcome) {
				r.must(r.transitions(0, r.to) == 0, "breaker transitions %d, want 0", r.transitions(0, r.to))
				again, waited := waitedAgain(r)
				r.within(again > 0 && waited == 0, "the same question again within 5 s of an empty answer, without another view between: %d, of which waited %d", again, waited)
			},
		},
		{
			number: 17, name: "API up 5 s, down 5 s", during: 2 * time.Minute,
			start: loose(fakeapi.Fault{Answer: fakeapi.Refuse, Up: 5 * time.Second, Down: 5 * time.Second}),
			judge: func(r *outcome) {
				last := r.transitions(r.to-time.Minute, r.to)
				r.must(last <= 2, "breaker transitions in the last minute %d, allowed 2", last)
			},
		},
		{
			// The breaker may be open for a minute after a long outage before it looks, and
			// what came in the meantime drains at half the live rate while readers come, at 20 a
			// second and at what is left of the last minute's rate once they do not. What lies in
			// front of a reader's own question goes before it, at once.
			number: 18, name: "API back after an outage: the backlog drains", during: 30 * time.Second, after: 2 * time.Minute,
			set:   func(o *options) { o.settle = 5 * time.Minute },
			start: loose(fakeapi.Fault{Answer: fakeapi.Refuse}),
			judge: func(r *outcome) {
				r.within(r.after.took.Rough(0.99) <= r.patience, "readers p99 after %v", r.after.p99())
				after := r.arrivals(r.to, r.phases.length())
				all, alone, live := r.busiest(after), r.busiest(r.leftAlone(after)), float64(r.before.n)/r.phases.before.Seconds()
				r.must(all > live, "arrivals in the busiest 10 s after %.0f a second, beside %.0f of live ones", all, live)
				r.must(alone > 0 && alone+live <= 1.6*max(live, 20), "of which at most %.0f of sessions whose shoppers are not back: allowed with the live ones 1.5 × their rate and some chance, at least 20", alone)
				r.must(r.run.Events.Pending == 0, "events pending at the end %d", r.run.Events.Pending)
			},
		},
	}
}

// openSince is how long after the fault's end the breaker was seen not to be closed yet, and
// the second until the next look.
func (r *outcome) openSince() (open time.Duration) {
	for _, s := range r.states(r.to, r.phases.length()) {
		if s.Breaker > 0 {
			open = time.Duration(s.At*float64(time.Second)) - r.to + time.Second
		}
	}
	return open
}

// busiest is the most arrivals a second that any ten seconds have.
func (r *outcome) busiest(arrivals []fakeapi.Entry) float64 {
	const stretch = 10 * time.Second
	most, first := 0, 0
	for i, e := range arrivals {
		for e.At.Sub(arrivals[first].At) > stretch {
			first++
		}
		most = max(most, i+1-first)
	}
	return float64(most) / stretch.Seconds()
}

// leftAlone are those arrivals after the fault whose session had asked for nothing since. What
// a shopper who is back has in front goes with that one's priority, and not at replay's rate.
func (r *outcome) leftAlone(arrivals []fakeapi.Entry) (alone []fakeapi.Entry) {
	back := make(map[string]time.Duration)
	for _, p := range r.samples {
		if _, known := back[p.session]; p.at >= r.to && !known {
			back[p.session] = p.at
		}
	}
	for _, e := range arrivals {
		if at, known := back[e.Session]; !known || e.At.Sub(r.started) < at {
			alone = append(alone, e)
		}
	}
	return alone
}

// emptyFor is the default of cache.empty, and instantly what is too short for a call of the
// stand-in's.
const emptyFor, instantly = 5 * time.Second, 20 * time.Millisecond

// waitedAgain counts questions asked again while an empty answer to them was still to be
// remembered, and those of them whose shoppers waited. An event for another item ends that;
// of what a page asks together nobody knows which came first, so pages about one thing count.
func waitedAgain(r *outcome) (again, waited int) {
	for _, session := range r.bySession() {
		empty := make(map[string]time.Duration) // when it was answered so, of the last page's questions
		for _, page := range pages(session) {
			answered := make(map[string]time.Duration)
			for _, p := range page {
				was, known := empty[p.asks]
				answered[p.asks] = p.at + p.took
				// The first answers of the fault may be good ones.
				if !known || was < r.from+time.Second || p.at >= r.to || !aboutOne(page) || p.at <= was || p.at+p.took >= was+emptyFor {
					continue
				}
				answered[p.asks] = was // what it brought is not known to be remembered yet
				if again++; p.took > instantly {
					waited++
				}
			}
			empty = answered
		}
	}
	return again, waited
}

// pages splits what a session asked into what it asked together.
func pages(session []point) (pages [][]point) {
	for len(session) > 0 {
		n := slices.IndexFunc(session, func(p point) bool { return p.at != session[0].at })
		if n < 0 {
			n = len(session)
		}
		pages, session = append(pages, session[:n]), session[n:]
	}
	return pages
}

// aboutOne reports whether all that a page asks is about one item.
func aboutOne(page []point) bool {
	return !slices.ContainsFunc(page, func(p point) bool { return p.item != page[0].item })
}

// cutWithin reports whether every call of an outcome ended in time.
func cutWithin(r *outcome, outcome fakeapi.Outcome, limit time.Duration) bool {
	for _, e := range r.ledger {
		if e.Outcome == outcome && e.Settled.Sub(e.At) > limit {
			return false
		}
	}
	return true
}

// rateFaults are an API that asks to be left alone, in all the ways it may say for how
// long.
func rateFaults() []fault {
	limited := func(f fault, header string, wait time.Duration) fault {
		f.number, f.start = 9, loose(fakeapi.Fault{Status: 429, RetryAfter: header})
		f.judge = func(r *outcome) {
			early := tooEarly(r, wait)
			r.must(early == 0, "calls begun before they were asked to, %v after a 429: %d", wait, early)
			r.must(r.run.Events.Dropped == 0, "events dropped %d, want 0", r.run.Events.Dropped)
		}
		return f
	}
	return []fault{
		limited(fault{name: "429 with Retry-After: 3", ci: true}, "3", 3*time.Second),
		// A date has no fractions: three seconds ahead may be little more than two.
		limited(fault{name: "429 with a date as Retry-After"}, "date+3s", 2*time.Second),
		// Who asks to be left alone and not for how long gets a second, the sidecar's default.
		limited(fault{name: "429 with rubbish as Retry-After"}, "soon", time.Second),
		// The API is well again long before the minute that a day is cut to is over.
		limited(fault{
			name: "429 with Retry-After: 86400", during: 5 * time.Second, after: 80 * time.Second,
			set: func(o *options) { o.settle = 3 * time.Minute },
		}, "86400", time.Minute),
	}
}

// tooEarly counts calls that arrived after a 429 was given and before its Retry-After
// was over. Calls on their way when it was given are not meant: they get 100 ms.
func tooEarly(r *outcome, wait time.Duration) (n int) {
	var told time.Time
	for _, e := range r.ledger {
		if !told.IsZero() && e.At.After(told.Add(100*time.Millisecond)) && e.At.Before(told.Add(wait-50*time.Millisecond)) {
			n++
		}
		if e.Status == 429 && (told.IsZero() || e.At.After(told.Add(wait-50*time.Millisecond))) {
			told = e.Settled
		}
	}
	return n
}

// answerFaults are answers that are not what was asked.
func answerFaults() []fault {
	noneFromAPI := func(r *outcome) {
		late := r.stretch(r.from+time.Second, r.to-r.patience) // who waits when the fault ends is answered well
		r.must(late.classes["api"] == 0, "broken answers used: %d, want 0", late.classes["api"])
	}
	each := func(answers ...fakeapi.Answer) func(context.Context, *battle) error {
		return func(_ context.Context, b *battle) error {
			share := func(i int) float64 { return 1 / float64(len(answers)-i) } // each as likely as the others
			var all []fakeapi.Fault
			for i, a := range answers {
				all = append(all, fakeapi.Fault{Answer: a, Share: share(i)})
			}
			return b.stage.api.Set(all...)
		}
	}
	return []fault{
		{
			number: 10, name: "one byte every 50 ms", start: loose(fakeapi.Fault{Answer: fakeapi.Drip}),
			judge: func(r *outcome) {
				r.must(cutWithin(r, fakeapi.Cut, 2500*time.Millisecond), "every call cut at the deadline, 2 s")
				noneFromAPI(r)
			},
		},
		{number: 11, name: "truncated JSON, short body", start: each(fakeapi.Truncated, fakeapi.ShortBody), judge: noneFromAPI},
		{
			number: 12, name: "HTML with 200, null, {}, wrong types", ci: true,
			start: each(fakeapi.HTML, fakeapi.Null, fakeapi.EmptyObject, fakeapi.WrongTypes), judge: noneFromAPI,
		},
		{number: 14, name: "10 MB list, gzip bomb", start: each(fakeapi.Huge, fakeapi.GzipBomb), judge: noneFromAPI},
		{
			number: 15, name: "duplicates, the viewed item, unknown ids", ci: true,
			set:   func(o *options) { o.feed = true },
			start: loose(fakeapi.Fault{Answer: fakeapi.Dirty}),
			judge: func(r *outcome) {
				r.must(r.in.share(fresh) > 0.9, "cleaned and used: %.1f %%", 100*r.in.share(fresh))
			},
		},
		{
			number: 16, name: "certificate expired, then of another host", set: func(o *options) { o.tls = true },
			start: func(ctx context.Context, b *battle) error {
				if err := b.stage.api.Set(fakeapi.Fault{Certificate: fakeapi.Expired}); err != nil {
					return err
				}
				b.notes["events"] = float64(b.stage.api.Stats().Events)
				sleep(ctx, 5*time.Second)
				return b.stage.api.Set(fakeapi.Fault{Certificate: fakeapi.WrongHost})
			},
			judge: func(r *outcome) {
				during := len(r.arrivals(r.from+time.Second, r.to))
				r.must(during == 0, "events sent over unverified connections %d, want 0", during)
				states := r.states(r.from, r.to+2*time.Second)
				r.must(len(states) > 0 && states[len(states)-1].Certificates > 0, "the metric tells of refused certificates")
			},
		},
	}
}
