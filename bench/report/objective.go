package report

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Objective is a bound on a figure of a run, and how the run kept it.
type Objective struct {
	Metric string  `json:"metric"` // p50, p90, p99, p99.9, max, valid, share
	Source string  `json:"source"` // a row; "all" unless told
	AtMost bool    `json:"at_most"`
	Bound  float64 `json:"bound"` // seconds for a latency, else a share
	Got    float64 `json:"got"`
	Known  bool    `json:"known"` // false if there were too few samples to tell
	Pass   bool    `json:"pass"`
}

// ParseObjectives reads a list such as "p99<=300ms, p99@cache<=5ms, valid>=99.99%,
// share@native<=6%".
func ParseObjectives(text string) ([]Objective, error) {
	var out []Objective
	var errs []error
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		o, err := parseObjective(part)
		if err != nil {
			errs = append(errs, fmt.Errorf("objective %q: %w", part, err))
			continue
		}
		out = append(out, o)
	}
	return out, errors.Join(errs...)
}

func parseObjective(text string) (Objective, error) {
	what, bound, atMost := cutBound(text)
	if bound == "" {
		return Objective{}, errors.New("want METRIC[@SOURCE]<=BOUND or >=BOUND")
	}
	o := Objective{AtMost: atMost, Source: "all"}
	o.Metric = what
	if metric, source, ok := strings.Cut(what, "@"); ok {
		o.Metric, o.Source = metric, source
	}
	var err error
	switch o.Metric {
	case "p50", "p90", "p99", "p99.9", "max":
		var d time.Duration
		d, err = time.ParseDuration(bound)
		o.Bound = d.Seconds()
	case "valid", "share":
		o.Bound, err = parseShare(bound)
	default:
		err = errors.New("the metrics are p50, p90, p99, p99.9, max, valid and share")
	}
	return o, err
}

func cutBound(text string) (what, bound string, atMost bool) {
	if what, bound, ok := strings.Cut(text, "<="); ok {
		return strings.TrimSpace(what), strings.TrimSpace(bound), true
	}
	what, bound, _ = strings.Cut(text, ">=")
	return strings.TrimSpace(what), strings.TrimSpace(bound), false
}

func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if percent {
		v /= 100
	}
	return v, err
}

// Judge holds the objectives against the run. One that cannot be told for want of
// samples is not kept.
func (r *Run) Judge(objectives []Objective) {
	for _, o := range objectives {
		o.Got, o.Known = r.figure(o)
		o.Pass = o.Known && (o.AtMost && o.Got <= o.Bound || !o.AtMost && o.Got >= o.Bound)
		r.Objectives = append(r.Objectives, o)
	}
}

func (r *Run) figure(o Objective) (float64, bool) {
	if o.Metric == "valid" {
		var bad, all int64
		for _, n := range r.Timeline.Bad {
			bad += n
		}
		for _, row := range r.Rows {
			if row.Name == "all" {
				all = row.Count
			}
		}
		return 1 - float64(bad)/float64(max(1, all)), all > 0
	}
	for _, row := range r.Rows {
		if row.Name != o.Source {
			continue
		}
		switch o.Metric {
		case "share":
			return row.Share, true
		case "max":
			return time.Duration(row.Max).Seconds(), true
		}
		v, ok := row.Quantiles[o.Metric]
		return time.Duration(v).Seconds(), ok
	}
	return 0, o.Metric == "share" // no such answer: a share of nothing
}

// Pass reports whether every objective was kept.
func (r *Run) Pass() bool {
	for _, o := range r.Objectives {
		if !o.Pass {
			return false
		}
	}
	return true
}

// String is a line such as "PASS  p99@cache <= 5 ms: 1.2 ms".
func (o Objective) String() string {
	verdict, relation, got := "FAIL", ">=", "too few samples"
	if o.Pass {
		verdict = "PASS"
	}
	if o.AtMost {
		relation = "<="
	}
	if o.Known {
		got = o.show(o.Got)
	}
	name := o.Metric
	if o.Source != "all" {
		name += "@" + o.Source
	}
	return fmt.Sprintf("%s  %s %s %s: %s", verdict, name, relation, o.show(o.Bound), got)
}

func (o Objective) show(v float64) string {
	if o.Metric == "valid" || o.Metric == "share" {
		return strconv.FormatFloat(100*v, 'g', 6, 64) + " %"
	}
	return Duration(v * float64(time.Second)).String()
}
