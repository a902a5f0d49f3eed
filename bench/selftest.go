package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

const selftestHelp = `Tests the harness itself on this machine:

  stop       a server stopped for 6 s in a run of 10 s: because latency counts from
             the instant a request was due, the median must be about 1.0 s and the
             99th percentile about 5.9 s. A tool that waits with its next request
             for the last answer reports microseconds
  delay      a bare handler that takes 20 ms for each answer: that is what the report
             must show, and what 16 connections asking again and again must get
  wrk        the most that 16 connections get out of a bare handler, against wrk on the
             same request: within 10 %. Skipped without wrk
  rate       20 000 requests a second, offered to a bare handler with a processor of
             its own by a generator with another: 99 % must be sent, at most 10 ms late
             at p99, and a tenth of the generator's processors be left
  generator  shoppers against the quantiles published for real shops
  recorder   the error of the quantiles it reports
`

// cmdSelftest runs the self-tests.
func cmdSelftest(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := newFlags("selftest", selftestHelp)
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	ok := true
	for _, v := range slices.Concat(recorderTest(), generatorTest()) {
		fmt.Fprintln(stdout, v)
		ok = ok && v.ok
	}
	for _, test := range []struct {
		about string
		run   func(context.Context) ([]proof, error)
	}{
		{"asking a handler that takes 20 ms …", delayTest},
		{"taking turns with wrk …", wrkTest},
		{"offering 20 000 requests a second …", rateTest},
		{"stopping a server for 6 s in a run of 10 s …", stopTest},
	} {
		fmt.Fprintln(stdout, test.about)
		proofs, err := test.run(ctx)
		if errors.Is(err, errSkipped) {
			fmt.Fprintf(stdout, "SKIP  %v\n", err)
			continue
		}
		if err != nil {
			return failed(stderr, err)
		}
		for _, v := range proofs {
			fmt.Fprintln(stdout, v)
			ok = ok && v.ok
		}
	}
	if !ok {
		return exitObjective
	}
	return exitOK
}

// proof is a figure that should be another.
type proof struct {
	what      string
	got, want float64
	unit      string
	ok        bool
}

// near makes a proof that got is want, give or take a share of it.
func near(what string, got, want, tolerance float64, unit string) proof {
	return proof{what, got, want, unit, math.Abs(got-want) <= tolerance*math.Abs(want)}
}

// String is a line such as "PASS  recorder p99: 0.99 s, want 0.99 s".
func (p proof) String() string {
	verdict := "FAIL"
	if p.ok {
		verdict = "PASS"
	}
	return fmt.Sprintf("%s  %-44s %8.4g %s, want %.4g", verdict, p.what, p.got, p.unit, p.want)
}

// recorderTest records latencies whose quantiles are known: every 10 µs up to 1 s.
func recorderTest() []proof {
	h := load.NewHistogram()
	const n = 100_000
	for i := range n {
		h.Record(time.Duration(i+1) * 10 * time.Microsecond)
	}
	var out []proof
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		got, _ := h.Quantile(q)
		out = append(out, near(fmt.Sprintf("recorder: p%g", 100*q), got.Seconds(), q, 0.001, "s"))
	}
	return out
}

// generatorTest draws a large crowd and compares it with what is published.
func generatorTest() []proof {
	m := traffic.Default()
	catalogue := shopdata.New(1, 50_000, 200)
	lengths := traffic.Lengths(m, 200_000)
	var out []proof
	for _, q := range []struct{ at, want float64 }{{0.25, 1.5}, {0.5, 3.4}, {0.75, 7.9}, {0.9, 16.9}, {0.95, 26.6}} {
		out = append(out, near(fmt.Sprintf("generator: session length p%g", 100*q.at), lengths[int(q.at*float64(len(lengths)))], q.want, 0.04, "pages"))
	}
	c := traffic.Survey(m, catalogue, 200_000)
	// A lognormal crowd of weights with spread σ gives its top share q the weight
	// Φ(σ − z), z the deviate with q above it.
	out = append(out,
		near("generator: product pages", c.ProductPages, m.ProductPages, 0.02, "of all"),
		near("generator: repeats", c.Repeats, m.Repeat*c.CouldRepeat, 0.03, "of product pages"),
		near("generator: bots", c.Bots, m.Bots, 0.02, "of pages"),
		near("generator: views of the top 1 % of products", c.Top[0], normalCDF(1.88-2.3263), 0.08, "of first views"),
		near("generator: views of the top 10 % of products", c.Top[1], normalCDF(1.88-1.2816), 0.08, "of first views"),
	)
	return append(out, arrivalTest()...)
}

// arrivalTest checks that arrivals are as many and as irregular as a Poisson process's.
func arrivalTest() []proof {
	const rate, seconds = 200, 500
	counts := make([]float64, seconds)
	for at := range (load.Arrivals{Curve: load.Constant(rate, seconds*time.Second), Seed: 1}).All() {
		counts[int(at.Seconds())]++
	}
	mean, variance := 0.0, 0.0
	for _, n := range counts {
		mean += n / seconds
	}
	for _, n := range counts {
		variance += (n - mean) * (n - mean) / seconds
	}
	return []proof{
		near("generator: arrivals", mean, rate, 0.02, "a second"),
		near("generator: variance over mean of arrivals", variance/mean, 1, 0.2, ""),
	}
}

func normalCDF(z float64) float64 { return math.Erfc(-z/math.Sqrt2) / 2 }

// stopTest offers 200 requests a second for 10 s to a server in another process that
// is stopped from the second to the eighth second.
func stopTest(ctx context.Context) (out []proof, err error) {
	child, err := startBare(ctx, "", 0)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, child.Close()) }()

	client := wire.NewClient(child.Addr(), false)
	defer client.Close()
	start := time.Now()
	rec := load.NewRecorder(start, 10*time.Second)
	done := make(chan struct{})
	go func() { // awaited below
		defer close(done)
		if sleep(ctx, 2*time.Second) {
			_ = child.Pause()
			sleep(ctx, 6*time.Second)
			_ = child.Resume()
		}
	}()
	offer := load.Open(ctx, even(200, 10*time.Second), 4096, func(_ struct{}, due time.Time) {
		var a wire.Answer
		sent := time.Now()
		err := client.Do(traffic.AppendPost(nil, "/", nil), &a, sent.Add(20*time.Second))
		rec.Record(load.Sample{Due: due, Lag: sent.Sub(due), Took: time.Since(due), Class: "all", OK: err == nil})
	})
	<-done
	r := rec.Recording()
	return []proof{
		near("stop: requests sent", float64(offer.Sent), 2000, 0, ""),
		near("stop: requests without an answer", float64(r.Bad), 0, 0, ""),
		near("stop: p50", r.All.Rough(0.5).Seconds(), 1.0, 0.15, "s"),
		near("stop: p99", r.All.Rough(0.99).Seconds(), 5.9, 0.03, "s"),
		{"stop: lag of the generator at p99", r.Lag.Rough(0.99).Seconds(), 0, "s", r.Lag.Rough(0.99) <= report.MaxLag},
	}, nil
}

// even yields nothing in particular, regularly.
func even(rate float64, length time.Duration) func(func(load.Due[struct{}]) bool) {
	return func(yield func(load.Due[struct{}]) bool) {
		for at := range (load.Arrivals{Curve: load.Constant(rate, length), Even: true}).All() {
			if !yield(load.Due[struct{}]{At: at}) {
				return
			}
		}
	}
}
