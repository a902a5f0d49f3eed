package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/rig"
)

// round is what one target did while it was its turn.
type round struct {
	rate    float64 // answers a second
	cpu     float64 // seconds of the server's for each answer
	latency *load.Histogram
	lag     *load.Histogram // nil in a closed loop
	planned int
	sent    int
	own     float64 // processors the generator had, of an open loop
}

// busy is the share of one processor the server had.
func (r round) busy() float64 { return r.cpu * r.rate }

// blocksOf measures A B B A so often, and pairs each A with the B beside it.
func (o *abOptions) blocksOf(ctx context.Context, blocks int, a, b target) (as, bs []round, err error) {
	for range blocks {
		for i, t := range []target{a, b, b, a} {
			r, err := o.measure(ctx, t)
			if err != nil {
				return nil, nil, err
			}
			if i == 0 || i == 3 {
				as = append(as, r)
			} else {
				bs = append(bs, r)
			}
		}
	}
	return as, bs, ctx.Err()
}

// worker is a target that works by itself: it is not asked but watched.
type worker interface {
	watch(ctx context.Context, length time.Duration) (round, error)
}

// collector is a target that can be made to collect its garbage.
type collector interface {
	collect(ctx context.Context) error
}

func (o *abOptions) measure(ctx context.Context, t target) (r round, err error) {
	runtime.GC() // ours now, not while we measure
	if w, ok := t.(worker); ok {
		return w.watch(ctx, o.round)
	}
	run := func(ctx context.Context) (round, error) { return o.closed(ctx, t) }
	if o.rate > 0 {
		do, done, err := o.lines(t)
		if err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, done()) }()
		run = func(ctx context.Context) (round, error) { return o.open(ctx, do) }
	}
	limit, cancel := context.WithTimeout(ctx, o.round)
	defer cancel()
	collected := make(chan error, 1)
	go func() { // awaited below
		c, ok := t.(collector)
		if o.collect && ok && sleep(limit, o.round/2) {
			collected <- c.collect(ctx)
		} else {
			collected <- nil
		}
	}()
	before, _ := t.cost()
	began := time.Now()
	r, err = run(limit)
	n := float64(r.latency.Count())
	r.rate = n / time.Since(began).Seconds()
	after, _ := t.cost()
	r.cpu = (after - before).Seconds() / n
	return r, errors.Join(err, <-collected)
}

func (o *abOptions) closed(ctx context.Context, t target) (round, error) {
	hs, errs := make([]*load.Histogram, o.conns), make([]error, o.conns)
	dice := make([]*rand.Rand, o.conns)
	for i := range hs {
		hs[i], dice[i] = load.NewHistogram(), rand.New(rand.NewPCG(rand.Uint64(), uint64(i)))
	}
	load.Closed(ctx, o.conns, func(worker int) {
		began := time.Now()
		if err := t.do(dice[worker].IntN(o.work.questions)); err != nil {
			errs[worker] = err
		}
		hs[worker].Record(time.Since(began))
	})
	all := load.NewHistogram()
	for _, h := range hs {
		all.Merge(h)
	}
	return round{latency: all}, errors.Join(errs...)
}

// liner is a target that can be asked by each worker over a connection of its own, which
// costs the generator less than sharing them.
type liner interface {
	line() (do func(question int) error, done func() error, err error)
}

// lines are what the workers of an open loop ask with. Each has asked once: no round has
// connections to open.
func (o *abOptions) lines(t target) (do []func(question int) error, done func() error, err error) {
	var ends []func() error
	done = func() error {
		var errs []error
		for _, end := range ends {
			errs = append(errs, end())
		}
		return errors.Join(errs...)
	}
	for q := range o.conns {
		ask := t.do
		if l, ok := t.(liner); ok {
			var end func() error
			if ask, end, err = l.line(); err != nil {
				return nil, nil, errors.Join(err, done())
			}
			ends = append(ends, end)
		}
		if err := ask(q % o.work.questions); err != nil {
			return nil, nil, errors.Join(err, done())
		}
		do = append(do, ask)
	}
	return do, done, nil
}

// open offers requests regularly, whatever becomes of them. Their latency counts from
// the instant they were due.
func (o *abOptions) open(ctx context.Context, do []func(question int) error) (round, error) {
	errs := make([]error, len(do))
	used := rig.Self().CPU
	offer, shots := load.Regular(ctx, o.rate, o.round, len(do), func(worker int) {
		if err := do[worker](rand.IntN(o.work.questions)); err != nil {
			errs[worker] = err
		}
	})
	r := round{latency: load.NewHistogram(), lag: load.NewHistogram(), planned: offer.Planned, sent: offer.Sent}
	r.own = (rig.Self().CPU - used).Seconds() / o.round.Seconds()
	for _, s := range shots {
		r.latency.Record(s.Took)
		r.lag.Record(s.Lag)
	}
	return r, errors.Join(errs...)
}

// Processors when pinned: the server on the first, the generator on the others.
const serverCPU = "0"

func generatorCPUs() string { return "1-" + strconv.Itoa(runtime.NumCPU()-1) }

// canPin reports whether processes can be bound to processors here.
func canPin() bool {
	_, err := exec.LookPath("taskset")
	return err == nil && runtime.NumCPU() > 1
}

// pinSelf leaves the server's processor to the server, until the function it returns
// is called.
func pinSelf(ctx context.Context) (unpin func(), err error) {
	bind := func(cpus string) error {
		out, err := exec.CommandContext(ctx, "taskset", "-a", "-p", "-c", cpus, strconv.Itoa(os.Getpid())).CombinedOutput()
		if err != nil {
			return fmt.Errorf("leaving the server its processor: %w: %s", err, out)
		}
		return nil
	}
	if err := bind(generatorCPUs()); err != nil {
		return nil, err
	}
	return func() { _ = bind("0-" + strconv.Itoa(runtime.NumCPU()-1)) }, nil
}
