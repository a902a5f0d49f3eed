package main

import (
	"context"
	"errors"
	"hash/fnv"
	"iter"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/rig"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// trial offers a load to a stage and finds out how it went.
type trial struct {
	opts    *options
	stage   *stage
	checker *check.Checker
	rec     *load.Recorder

	observe func(traffic.Request, load.Sample) // is told of every sample, those of the warm-up too; may be nil
	hangUp  atomic.Uint64                      // share of clients that close before the answer, as the bits of a float64

	start   time.Time // of what is measured
	answers sync.Pool

	mu     sync.Mutex
	states []report.State
}

// newTrial prepares one. Nothing is sent yet.
func newTrial(o *options, s *stage) *trial {
	return &trial{
		opts: o, stage: s,
		checker: check.New(check.Options{
			Rankings: s.api.Rankings(), Fresh: o.lifetime("FRESH", time.Minute), Stale: o.lifetime("STALE", 30*time.Minute), Share: o.check,
		}),
		answers: sync.Pool{New: func() any { return new(wire.Answer) }},
	}
}

// lifetime is what the sidecar was told of cache.fresh or cache.stale.
func (o *options) lifetime(name string, otherwise time.Duration) time.Duration {
	if d, err := time.ParseDuration(o.env["VITRINE_CACHE_"+name]); err == nil {
		return d
	}
	return otherwise
}

// plan is what is to be asked when. What is due before warm is not measured.
type plan struct {
	warm, length time.Duration
	requests     iter.Seq[load.Due[traffic.Request]]
}

// plan lets a crowd ask along a curve of requests a second, after the warm-up.
func (o *options) plan(curve load.Curve, catalogue *shopdata.Catalogue) plan {
	arrivals := o.arrivals(o.withWarmth(curve))
	crowd := traffic.NewCrowd(o.model, catalogue, arrivals.Curve.Total()/arrivals.Curve.Length().Seconds())
	return plan{warm: o.warm, length: curve.Length(), requests: crowd.Requests(arrivals.All())}
}

// offer sends what is planned, does something beside from the start of what is
// measured, if there is something, and fills the report.
func (t *trial) offer(ctx context.Context, p plan, beside func(context.Context) error, run *report.Run, out *progress) error {
	t.start = time.Now().Add(p.warm)
	t.rec = load.NewRecorder(t.start, p.length)

	side, stop := context.WithCancel(ctx)
	var group sync.WaitGroup
	var failure error
	group.Go(func() { t.watch(side) })
	group.Go(func() { out.follow(side, t.rec, t.start.Add(p.length)) })
	if beside != nil {
		group.Go(func() {
			if sleep(side, time.Until(t.start)) {
				failure = beside(side)
			}
		})
	}
	before := t.stage.usage()
	offer := load.Open(ctx, p.requests, t.opts.workers, t.fire)
	used := t.stage.usage()
	stop()
	group.Wait()

	t.settle(ctx)
	run.Planned, run.Sent, run.Workers = offer.Planned, offer.Sent, offer.Workers
	run.Length = report.Duration(p.length)
	run.Connections = t.stage.connections()
	run.CPU, run.Resident = report.Duration(used.CPU-before.CPU), used.Resident
	run.Events = t.counts(ctx)
	run.Ledger = t.checker.Settle(run.Events, t.stage.cutOff())
	run.Violations = t.checker.Findings()
	run.Fill(t.rec.Recording())
	run.Timeline.States = t.states
	return errors.Join(failure, t.stage.ended())
}

func (t *trial) setHangUp(share float64) { t.hangUp.Store(math.Float64bits(share)) }

// ask sends one request that is not part of the plan, and checks its answer.
func (t *trial) ask(r traffic.Request) check.Verdict {
	a := new(wire.Answer)
	t.checker.Asked(r)
	if err := t.stage.route(r.Session, t.dice(r, time.Now())).Do(r.AppendHTTP(nil), a, time.Now().Add(t.opts.timeout)); err != nil {
		t.checker.Failed(r)
		return check.Verdict{}
	}
	return t.checker.Answer(r, a)
}

// hangUpAfter is how long an impatient client waits: long enough for its event to be
// read, not for an answer of the API.
const hangUpAfter = 10 * time.Millisecond

// dice are a request's own: whatever the order in which clients get to throw, the same seed
// lets the same ones hang up, and sends the same ones to the same sidecar.
func (t *trial) dice(r traffic.Request, due time.Time) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(r.Session + "\x00" + r.Type + "\x00" + r.ID))
	return rand.New(rand.NewPCG(t.opts.model.Seed, h.Sum64()+uint64(due.Sub(t.start))))
}

// fire sends one request and judges its answer.
func (t *trial) fire(r traffic.Request, due time.Time) {
	a, _ := t.answers.Get().(*wire.Answer) // the pool holds nothing else
	defer t.answers.Put(a)
	request := r.AppendHTTP(make([]byte, 0, 1024))
	t.checker.Asked(r)
	dice := t.dice(r, due)
	if share := math.Float64frombits(t.hangUp.Load()); share > 0 && dice.Float64() < share {
		_ = t.stage.route(r.Session, dice).HangUp(request, hangUpAfter, time.Now().Add(t.opts.timeout)) // its event may be accepted or not
		t.checker.Failed(r)
		return
	}
	sent := time.Now()
	err := t.stage.route(r.Session, dice).Do(request, a, sent.Add(t.opts.timeout))
	done := time.Now()
	s := load.Sample{Due: due, Lag: sent.Sub(due), Took: done.Sub(due)}
	if err != nil {
		t.checker.Failed(r)
		s.Class = "no answer"
	} else {
		v := t.checker.Answer(r, a)
		s.Class, s.OK = v.Source, v.OK && (v.Products > 0 || len(r.Native) == 0)
	}
	if s.Class == "" {
		s.Class = "refused"
	}
	if t.observe != nil {
		t.observe(r, s)
	}
	if !due.Before(t.start) {
		t.rec.Record(s)
	}
}

// watch looks at the sidecars and the ledger once a second until ctx ends.
func (t *trial) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		t.look(ctx)
		t.checker.Arrived(t.stage.api.LedgerSince(t.checker.After()))
	}
}

// look notes the state of the sidecars that answer.
func (t *trial) look(ctx context.Context) {
	state := report.State{At: time.Since(t.start).Seconds()}
	for _, p := range t.stage.pods {
		if _, ready := p.ready(); !ready {
			continue
		}
		sidecar := p.current()
		m, err := sidecar.Metrics(ctx)
		if err != nil {
			continue
		}
		if err := sidecar.Live(ctx); err != nil && sidecar == p.current() && sidecar.Running() {
			state.Dead = err.Error()
		}
		e := m.Events()
		t.checker.Balance(e)
		state.Transitions += int64(m[`vitrine_breaker_transitions_total{name="recommendation"}`])
		state.RedisBreaker = max(state.RedisBreaker, m[`vitrine_breaker_state{name="redis"}`])
		state.Away += int64(m["vitrine_journal_away"])
		state.Certificates += int64(m["vitrine_upstream_certificates_refused_total"])
		state.Breaker = max(state.Breaker, m[`vitrine_breaker_state{name="recommendation"}`])
		state.Pending += e.Pending
		state.Accepted += e.Accepted
		state.Delivered += e.Delivered
		state.Retried += e.Retried
		state.Resident += int64(m["process_resident_memory_bytes"])
		state.Goroutines += int64(m["go_goroutines"])
	}
	if ctx.Err() != nil {
		return // the look was cut short
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.states = append(t.states, state)
}

// settle waits until nothing is pending, at most as long as it is allowed to.
func (t *trial) settle(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, t.opts.settle)
	defer cancel()
	for t.counts(ctx).Pending > 0 && sleep(ctx, 100*time.Millisecond) {
		t.checker.Arrived(t.stage.api.LedgerSince(t.checker.After()))
	}
	t.checker.Arrived(t.stage.api.LedgerSince(t.checker.After()))
}

// counts are the sidecars' counts of events, with those of their former processes.
func (t *trial) counts(ctx context.Context) (sum rig.Events) {
	for _, p := range t.stage.pods {
		past := p.past
		past.Pending = 0 // its successor has them
		sum = sum.Add(past)
		if m, err := p.current().Metrics(ctx); err == nil {
			sum = sum.Add(m.Events())
		}
	}
	return sum
}
