package stats_test

import (
	"math"
	"testing"

	"vitrine/bench/stats"
)

func TestFit(t *testing.T) {
	got := stats.Fit([][2]float64{{0, 3}, {1, 5}, {2, 7}, {10, 23}})
	if math.Abs(got.At0-3) > 1e-9 || math.Abs(got.Slope-2) > 1e-9 || math.Abs(got.R2-1) > 1e-9 {
		t.Errorf("got %+v, want 3 + 2x, which explains all", got)
	}
	if got := stats.Fit([][2]float64{{0, 1}, {1, 0}, {2, 1}, {3, 0}}); got.R2 > 0.5 {
		t.Errorf("got r² %v of a zigzag, want little", got.R2)
	}
	if got := stats.Fit([][2]float64{{5, 4}, {5, 6}}); got != (stats.Line{At0: 5}) {
		t.Errorf("got %+v through one place, want level at 5", got)
	}
}

func TestGapFindsTheDifference(t *testing.T) {
	a, b := []float64{110, 120, 131, 140, 0}, []float64{50, 60, 70, 80, 90}
	got := stats.Gap(a, b)
	if got.Value != 60 || got.Low < 60 || got.High > 61 || got.Pairs != 4 {
		t.Errorf("got %+v, want 60 of 4 pairs, within 60 and 61", got)
	}
	if got := stats.Gap(nil, nil); got != (stats.Ratio{}) {
		t.Errorf("got %+v without pairs, want nothing", got)
	}
}
