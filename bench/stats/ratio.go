// Package stats says how sure a comparison is.
package stats

import (
	"math"
	"math/rand/v2"
	"slices"
)

// Ratio is how many times as large A is as B, and the interval that holds the true
// ratio with 95 % confidence if the pairs are fair draws.
type Ratio struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Pairs int     `json:"pairs"`
}

// resamples of the bootstrap: the bounds repeat within a thousandth of themselves.
const resamples = 10_000

// Paired compares figures that were measured next to each other: a[i] with b[i]. The
// value is the median of the ratios, which one disturbed round does not move, and the
// interval is bootstrapped over the pairs' log-ratios. Pairs with a figure that is not
// positive are left out; without a pair the Ratio is zero. The same input gives the same output.
func Paired(a, b []float64) Ratio {
	var logs []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			logs = append(logs, math.Log(a[i]/b[i]))
		}
	}
	if len(logs) == 0 {
		return Ratio{}
	}
	low, high := bootstrap(logs)
	return Ratio{Value: math.Exp(Median(logs)), Low: math.Exp(low), High: math.Exp(high), Pairs: len(logs)}
}

// Gap is by how much A exceeds B, in their unit: the median of the differences of pairs
// measured next to each other, and the interval that holds it as Paired's does.
func Gap(a, b []float64) Ratio {
	var gaps []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			gaps = append(gaps, a[i]-b[i])
		}
	}
	if len(gaps) == 0 {
		return Ratio{}
	}
	low, high := bootstrap(gaps)
	return Ratio{Value: Median(gaps), Low: low, High: high, Pairs: len(gaps)}
}

// bootstrap returns the interval that holds the median with 95 % confidence.
func bootstrap(values []float64) (low, high float64) {
	rng := rand.New(rand.NewPCG(1, uint64(len(values))))
	medians := make([]float64, resamples)
	again := make([]float64, len(values))
	for i := range medians {
		for j := range again {
			again[j] = values[rng.IntN(len(values))]
		}
		medians[i] = median(again)
	}
	slices.Sort(medians)
	return medians[resamples*25/1000], medians[resamples*975/1000]
}

// Tells reports whether the interval leaves no doubt that A and B differ.
func (r Ratio) Tells() bool { return r.Low > 1 || r.High < 1 }

// Median returns the middle value, NaN for none.
func Median(v []float64) float64 { return median(slices.Clone(v)) }

// median may change the order of v.
func median(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
