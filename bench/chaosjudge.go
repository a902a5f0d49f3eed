package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/traffic"
)

// outcome is how a sidecar bore a fault.
type outcome struct {
	row      fault
	phases   phases
	run      *report.Run
	started  time.Time
	patience time.Duration // of shoppers: the budget and a tenth

	from, to time.Duration // of the fault, since the start
	ledger   []fakeapi.Entry
	stats    fakeapi.Stats
	notes    map[string]float64

	mu      sync.Mutex
	samples []point

	before, in, after stretch
	ttd, ttr          time.Duration // -1 is never
	memory            float64       // the most since the fault, in terms of the most before
	goroutines        float64       // likewise
	marks             []mark
}

// point is a sample as the judge needs it.
type point struct {
	at      time.Duration // due, since the start
	took    time.Duration
	session string
	item    string // asked about
	kind    string // and the type of the event
	asks    string // and who for: the question, without the session
	class   string
	ok      bool
	nth     int // request of its session, from 1
}

// stretch is the answers of a phase.
type stretch struct {
	n, bad  int
	classes map[string]int
	took    *load.Histogram
}

// mark is a requirement and whether it was met.
type mark struct {
	text   string
	pass   bool
	timing bool // depends on how busy the machine is: a time, or growth
}

func (r *outcome) observe(t *trial) func(traffic.Request, load.Sample) {
	return func(asked traffic.Request, s load.Sample) {
		r.mu.Lock()
		defer r.mu.Unlock()
		kind := asked.Type + " " + asked.ID
		r.samples = append(r.samples, point{
			at: s.Due.Sub(t.start), took: s.Took, session: asked.Session,
			item: asked.ID, kind: kind, asks: kind + " " + asked.User, class: s.Class, ok: s.OK,
		})
	}
}

// usualBudget is the sidecar's default.
const usualBudget = 300 * time.Millisecond

// patience is a budget and a tenth: an answer at the end of the budget still has to be
// written and read.
func (o *options) patience() time.Duration {
	d, err := time.ParseDuration(o.env["VITRINE_BUDGET"])
	if err != nil {
		d = usualBudget
	}
	return d + d/10
}

// must adds a mark.
func (r *outcome) must(pass bool, format string, args ...any) {
	r.marks = append(r.marks, mark{fmt.Sprintf(format, args...), pass, false})
}

// within adds a mark about a time, or about what grows while answers take longer.
func (r *outcome) within(pass bool, format string, args ...any) {
	r.marks = append(r.marks, mark{"[" + fmt.Sprintf(format, args...) + "]", pass, true})
}

func brief(d time.Duration) string { return report.Never(report.Duration(d)) }

// conclude computes the figures and the marks.
func (r *outcome) conclude() {
	slices.SortFunc(r.samples, func(a, b point) int { return cmp.Compare(a.at, b.at) })
	asked := make(map[string]int)
	for i := range r.samples {
		p := &r.samples[i]
		asked[p.session]++
		p.nth = asked[p.session]
	}
	r.before, r.in, r.after = r.stretch(0, r.from), r.stretch(r.from, r.to), r.stretch(r.to, 1<<62)
	r.ttd = r.detected()
	r.ttr = r.recovered()
	r.run.Timeline.Spans = []report.Span{{From: r.from.Seconds(), To: r.to.Seconds(), Name: r.row.name}}
	r.common()
	if r.row.judge != nil {
		r.row.judge(r)
	}
}

func (r *outcome) stretch(from, to time.Duration) stretch {
	return r.those(from, to, func(point) bool { return true })
}

// those is the stretch of the answers that are wanted.
func (r *outcome) those(from, to time.Duration, wanted func(point) bool) stretch {
	s := stretch{classes: make(map[string]int), took: load.NewHistogram()}
	for _, p := range r.samples {
		if p.at < from || p.at >= to || !wanted(p) {
			continue
		}
		s.n++
		s.classes[p.class]++
		s.took.Record(p.took)
		if !p.ok {
			s.bad++
		}
	}
	return s
}

// bySession returns what each session asked, in the order of time.
func (r *outcome) bySession() map[string][]point {
	sessions := make(map[string][]point)
	for _, p := range r.samples {
		sessions[p.session] = append(sessions[p.session], p)
	}
	return sessions
}

func (s stretch) p99() report.Duration { return report.Duration(s.took.Rough(0.99)) }

// share is that of answers whose class is wanted.
func (s stretch) share(want func(string) bool) float64 {
	n := 0
	for class, count := range s.classes {
		if want(class) {
			n += count
		}
	}
	return float64(n) / float64(max(1, s.n))
}

func (s stretch) shares() string {
	var parts []string
	for _, class := range []string{"api", "cache", "stale", "native", "none", "refused", "no answer"} {
		if n := s.classes[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f %%", class, 100*float64(n)/float64(s.n)))
		}
	}
	return strings.Join(parts, ", ")
}

// window is what TTD and TTR look at; a single second of a hundred requests says
// little of one in a hundred.
const window = 2 * time.Second

// detected returns how long after the fault's start every window has 99 % of its
// answers within the budget.
func (r *outcome) detected() time.Duration {
	for at := r.to - window; at >= r.from; at -= 250 * time.Millisecond {
		s := r.stretch(at, at+window)
		if s.n > 0 && s.took.Share(r.patience) < 0.99 {
			if at += window; at+250*time.Millisecond >= r.to {
				return -1
			}
			return at - r.from
		}
	}
	return 0
}

// recovered returns how long after the fault's end a window has 95 % of the former
// share of fresh answers.
func (r *outcome) recovered() time.Duration {
	former := r.before.share(fresh)
	for at := r.to; at+window <= r.phases.before+r.phases.during+r.phases.after; at += 250 * time.Millisecond {
		if s := r.stretch(at, at+window); s.n > 0 && s.share(fresh) >= 0.95*former {
			return at - r.to
		}
	}
	return -1
}

// common adds the marks every fault has, but those the fault itself rules out.
func (r *outcome) common() {
	waived := func(name string) bool { return r.row.waive != nil && r.row.waive(name) }
	n, bad := r.before.n+r.in.n+r.after.n, r.before.bad+r.in.bad+r.after.bad
	if !waived("valid") {
		r.must(float64(bad) <= 1e-4*float64(n), "valid lists: %d of %d were not", bad, n)
	}
	text := "answers and events: no violation"
	for _, v := range r.run.Violations {
		text = fmt.Sprintf("answers and events: %s, %d times, first: %s", v.Kind, v.Count, v.Example)
	}
	r.must(len(r.run.Violations) == 0, "%s", text)
	lost := r.run.Ledger.Lost
	r.must(lost == 0, "events lost %d of %d accepted; pending %d, repeated %d", lost, r.run.Ledger.Accepted, r.run.Events.Pending, r.run.Ledger.Repeated)
	if why, most := r.dead(); !waived("live") {
		r.must(most < restartAfter, "/livez: at most %d looks in a row without a 200, allowed %d %s", most, restartAfter-1, why)
		r.within(most == 0, "none of them")
	}
	r.growth(waived)
	r.within(r.in.took.Rough(0.99) <= r.patience, "p99 during %v, budget and a tenth %v", r.in.p99(), r.patience)
}

// restartAfter is how many probes in a row must fail for a kubelet to restart a
// container, unless it is told otherwise.
const restartAfter = 3

// dead returns how often in a row /livez did not answer 200, at most, and why at first.
func (r *outcome) dead() (why string, most int) {
	row := 0
	for _, s := range r.run.Timeline.States {
		if row++; s.Dead == "" {
			row = 0
		}
		most, why = max(most, row), cmp.Or(why, s.Dead)
	}
	return why, most
}

// growth compares the most memory and goroutines since the fault with the most before.
func (r *outcome) growth(waived func(string) bool) {
	var was, is report.State
	for _, s := range r.run.Timeline.States {
		to := &is
		if s.At < r.from.Seconds() {
			to = &was
		}
		to.Resident, to.Goroutines = max(to.Resident, s.Resident), max(to.Goroutines, s.Goroutines)
	}
	r.memory, r.goroutines = float64(is.Resident)/float64(max(1, was.Resident)), float64(is.Goroutines)/float64(max(1, was.Goroutines))
	if !waived("growth") {
		r.within(r.memory <= 1.5, "memory × %.2f, allowed × 1.5", r.memory)
		r.within(r.goroutines <= 2, "goroutines × %.2f, allowed × 2", r.goroutines)
	}
}

// states are the looks at the sidecar between two instants.
func (r *outcome) states(from, to time.Duration) []report.State {
	return slices.DeleteFunc(slices.Clone(r.run.Timeline.States), func(s report.State) bool {
		return s.At < from.Seconds() || s.At >= to.Seconds()
	})
}

// transitions of the API's breaker between two instants.
func (r *outcome) transitions(from, to time.Duration) int64 {
	states := r.states(from, to)
	if len(states) == 0 {
		return 0
	}
	return states[len(states)-1].Transitions - states[0].Transitions
}

// arrivals are the events that reached the API between two instants.
func (r *outcome) arrivals(from, to time.Duration) []fakeapi.Entry {
	return slices.DeleteFunc(slices.Clone(r.ledger), func(e fakeapi.Entry) bool {
		at := e.At.Sub(r.started)
		return at < from || at >= to
	})
}
