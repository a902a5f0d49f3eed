// Package report is what the harness says at the end: one value for all forms, a
// table for people, JSON for machines, a page for those who were not there.
package report

import (
	"time"

	"vitrine/bench/check"
	"vitrine/bench/load"
	"vitrine/bench/rig"
)

// Run is everything known of a run.
type Run struct {
	Title       string      `json:"title"`
	Command     string      `json:"command"` // repeats it
	Started     time.Time   `json:"started"`
	Length      Duration    `json:"length"`
	Environment Environment `json:"environment"`

	Planned     int      `json:"planned"` // requests due
	Sent        int      `json:"sent"`
	Workers     int      `json:"workers"`     // the most requests under way together
	Connections int64    `json:"connections"` // opened by the generator
	Void        []string `json:"void,omitempty"`

	Rows     []Row `json:"rows"`     // by source, then all
	Service  Row   `json:"service"`  // all, from the instant each was sent
	Lag      Row   `json:"lag"`      // from due to sent
	Timeline Line  `json:"timeline"` // in slices

	Events     rig.Events       `json:"events"` // the sidecars' counts
	Ledger     check.Settlement `json:"ledger"`
	Violations []check.Finding  `json:"violations,omitempty"`
	Objectives []Objective      `json:"objectives,omitempty"`
	Trends     []*Trend         `json:"trends,omitempty"` // of a soak
	CPU        Duration         `json:"cpu"`              // the sidecars used
	Resident   int64            `json:"resident"`         // bytes of the sidecars at the end
}

// Duration is written in JSON as microseconds, fractions included.
type Duration time.Duration

// Row is a line of the table. A quantile with fewer than 100 samples beyond it is
// missing.
type Row struct {
	Name      string              `json:"name"`
	Count     int64               `json:"count"`
	Share     float64             `json:"share"` // of all, 0 to 1
	Quantiles map[string]Duration `json:"quantiles"`
	Max       Duration            `json:"max"`
	Curve     []Place             `json:"curve,omitempty"`
}

// Told is a quantile for people, – if it is missing.
func (r Row) Told(quantile string) string {
	if v, ok := r.Quantiles[quantile]; ok {
		return v.String()
	}
	return "–"
}

// Place is a place on a percentile curve.
type Place struct {
	Quantile float64  `json:"q"`
	Value    Duration `json:"v"`
}

// Line is the timeline: one value for each slice, in lists of equal length.
type Line struct {
	Width Duration           `json:"width"`
	At    []float64          `json:"at"` // seconds since the start
	Count map[string][]int64 `json:"count"`
	P50   []Duration         `json:"p50"`
	P99   []Duration         `json:"p99"` // rough: a slice may have few samples
	Max   []Duration         `json:"max"`
	Bad   []int64            `json:"bad"`

	States []State `json:"states"` // what the sidecars said of themselves
	Spans  []Span  `json:"spans,omitempty"`
}

// State is a look at a sidecar during the run.
type State struct {
	At         float64 `json:"at"`      // seconds since the start
	Breaker    float64 `json:"breaker"` // 0 closed, 1 half-open, 2 open
	Pending    int64   `json:"pending"`
	Resident   int64   `json:"resident"`
	Goroutines int64   `json:"goroutines"`
	Accepted   int64   `json:"accepted"`
	Delivered  int64   `json:"delivered"`
	Retried    int64   `json:"retried"`

	Transitions  int64   `json:"transitions"`   // of the API's breaker
	RedisBreaker float64 `json:"redis_breaker"` // as Breaker
	Away         int64   `json:"away"`          // sidecars that keep new events in memory for want of a disk
	Certificates int64   `json:"certificates"`  // of the API refused
	Dead         string  `json:"dead"`          // why /livez did not answer 200
}

// Span is a stretch during which a fault held.
type Span struct {
	From float64 `json:"from"` // seconds since the start
	To   float64 `json:"to"`
	Name string  `json:"name"`
}

// quantiles are those of the table.
func quantiles() []struct {
	Name string
	Q    float64
} {
	return []struct {
		Name string
		Q    float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}}
}

// NewRow describes a histogram as a part of so many samples.
func NewRow(name string, h *load.Histogram, of int64) Row {
	row := Row{Name: name, Count: h.Count(), Max: Duration(h.Max()), Quantiles: make(map[string]Duration)}
	if of > 0 {
		row.Share = float64(h.Count()) / float64(of)
	}
	for _, q := range quantiles() {
		if v, ok := h.Quantile(q.Q); ok {
			row.Quantiles[q.Name] = Duration(v)
		}
	}
	for beyond := 0.5; ; beyond /= 1.25892541179 { // ten places for each nine
		v, ok := h.Quantile(1 - beyond)
		if !ok {
			return row
		}
		row.Curve = append(row.Curve, Place{1 - beyond, Duration(v)})
	}
}

// Fill puts a recording into the run: the rows, by source in the order of their
// worth, and the timeline.
func (r *Run) Fill(rec load.Recording) {
	total := rec.All.Count()
	for _, name := range sources(rec.Classes) {
		r.Rows = append(r.Rows, NewRow(name, rec.Classes[name], total))
	}
	r.Rows = append(r.Rows, NewRow("all", rec.All, total))
	r.Service, r.Lag = NewRow("sent → answered", rec.Service, total), NewRow("due → sent", rec.Lag, total)
	line := Line{Width: Duration(rec.Width), Count: make(map[string][]int64)}
	for name := range rec.Classes {
		line.Count[name] = make([]int64, len(rec.Slices))
	}
	for i, s := range rec.Slices {
		line.At = append(line.At, s.From.Seconds())
		for name, n := range s.Count {
			line.Count[name][i] = n
		}
		line.P50 = append(line.P50, Duration(s.All.Rough(0.5)))
		line.P99 = append(line.P99, Duration(s.All.Rough(0.99)))
		line.Max = append(line.Max, Duration(s.All.Max()))
		line.Bad = append(line.Bad, s.Bad)
	}
	r.Timeline = line
	r.judge(rec)
}

// minSent is the share of the plan below which a run is void.
const minSent = 0.99

// MaxLag is how late, at p99, requests may be sent before a run is void.
const MaxLag = 10 * time.Millisecond

func (r *Run) judge(rec load.Recording) {
	if float64(r.Sent) < minSent*float64(r.Planned) {
		r.Void = append(r.Void, sprintf("only %d of %d planned requests were sent", r.Sent, r.Planned))
	}
	if lag := rec.Lag.Rough(0.99); lag > MaxLag {
		r.Void = append(r.Void, sprintf("sending lagged %v behind the plan at p99, allowed are %v", lag.Round(time.Microsecond), MaxLag))
	}
}
