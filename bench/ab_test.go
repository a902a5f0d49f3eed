package main

import (
	"bytes"
	"math"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/load"
)

// rounds are n of a server that answers at a rate and needs so much CPU for each answer.
func rounds(n int, rate float64, cpu time.Duration) (out []round) {
	for range n {
		h := load.NewHistogram()
		for range 250 {
			h.Record(50 * time.Microsecond)
		}
		out = append(out, round{rate: rate, cpu: cpu.Seconds(), latency: h})
	}
	return out
}

// A server that had time to spare was held up by the generator, whose limit is no figure
// of the server's.
func TestIdleServerMakesAClosedLoopVoid(t *testing.T) {
	o := abDefaults()
	o.work.pin = true
	if err := o.validate(0); err != nil && canPin() {
		t.Fatal(err)
	}
	for _, c := range []struct {
		rateA, rateB float64
		void         int
	}{{98_000, 97_000, 0}, {98_000, 60_000, 1}} {
		r := &abReport{roundsA: rounds(4, c.rateA, 10*time.Microsecond), roundsB: rounds(4, c.rateB, 10*time.Microsecond)}
		r.summarise(&o)
		if len(r.Limited) != c.void {
			t.Errorf("%v and %v answers a second at 10 µs: got %q, want %d reasons to be void", c.rateA, c.rateB, r.Limited, c.void)
		}
		if f, _ := r.figure(capacity); math.Round(f.A) != 1e5 || math.Round(f.B) != 1e5 {
			t.Errorf("10 µs an answer: got %v and %v for a second of CPU, want 100000 of both, however busy", f.A, f.B)
		}
	}
}

// A load that was not offered as planned, or by a generator that had nothing to spare, has
// latencies that are not the server's.
func TestLateOrBusyGeneratorMakesAnOpenLoopVoid(t *testing.T) {
	o := abDefaults()
	o.rate, o.work.pin = 20_000, false
	for name, c := range map[string]struct {
		lag  time.Duration
		sent int
		own  float64
		void int
	}{
		"as planned":   {100 * time.Microsecond, 1000, 0.5, 0},
		"late":         {11 * time.Millisecond, 1000, 0.5, 1},
		"not all":      {100 * time.Microsecond, 989, 0.5, 1},
		"nothing left": {100 * time.Microsecond, 1000, 0.95 * float64(runtime.NumCPU()), 1},
	} {
		r := &abReport{roundsA: rounds(4, 2e4, 10*time.Microsecond), roundsB: rounds(4, 2e4, 10*time.Microsecond)}
		for _, side := range [][]round{r.roundsA, r.roundsB} {
			for i := range side {
				side[i].lag, side[i].planned, side[i].sent, side[i].own = load.NewHistogram(), 1000, c.sent, c.own
				side[i].lag.Record(c.lag)
			}
		}
		r.summarise(&o)
		if len(r.Void) != c.void {
			t.Errorf("%s: got %q, want %d reasons to be void", name, r.Void, c.void)
		}
	}
}

// A quantile too rare for one round is told of all of them, without an interval.
func TestRareQuantileIsOfAllRounds(t *testing.T) {
	o := abDefaults()
	r := &abReport{roundsA: rounds(8, 1e5, time.Microsecond), roundsB: rounds(8, 1e5, time.Microsecond)}
	r.summarise(&o)
	half, _ := r.figure("p50")
	if half.Ratio.Pairs != 8 {
		t.Errorf("got p50 of %d pairs, want 8", half.Ratio.Pairs)
	}
	ninety, ok := r.figure("p90")
	if !ok || ninety.Ratio.Pairs != 1 {
		t.Errorf("got p90 %+v, want one of all 2000 answers", ninety)
	}
	if _, ok := r.figure("p99"); ok {
		t.Error("got a p99 of 2000 answers, want none")
	}
}

// What a row says of itself repeats it.
func TestCommandOfARowIsTaken(t *testing.T) {
	o := abDefaults()
	o.b, o.work.kind, o.work.delay, o.conns, o.collect = "direct", "miss", 5*time.Millisecond, 1, true
	if err := o.validate(0); err != nil {
		t.Fatal(err)
	}
	got := o.command()
	for _, want := range []string{"ab -a vitrine -b direct -work miss", "-c 1", "-api 5ms", "-collect"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
	if strings.Contains(got, "-ids") || strings.Contains(got, "-questions") {
		t.Errorf("got %q, want no default in it", got)
	}
}

func TestPathsCanBePicked(t *testing.T) {
	if got := len(pickExperiments(regexp.MustCompile("unix socket"))); got != 1 {
		t.Errorf("got %d experiments, want 1", got)
	}
	var text bytes.Buffer
	if code := run(t.Context(), []string{"marks", "-list"}, &text, &text); code != exitOK {
		t.Fatalf("got exit status %d: %s", code, text.String())
	}
	paths := strings.Split(strings.TrimSpace(text.String()), "\n")
	if n := len(slices.Compact(slices.Sorted(slices.Values(paths)))); n != len(paths) || n < 20 {
		t.Errorf("got %d paths, %d different ones, want at least 20 and each once", len(paths), n)
	}
}
