package marks_test

import (
	"bytes"
	"strings"
	"testing"

	"vitrine/bench/marks"
)

func TestVerdicts(t *testing.T) {
	for want, m := range map[string]marks.Mark{
		marks.Stretched: {Bound: 0.8, Stretch: 0.9, Got: 0.95},
		marks.Kept:      {Bound: 0.8, Stretch: 0.9, Got: 0.8},
		marks.Missed:    {AtMost: true, Bound: 1.25, Stretch: 1.1, Got: 1.3},
		marks.Told:      {Got: 3},
		marks.Void:      {Bound: 0.8, Stretch: 0.9, Got: 0.95, Void: []string{"the generator was the limit"}},
		marks.Failed:    {Bound: 0.8, Stretch: 0.9, Err: "no such program"},
	} {
		if got := m.Verdict(); got != want {
			t.Errorf("%+v: got %q, want %q", m, got, want)
		}
	}
}

func TestCloseIsWhatAnotherRunMayTurn(t *testing.T) {
	if m := (marks.Mark{Bound: 0.8, Got: 0.82, Low: 0.78, High: 0.85}); !m.Close() {
		t.Errorf("%+v: got sure, want close", m)
	}
	if m := (marks.Mark{Bound: 0.8, Got: 0.85, Low: 0.82, High: 0.88}); m.Close() {
		t.Errorf("%+v: got close, want sure", m)
	}
}

func sheet() *marks.Sheet {
	return &marks.Sheet{
		Title: "costs", Command: "go run ./bench marks",
		Marks: []marks.Mark{
			{Path: "hit </script>", Unit: "×", Bound: 0.8, Stretch: 0.9, Got: 0.66, Low: 0.62, High: 0.72, A: "A = vitrine", Note: "how"},
			{Path: "size", Unit: "MiB", AtMost: true, Bound: 30, Stretch: 18, Got: 19, Low: 19, High: 19},
		},
		Plots: []marks.Plot{{
			Title: "growth", Says: "It grows.", X: marks.Axis{Name: "entries"}, Y: marks.Axis{Name: "latency", Unit: "µs"},
			Series: []marks.Series{{Name: "p50", Points: [][2]float64{{1000, 20}, {10_000, 22}}}, {Name: "p99", Points: [][2]float64{{1000, 90}}}},
		}},
	}
}

func TestTableSaysEverything(t *testing.T) {
	var w bytes.Buffer
	if err := sheet().WriteTable(&w); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"0.66 ×", "0.62 … 0.72", "≥ 0.8 ×", "missed", "≤ 30 MiB", "kept", "A = vitrine", "It grows.", "10000", "p99, µs", "–"} {
		if !strings.Contains(w.String(), want) {
			t.Errorf("got\n%s\nwant %q in it", w.String(), want)
		}
	}
	if got := sheet().Worst(); got != marks.Missed {
		t.Errorf("got %q as the worst, want %q", got, marks.Missed)
	}
}

// The page asks for nothing from outside, and no text of a figure ends its script.
func TestPageStandsAlone(t *testing.T) {
	var w bytes.Buffer
	if err := sheet().WritePage(&w); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(w.String(), "</script>"); n != 1 {
		t.Errorf("got %d ends of a script, want 1", n)
	}
	for _, wrong := range []string{"src=", "href=", "@import", "url("} {
		if strings.Contains(w.String(), wrong) {
			t.Errorf("got %q in the page, want nothing from outside", wrong)
		}
	}
	if !strings.Contains(w.String(), `"verdict":"missed"`) {
		t.Error("got no verdict in the page, want one for each mark")
	}
}
