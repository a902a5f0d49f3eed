package main

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"vitrine/bench/marks"
	"vitrine/bench/stats"
)

// experiments are all rows, in the order of the table.
func experiments() []experiment {
	all := []experiment{
		{
			[]marks.Mark{atLeast("memory hit, 24 ids, TCP: throughput ÷ bare handler", 0.80, 0.90), atMost("memory hit: server CPU ÷ bare handler", "×", 1.25, 1.1)},
			compared(func(*abOptions) {}, figureOf(throughput), figureOf(serverCost)),
		},
		{
			[]marks.Mark{atLeast("memory hit, unix socket: throughput ÷ bare handler on TCP", 1.15, 1.30)},
			compared(func(o *abOptions) { o.a = "vitrine@unix" }, figureOf(throughput)),
		},
		{
			[]marks.Mark{
				atMost("memory hit at 20 000/s: p50 ÷ bare handler", "×", 1.15, 1.02), atMost("memory hit at 20 000/s: p99 ÷ bare handler", "×", 1.5, 1.25),
				{Path: "memory hit at 20 000/s: p99.9 ÷ bare handler", Unit: "×", AtMost: true},
			},
			compared(func(o *abOptions) { o.rate, o.round, o.conns = 20_000, time.Second, openConns }, figureOf("p50"), figureOf("p99"), figureOf("p99.9")),
		},
		{
			[]marks.Mark{atMost("memory hit at 10 000/s, tier full, a collection every second: p99", "ms", 1, 0.5)},
			compared(func(o *abOptions) {
				o.rate, o.round, o.conns, o.collect, o.work.questions = 10_000, time.Second, openConns, true, fullTier
			}, milliseconds("p99")),
		},
		{
			[]marks.Mark{atLeast("memory hit, 1 000 ids: throughput of a processor ÷ bare handler over a map", 0.88, 0.97)},
			compared(func(o *abOptions) { o.long(); o.work.ids = 1000 }, figureOf(capacity)),
		},
		{
			[]marks.Mark{atLeast("memory hit, 5 000 ids: throughput of a processor ÷ bare handler over a map", 0.93, 0.97)},
			compared(func(o *abOptions) { o.long(); o.work.ids, o.work.questions = 5000, 200 }, figureOf(capacity)),
		},
		{
			[]marks.Mark{atLeast("native, 200 ids sent, filtered, completed: throughput ÷ bare handler", 0.5, 0.7)},
			compared(func(o *abOptions) { o.work.kind, o.work.ids = "native", 200 }, figureOf(throughput)),
		},
		{
			[]marks.Mark{atMost("Redis hit, one at a time: p50 ÷ (bare handler + go-redis GET)", "×", 1.25, 1.1)},
			compared(func(o *abOptions) { o.b, o.work.kind, o.conns = "bare+redis-get", "redis-hit", 1 }, figureOf("p50")),
		},
		{
			[]marks.Mark{atLeast("Redis hit, 64 connections: throughput ÷ go-redis GET", 0.8, 1.5)},
			compared(func(o *abOptions) { o.b, o.work.kind, o.conns = "redis-get", "redis-hit", 64 }, figureOf(throughput)),
		},
		{
			[]marks.Mark{atMost("a miss: p50 − the API's own", "µs", 100, 60)},
			compared(missed, gapOf("p50")),
		},
		{
			[]marks.Mark{{Path: "beside it, a bare fasthttp proxy: p50 − the API's own", Unit: "µs", AtMost: true}},
			compared(func(o *abOptions) { missed(o); o.a = "relay" }, gapOf("p50")),
		},
		{
			[]marks.Mark{atMost("delivering one event: CPU ÷ fasthttp client POST", "×", 1.4, 1.15)},
			compared(func(o *abOptions) {
				o.b, o.work.kind, o.work.delay, o.conns, o.round = "post", "deliver", 20*time.Millisecond, 64, 500*time.Millisecond
			}, figureOf(serverCost)),
		},
		{[]marks.Mark{atMost("journal append: share of a memory hit's CPU", "%", 10, 5)}, journalShare},
		{[]marks.Mark{atMost("heap allocations of a memory hit", "", 1, 0)}, allocations},
		{[]marks.Mark{atMost("memory tier: resident ÷ bodies, 600 B entries", "×", 1.6, 1.3)}, tierMemory},
		{[]marks.Mark{atMost("resident memory, idle", "MiB", 25, 15), atMost("resident memory at 1 000/s, 64 MiB tier full", "MiB", 110, 90)}, residentMemory},
		{[]marks.Mark{atMost("start to first answer", "ms", 50, 20)}, startUp},
		{[]marks.Mark{atMost("binary, stripped", "MiB", 30, 18)}, binarySize},
	}
	for _, other := range []struct{ name, target, program string }{
		{"nginx proxy_cache", "nginx", "nginx"},
		{"Varnish", "varnish", "varnishd"},
	} {
		if _, err := exec.LookPath(other.program); err == nil {
			all = append(all, beside(other.name, other.target))
		}
	}
	return all
}

// missed has every question asked of the API, one at a time.
func missed(o *abOptions) {
	o.b, o.work.kind, o.work.delay, o.conns, o.round = "direct", "miss", 5*time.Millisecond, 1, 1500*time.Millisecond
}

// beside measures another cache on the work of the first row. It has no mark to keep.
func beside(name, target string) experiment {
	return experiment{
		[]marks.Mark{
			{Path: "beside it, " + name + " keyed by the body: throughput ÷ bare handler", Unit: "×"},
			{Path: "beside it, " + name + ": server CPU ÷ bare handler", Unit: "×", AtMost: true},
		},
		compared(func(o *abOptions) { o.a = target }, figureOf(throughput), figureOf(serverCost)),
	}
}

// fullTier is how many questions of 24 ids fill the default tier of 64 MiB without
// overflowing it.
const fullTier = 60_000

// long has more and longer rounds: where bodies are large, so is the scatter of a round.
func (o *abOptions) long() { o.blocks, o.round = o.blocks*3/2, 500*time.Millisecond }

// openConns are enough for an open loop at 20 000/s to go on as planned while a server
// takes its time for 3 ms.
const openConns = 64

func atLeast(path string, bound, stretch float64) marks.Mark {
	return marks.Mark{Path: path, Unit: "×", Bound: bound, Stretch: stretch}
}

func atMost(path, unit string, bound, stretch float64) marks.Mark {
	return marks.Mark{Path: path, Unit: unit, AtMost: true, Bound: bound, Stretch: stretch}
}

// compared makes an ab into an experiment: change says which, and each of take reads a
// mark's figure from its report.
func compared(change func(*abOptions), take ...func(*abReport) reading) func(context.Context, *marker) ([]reading, error) {
	return func(ctx context.Context, m *marker) ([]reading, error) {
		o := abDefaults()
		o.blocks, o.work.binary = m.blocks, m.binary
		change(&o)
		if err := o.validate(0); err != nil {
			return nil, err
		}
		r, err := o.compare(ctx, m.out)
		if err != nil {
			return nil, err
		}
		var out []reading
		for _, t := range take {
			got := t(r)
			got.void = append(got.void, r.Void...)
			got.note = o.command()
			for _, n := range r.Notes {
				got.note += "; " + n
			}
			out = append(out, got)
		}
		return out, nil
	}
}

// command repeats a comparison.
func (o *abOptions) command() string {
	d, w := abDefaults(), o.work
	flags := []string{fmt.Sprintf("go run ./bench ab -a %s -b %s -work %s -blocks %d", o.a, o.b, w.kind, o.blocks)}
	for _, f := range []struct {
		differs bool
		flag    string
		value   any
	}{
		{o.conns != d.conns, "-c", o.conns},
		{o.rate != d.rate, "-rate", o.rate},
		{o.round != d.round, "-round", o.round},
		{w.ids != d.work.ids, "-ids", w.ids},
		{w.questions != 1000, "-questions", w.questions},
		{w.delay != d.work.delay, "-api", w.delay},
	} {
		if f.differs {
			flags = append(flags, fmt.Sprintf("%s %v", f.flag, f.value))
		}
	}
	if o.collect {
		flags = append(flags, "-collect")
	}
	return strings.Join(flags, " ")
}

func sides(r *abReport, f abFigure) reading {
	noise := ""
	if f.Noise.Pairs > 0 {
		noise = fmt.Sprintf("; A against itself %.3f (%.3f … %.3f)", f.Noise.Value, f.Noise.Low, f.Noise.High)
	}
	return reading{a: fmt.Sprintf("A = %s: %s %.4g %s", r.A, f.Name, f.A, f.Unit), b: fmt.Sprintf("B = %s: %.4g %s%s", r.B, f.B, f.Unit, noise)}
}

func errNoFigure(name string) error {
	return fmt.Errorf("there were too few answers for %s: the machine is too slow or too busy", name)
}

// figureOf reads the ratio of a figure.
func figureOf(name string) func(*abReport) reading {
	return func(r *abReport) reading {
		f, ok := r.figure(name)
		if !ok {
			return reading{err: errNoFigure(name)}
		}
		out := sides(r, f)
		out.got, out.low, out.high = f.Ratio.Value, f.Ratio.Low, f.Ratio.High
		if name == throughput {
			out.void = slices.Clone(r.Limited)
		}
		return out
	}
}

// milliseconds reads A's own figure; B's and their ratio go beside it.
func milliseconds(name string) func(*abReport) reading {
	return func(r *abReport) reading {
		f, ok := r.figure(name)
		if !ok {
			return reading{err: errNoFigure(name)}
		}
		out := sides(r, f)
		out.got = f.A / 1e3
		out.b += fmt.Sprintf("; A is %.2f × that", f.Ratio.Value)
		return out
	}
}

// gapOf reads by how much A exceeds B.
func gapOf(name string) func(*abReport) reading {
	return func(r *abReport) reading {
		f, ok := r.figure(name)
		if !ok {
			return reading{err: errNoFigure(name)}
		}
		out := sides(r, f)
		gap := stats.Gap(column(r.roundsA, p50), column(r.roundsB, p50))
		if gap.Pairs == 0 { // too few answers in a round: all of them together have no interval
			gap.Value = f.A - f.B
		}
		out.got, out.low, out.high = gap.Value, gap.Low, gap.High
		return out
	}
}

// p50 of a round, in microseconds, 0 if it had too few answers.
func p50(r round) float64 {
	v, _ := r.latency.Quantile(0.5)
	return v.Seconds() * 1e6
}
