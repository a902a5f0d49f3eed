package stats_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"vitrine/bench/stats"
)

// pairs draws two columns whose ratio is known, with a disturbance both share and one
// of their own.
func pairs(seed uint64, n int, ratio, noise float64) (a, b []float64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		shared := math.Exp(0.3 * rng.NormFloat64())
		a = append(a, ratio*shared*math.Exp(noise*rng.NormFloat64()))
		b = append(b, shared*math.Exp(noise*rng.NormFloat64()))
	}
	return a, b
}

func TestPairedFindsTheRatio(t *testing.T) {
	a, b := pairs(1, 40, 1.25, 0.02)
	got := stats.Paired(a, b)
	if math.Abs(got.Value-1.25) > 0.03 || !got.Tells() || got.Low >= got.Value || got.High <= got.Value || got.Pairs != 40 {
		t.Errorf("got %+v, want 1.25 within a narrow interval", got)
	}
}

// The interval holds the true ratio about as often as it says.
func TestIntervalCovers(t *testing.T) {
	const runs = 60
	held := 0
	for seed := range uint64(runs) {
		a, b := pairs(seed, 16, 1, 0.1)
		if r := stats.Paired(a, b); r.Low <= 1 && r.High >= 1 {
			held++
		}
	}
	if held < runs*85/100 {
		t.Errorf("got %d of %d intervals that hold the truth, want about 95 %%", held, runs)
	}
}

func TestOneDisturbedRoundMovesNothing(t *testing.T) {
	a, b := pairs(3, 17, 1, 0.02)
	a[4] *= 50
	if got := stats.Paired(a, b).Value; math.Abs(got-1) > 0.03 {
		t.Errorf("got %v, want 1", got)
	}
}

func TestNothingToCompare(t *testing.T) {
	if got := stats.Paired([]float64{0}, []float64{1}); got != (stats.Ratio{}) {
		t.Errorf("got %+v, want the zero Ratio", got)
	}
}
