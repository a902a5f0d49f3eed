package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"
)

// ReadFile reads what WriteJSON wrote.
func ReadFile(path string) (*Run, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	run := new(Run)
	if err := json.Unmarshal(text, run); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(run.Rows) == 0 {
		return nil, fmt.Errorf("reading %s: not the report of a run", path)
	}
	return run, nil
}

// Change is a figure in two runs.
type Change struct {
	Figure   string
	Old, New Duration
	Worse    bool // by more than the tolerance
}

// Ratio is how many times as large the figure has become.
func (c Change) Ratio() float64 { return float64(c.New) / float64(c.Old) }

// Compare returns the latencies both runs have, and CPU for each request. One is worse
// when it has grown by more than tolerance, a share, and by more than a tenth of a
// millisecond, below which a busy machine decides.
func Compare(old, latest *Run, tolerance float64) []Change {
	var out []Change
	add := func(figure string, a, b Duration) {
		grown := float64(b) > (1+tolerance)*float64(a) && b-a > Duration(100*time.Microsecond)
		out = append(out, Change{figure, a, b, grown})
	}
	for _, a := range old.Rows {
		for _, b := range latest.Rows {
			if a.Name != b.Name {
				continue
			}
			for _, q := range quantiles() {
				va, oka := a.Quantiles[q.Name]
				vb, okb := b.Quantiles[q.Name]
				if oka && okb {
					add(a.Name+" "+q.Name, va, vb)
				}
			}
		}
	}
	if old.Sent > 0 && latest.Sent > 0 && old.CPU > 0 {
		add("CPU for each request", old.CPU/Duration(old.Sent), latest.CPU/Duration(latest.Sent))
	}
	return out
}

// WriteChanges writes a comparison for people, with what makes it doubtful.
func WriteChanges(w io.Writer, old, latest *Run, changes []Change) error {
	fmt.Fprintf(w, "old  %s, %s, commit %s\nnew  %s, %s, commit %s\n", old.Title, old.Started.Format(time.DateTime), old.Environment.Commit,
		latest.Title, latest.Started.Format(time.DateTime), latest.Environment.Commit)
	if old.Environment.CPU != latest.Environment.CPU || old.Environment.Cores != latest.Environment.Cores {
		fmt.Fprintln(w, "DOUBTFUL  the machines differ")
	}
	for _, r := range []*Run{old, latest} {
		if r.Environment.Busy() {
			fmt.Fprintf(w, "DOUBTFUL  the machine was busy with other work at %s\n", r.Started.Format(time.DateTime))
		}
		for _, v := range r.Void {
			fmt.Fprintf(w, "DOUBTFUL  the run of %s is void: %s\n", r.Started.Format(time.DateTime), v)
		}
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\told\tnew\tratio\t\t")
	for _, c := range changes {
		mark := ""
		if c.Worse {
			mark = "WORSE"
		}
		fmt.Fprintf(t, "%s\t%v\t%v\t%.2f\t%s\t\n", c.Figure, c.Old, c.New, c.Ratio(), mark)
	}
	return t.Flush()
}
