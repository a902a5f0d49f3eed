package report

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"vitrine/bench/stats"
)

// Trend is what became of one figure of the sidecars over a run.
type Trend struct {
	Name   string    `json:"name"`
	Unit   string    `json:"unit,omitempty"` // B, or nothing for a number of things
	At     []float64 `json:"at"`             // seconds since the start
	Values []float64 `json:"values"`
	Median float64   `json:"median"`
	Growth float64   `json:"growth"` // over the whole run, by the trend; negative if it shrank
	Bound  float64   `json:"bound"`  // the most it may grow
	Pass   bool      `json:"pass"`
}

// Flat judges the values: their trend may grow by a share of their median, or by a number
// of units if that is more. The trend is the median of the slopes between any two of
// them (Theil and Sen), which neither a peak nor the saw teeth of a garbage collector
// move. Fewer than eight values tell nothing, and do not pass.
func (t *Trend) Flat(share, units float64) {
	t.Median = stats.Median(t.Values)
	t.Bound = max(share*t.Median, units)
	if len(t.Values) < 8 {
		return
	}
	t.Growth = slope(t.At, t.Values) * (t.At[len(t.At)-1] - t.At[0])
	t.Pass = t.Growth <= t.Bound
}

// maxPlaces bounds the pairs a slope is computed from.
const maxPlaces = 500

func slope(at, values []float64) float64 {
	step := (len(values) + maxPlaces - 1) / maxPlaces
	var slopes []float64
	for i := 0; i < len(values); i += step {
		for j := i + step; j < len(values); j += step {
			if gap := at[j] - at[i]; gap > 0 {
				slopes = append(slopes, (values[j]-values[i])/gap)
			}
		}
	}
	return stats.Median(slopes)
}

// Range returns the least and the greatest value.
func (t *Trend) Range() (least, greatest float64) {
	if len(t.Values) == 0 {
		return math.NaN(), math.NaN()
	}
	return slices.MinFunc(t.Values, cmp.Compare[float64]), slices.MaxFunc(t.Values, cmp.Compare[float64])
}

// String is a line such as "FLAT  goroutines: 31 (30 … 34), trend +0.2, allowed +5".
func (t *Trend) String() string {
	verdict := "GROWS"
	switch {
	case t.Pass:
		verdict = "FLAT"
	case len(t.Values) < 8:
		verdict = "UNKNOWN"
	}
	least, greatest := t.Range()
	return fmt.Sprintf("%-7s %s: %s (%s … %s), trend %s, allowed %s", verdict, t.Name,
		t.show(t.Median), t.show(least), t.show(greatest), signed(t.show(t.Growth)), signed(t.show(t.Bound)))
}

func signed(text string) string {
	if text != "" && text[0] == '-' {
		return text
	}
	return "+" + text
}

func (t *Trend) show(v float64) string {
	switch size := math.Abs(v); {
	case t.Unit == "B" && size >= 1<<20:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	case t.Unit == "B":
		return fmt.Sprintf("%.0f KiB", v/(1<<10))
	case size >= 100 || v == math.Trunc(v):
		return fmt.Sprintf("%.0f", v)
	default:
		return fmt.Sprintf("%.1f", v)
	}
}
