package report

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/load"
)

func sprintf(format string, args ...any) string { return fmt.Sprintf(format, args...) }

// MarshalJSON writes microseconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(d)/1e3, 'f', -1, 64), nil
}

// UnmarshalJSON reads microseconds.
func (d *Duration) UnmarshalJSON(b []byte) error {
	us, err := strconv.ParseFloat(string(b), 64)
	*d = Duration(us * 1e3)
	return err
}

// String rounds to three digits.
func (d Duration) String() string {
	v := time.Duration(d)
	switch {
	case v >= 100*time.Second:
		return v.Round(time.Second).String()
	case v >= time.Second:
		return strconv.FormatFloat(v.Seconds(), 'g', 3, 64) + " s"
	case v >= time.Millisecond:
		return strconv.FormatFloat(float64(v)/1e6, 'g', 3, 64) + " ms"
	default:
		return strconv.FormatFloat(float64(v)/1e3, 'g', 3, 64) + " µs"
	}
}

// knownSources are those of an answer, the best first.
func knownSources() []string {
	return []string{check.API, check.Cache, check.Stale, check.Native, check.None}
}

// sources returns the classes of a run, the best answers first.
func sources(classes map[string]*load.Histogram) []string {
	return slices.SortedFunc(maps.Keys(classes), bySource)
}

// WriteJSON writes the run for machines.
func (r *Run) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// WriteTable writes the run for people.
func (r *Run) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "%s\n%s\n\n", r.Title, strings.Repeat("─", len(r.Title)))
	fmt.Fprintln(t, "source\tcount\tshare\tp50\tp90\tp99\tp99.9\tmax\t")
	for _, row := range r.Rows {
		writeRow(t, row)
	}
	fmt.Fprintln(t, "\t\t\t\t\t\t\t\t")
	writeRow(t, r.Service)
	writeRow(t, r.Lag)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nLatency counts from the instant a request was due. – means fewer than 100 samples beyond.\n")
	fmt.Fprintf(w, "plan     %d requests, those before the %v measured included, %d sent, at most %d under way, %d connections\n",
		r.Planned, time.Duration(r.Length).Round(time.Millisecond), r.Sent, r.Workers, r.Connections)
	fmt.Fprintf(w, "events   %d accepted, %d delivered, %d retries, %d expired, %d dropped, %d parked, %d pending\n",
		r.Events.Accepted, r.Events.Delivered, r.Events.Retried, r.Events.Expired, r.Events.Dropped, r.Events.Parked, r.Events.Pending)
	fmt.Fprintf(w, "ledger   %d arrived: %d lost, %d repeated, %d invented; %d requests without an answer\n",
		r.Ledger.Arrived, r.Ledger.Lost, r.Ledger.Repeated, r.Ledger.Invented, r.Ledger.Unanswered)
	if r.Sent > 0 && r.CPU > 0 {
		fmt.Fprintf(w, "sidecar  %v of CPU for each request, %d MiB resident at the end\n", r.CPU/Duration(r.Sent), r.Resident>>20)
	}
	if err := r.Environment.Write(w); err != nil {
		return err
	}
	for _, v := range r.Violations {
		fmt.Fprintf(w, "VIOLATION  %s, %d times, first: %s\n", v.Kind, v.Count, v.Example)
	}
	for _, o := range r.Objectives {
		fmt.Fprintln(w, o)
	}
	for _, t := range r.Trends {
		fmt.Fprintln(w, t)
	}
	for _, v := range r.Void {
		fmt.Fprintf(w, "VOID  %s\n", v)
	}
	return nil
}

func writeRow(w io.Writer, row Row) {
	fmt.Fprintf(w, "%s\t%d\t%.2f %%\t", row.Name, row.Count, 100*row.Share)
	for _, q := range quantiles() {
		if v, ok := row.Quantiles[q.Name]; ok {
			fmt.Fprintf(w, "%v\t", v)
		} else {
			fmt.Fprint(w, "–\t")
		}
	}
	fmt.Fprintf(w, "%v\t\n", row.Max)
}
