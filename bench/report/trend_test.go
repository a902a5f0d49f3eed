package report_test

import (
	"math/rand/v2"
	"strings"
	"testing"

	"vitrine/bench/report"
)

// series are values at every fifth second, with saw teeth and noise.
func series(n int, start, perSecond float64) *report.Trend {
	t := &report.Trend{Name: "memory", Unit: "B"}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range n {
		at := 5 * float64(i)
		t.At = append(t.At, at)
		t.Values = append(t.Values, start+perSecond*at+float64(i%7)*0.02*start+rng.NormFloat64()*0.01*start)
	}
	return t
}

func TestTrend(t *testing.T) {
	const mega = 1 << 20
	for _, c := range []struct {
		name string
		of   *report.Trend
		want bool
	}{
		{"flat, with teeth", series(300, 50*mega, 0), true},
		{"shrinks", series(300, 50*mega, -0.01*mega), true},
		{"leaks 15 MiB in 25 minutes", series(300, 50*mega, 0.01*mega), false},
		{"too few to tell", series(7, 50*mega, 0), false},
	} {
		c.of.Flat(0.05, 2*mega)
		if c.of.Pass != c.want {
			t.Errorf("%s: got %v (%s), want %v", c.name, c.of.Pass, c.of, c.want)
		}
	}
	peak := series(300, 50*mega, 0)
	peak.Values[250] *= 20
	if peak.Flat(0.05, 2*mega); !peak.Pass || !strings.HasPrefix(peak.String(), "FLAT") {
		t.Errorf("one peak: got %s, want flat", peak)
	}
	leak := series(300, 50*mega, 0.01*mega)
	if leak.Flat(0.05, 2*mega); leak.Growth < 14*mega || leak.Growth > 16*mega {
		t.Errorf("got a growth of %s, want about 15 MiB", leak)
	}
}

// A number of things that is small may come and go by a few.
func TestTrendOfFew(t *testing.T) {
	few := &report.Trend{Name: "files"}
	for i := range 20 {
		few.At, few.Values = append(few.At, float64(i)), append(few.Values, float64(2+i/10))
	}
	if few.Flat(0.05, 3); !few.Pass || few.Bound != 3 {
		t.Errorf("got %s, want it flat within 3", few)
	}
}
