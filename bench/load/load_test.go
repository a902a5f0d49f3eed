package load_test

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/load"
)

func TestCurveCountsWhatItYields(t *testing.T) {
	for name, c := range map[string]load.Curve{
		"constant": load.Constant(50, 20*time.Second),
		"spike":    load.Spike(20, 10, 3*time.Second, 30*time.Second),
		"diurnal":  load.Diurnal(40, 2.15, time.Minute),
	} {
		got := slices.Collect(load.Arrivals{Curve: c, Even: true}.All())
		if want := c.Total(); math.Abs(float64(len(got))-want) > 1 {
			t.Errorf("%s: got %d arrivals, want %v", name, len(got), want)
		}
		if !slices.IsSorted(got) || got[len(got)-1] > c.Length() {
			t.Errorf("%s: got arrivals out of order or behind the end, %v", name, got[len(got)-1])
		}
		for _, n := range []int{0, 7, len(got) - 1} {
			if want, ok := c.Time(float64(n)); !ok || max(want-got[n], got[n]-want) > time.Microsecond {
				t.Errorf("%s: got arrival %d at %v, want %v", name, n, got[n], want)
			}
		}
	}
}

func TestDiurnalKeepsMeanAndPeak(t *testing.T) {
	c := load.Diurnal(100, 2, 10*time.Minute)
	if got, want := c.Total(), 60_000.0; math.Abs(got-want) > want/1000 {
		t.Errorf("got %v arrivals, want %v", got, want)
	}
	peak := 0.0
	for _, p := range c {
		peak = max(peak, p.Rate)
	}
	if math.Abs(peak-200) > 4 {
		t.Errorf("got a peak of %v, want 200", peak)
	}
}

func TestPoissonRepeatsWithItsSeed(t *testing.T) {
	at := func(seed uint64) []time.Duration {
		return slices.Collect(load.Arrivals{Curve: load.Constant(100, 10*time.Second), Seed: seed}.All())
	}
	if !slices.Equal(at(1), at(1)) {
		t.Error("got other arrivals from the same seed")
	}
	if slices.Equal(at(1), at(2)) {
		t.Error("got the same arrivals from another seed")
	}
	if n := len(at(1)); n < 900 || n > 1100 {
		t.Errorf("got %d arrivals, want about 1000", n)
	}
}

// A server that stands still from the second to the eighth of ten seconds makes 60 % of
// the requests wait, for 0 to 6 s: the median waits 1 s, the 99th percentile 5.9 s.
func TestStandstillIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		rec := load.NewRecorder(start, 10*time.Second)
		plan := func(yield func(load.Due[int]) bool) {
			for at := range (load.Arrivals{Curve: load.Constant(200, 10*time.Second), Even: true}).All() {
				if !yield(load.Due[int]{At: at}) {
					return
				}
			}
		}
		offer := load.Open(t.Context(), plan, 4096, func(_ int, due time.Time) {
			lag := time.Since(due)
			if at := time.Since(start); at >= 2*time.Second && at < 8*time.Second {
				time.Sleep(8*time.Second - at)
			}
			rec.Record(load.Sample{Due: due, Lag: lag, Took: time.Since(due), Class: "all", OK: true})
		})
		r := rec.Recording()
		if offer.Planned != 2000 || offer.Sent != 2000 {
			t.Errorf("got %d of %d sent, want 2000 of 2000", offer.Sent, offer.Planned)
		}
		near(t, "p50", r.All.Rough(0.5), time.Second)
		near(t, "p99", r.All.Rough(0.99), 5900*time.Millisecond)
		near(t, "lag", r.Lag.Max(), 0)
	})
}

// With one worker the generator is the limit: the lag says so, and latency still
// counts from the instant due.
func TestTooFewWorkersLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := load.NewRecorder(time.Now(), time.Second)
		plan := func(yield func(load.Due[int]) bool) {
			for i := range 10 {
				if !yield(load.Due[int]{At: time.Duration(i) * 100 * time.Millisecond}) {
					return
				}
			}
		}
		load.Open(t.Context(), plan, 1, func(_ int, due time.Time) {
			lag := time.Since(due)
			time.Sleep(200 * time.Millisecond)
			rec.Record(load.Sample{Due: due, Lag: lag, Took: time.Since(due), Class: "all", OK: true})
		})
		near(t, "lag", rec.Recording().Lag.Max(), 900*time.Millisecond)
		near(t, "latency", rec.Recording().All.Max(), 1100*time.Millisecond)
	})
}

func TestOpenEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		forever := func(yield func(load.Due[int]) bool) {
			for i := 0; yield(load.Due[int]{At: time.Duration(i) * time.Second}); i++ { //nolint:revive // yielding is all it does
			}
		}
		if got := load.Open(ctx, forever, 8, func(int, time.Time) {}); got.Sent != 4 {
			t.Errorf("got %d sent, want 4", got.Sent)
		}
	})
}

func TestQuantilesNeedSamples(t *testing.T) {
	h := load.NewHistogram()
	for i := range 10_000 {
		h.Record(time.Duration(i+1) * 100 * time.Microsecond)
	}
	if got, ok := h.Quantile(0.99); !ok {
		t.Error("got no p99 of 10000 samples")
	} else {
		near(t, "p99", got, 990*time.Millisecond)
	}
	if _, ok := h.Quantile(0.999); ok {
		t.Error("got a p99.9 with 10 samples beyond it, want none")
	}
	if got, want := h.Share(500*time.Millisecond), 0.5; math.Abs(got-want) > 0.002 {
		t.Errorf("got a share of %v within the median, want %v", got, want)
	}
}

func near(t *testing.T, what string, got, want time.Duration) {
	t.Helper()
	if math.Abs(float64(got-want)) > 0.01*float64(want)+float64(time.Microsecond) {
		t.Errorf("%s: got %v, want %v within 1 %%", what, got, want)
	}
}

// A wait ends when it should, and not before, whatever the clock.
func TestArrivalsAreNeverEarly(t *testing.T) {
	const rate, n = 5000, 500
	plan := func(yield func(load.Due[int]) bool) {
		for i := range n {
			if !yield(load.Due[int]{At: time.Duration(i) * time.Second / rate}) {
				return
			}
		}
	}
	var early atomic.Int64
	offer := load.Open(t.Context(), plan, 64, func(_ int, due time.Time) {
		if time.Until(due) > 0 {
			early.Add(1)
		}
	})
	if offer.Sent != n || early.Load() > 0 {
		t.Errorf("got %d of %d sent, %d of them early", offer.Sent, n, early.Load())
	}
}
