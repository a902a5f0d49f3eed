package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/stats"
)

// abReport is what ab says.
type abReport struct {
	Command     string             `json:"command"`
	Started     time.Time          `json:"started"`
	A           string             `json:"a"`
	B           string             `json:"b"`
	Work        string             `json:"work"`
	Environment report.Environment `json:"environment"`
	Figures     []abFigure         `json:"figures"`
	Notes       []string           `json:"notes,omitempty"`
	Limited     []string           `json:"limited,omitempty"` // why a throughput is not the server's; its CPU holds
	Void        []string           `json:"void,omitempty"`

	noiseA, noiseB, roundsA, roundsB []round
}

// abFigure is one figure of both targets.
type abFigure struct {
	Name  string      `json:"name"`
	Unit  string      `json:"unit"`
	A     float64     `json:"a"` // medians over the rounds
	B     float64     `json:"b"`
	Noise stats.Ratio `json:"noise"` // A over A
	Ratio stats.Ratio `json:"ratio"` // A over B
}

// The figures of a comparison.
const (
	throughput = "throughput"
	serverCost = "server CPU an answer"
	capacity   = "answers for a second of CPU" // the throughput of a server that had its processor to the full
)

func (o *abOptions) describe() string {
	w := o.work
	loop := fmt.Sprintf("%d connections, each asking again once it is answered", o.conns)
	switch {
	case w.kind == "deliver":
		loop = fmt.Sprintf("%d calls at once", o.conns)
	case o.rate > 0:
		loop = fmt.Sprintf("%g requests/s offered over %d connections; latency from the instant due", o.rate, o.conns)
	}
	text := fmt.Sprintf("%s, %d ids, %d questions, API %v, %s, %d pairs of %v", w.kind, w.ids, w.questions, w.delay, loop, 2*o.blocks, o.round)
	if w.pin {
		text += "\nserver on processor " + serverCPU + ", generator on " + generatorCPUs()
	}
	return text
}

func (r *abReport) summarise(o *abOptions) {
	r.add(throughput, "1/s", func(r round) float64 { return r.rate })
	for _, q := range []float64{0.5, 0.9, 0.99, 0.999} {
		r.addQuantile(q)
	}
	r.add(serverCost, "µs", func(r round) float64 { return r.cpu * 1e6 })
	r.add(capacity, "1/s", func(r round) float64 {
		if r.cpu <= 0 {
			return 0
		}
		return 1 / r.cpu
	})
	if o.rate > 0 {
		r.add("lag p99", "µs", func(r round) float64 { return r.lag.Rough(0.99).Seconds() * 1e6 })
		r.add("lag p50", "µs", func(r round) float64 { return r.lag.Rough(0.5).Seconds() * 1e6 })
		r.add("generator CPU an answer", "µs", func(r round) float64 { return r.own / r.rate * 1e6 })
		r.judgeOpen(o.work.pin)
	} else if o.work.pin && o.conns > 1 && (o.work.kind == "hit" || o.work.kind == "native") {
		r.judgeClosed("A", r.roundsA)
		r.judgeClosed("B", r.roundsB)
	}
}

// judgeOpen says whether the load could be offered as planned, by a generator with time
// to spare: one without it reads answers late, and the latencies are its own.
func (r *abReport) judgeOpen(pinned bool) {
	lag, own := load.NewHistogram(), []float64{}
	planned, sent := 0, 0
	for _, round := range slices.Concat(r.roundsA, r.roundsB) {
		lag.Merge(round.lag)
		planned, sent, own = planned+round.planned, sent+round.sent, append(own, round.own)
	}
	if float64(sent) < 0.99*float64(planned) || lag.Rough(0.99) > report.MaxLag {
		r.Void = append(r.Void, fmt.Sprintf("%d of %d planned requests were sent, with a lag of %v at p99", sent, planned, lag.Rough(0.99)))
	}
	processors := runtime.NumCPU()
	if pinned {
		processors--
	}
	if used := stats.Median(own) / float64(processors); used > minBusy {
		r.Void = append(r.Void, fmt.Sprintf("the generator used %.0f %% of its processors: the latencies are its own", 100*used))
	}
}

// minBusy is the share of its processor a server must have had for a throughput to be its own.
const minBusy = 0.9

// judgeClosed says whether the server was the limit of a closed loop: one that had time
// to spare waited for the generator. A server whose CPU is unknown is believed.
func (r *abReport) judgeClosed(side string, rounds []round) {
	var busy []float64
	for _, r := range rounds {
		busy = append(busy, r.busy())
	}
	if b := stats.Median(busy); b > 0 && b < minBusy {
		r.Limited = append(r.Limited, fmt.Sprintf("%s used %.0f %% of its processor: its throughput is the generator's, or other work's; its CPU an answer holds", side, 100*b))
	}
}

func column(rounds []round, of func(round) float64) (out []float64) {
	for _, r := range rounds {
		out = append(out, of(r))
	}
	return out
}

func (r *abReport) add(name, unit string, of func(round) float64) {
	a, b := column(r.roundsA, of), column(r.roundsB, of)
	f := abFigure{
		Name: name, Unit: unit, A: stats.Median(positive(a)), B: stats.Median(positive(b)),
		Noise: stats.Paired(column(r.noiseA, of), column(r.noiseB, of)), Ratio: stats.Paired(a, b),
	}
	if f.Ratio.Pairs > 0 {
		r.Figures = append(r.Figures, f)
	}
}

// addQuantile adds a quantile of the rounds. If a round has too few samples for it, all
// rounds together may have enough; then there is no interval.
func (r *abReport) addQuantile(q float64) {
	name := "p" + strconv.FormatFloat(100*q, 'g', 4, 64)
	before := len(r.Figures)
	r.add(name, "µs", func(r round) float64 {
		if r.latency == nil {
			return 0
		}
		v, _ := r.latency.Quantile(q) // 0 if too few: left out
		return v.Seconds() * 1e6
	})
	if len(r.Figures) > before {
		return
	}
	a, okA := pooled(r.roundsA, q)
	b, okB := pooled(r.roundsB, q)
	if okA && okB {
		r.Figures = append(r.Figures, abFigure{Name: name, Unit: "µs", A: a, B: b, Ratio: stats.Ratio{Value: a / b, Low: a / b, High: a / b, Pairs: 1}})
	}
}

func pooled(rounds []round, q float64) (float64, bool) {
	all := load.NewHistogram()
	for _, r := range rounds {
		if r.latency != nil {
			all.Merge(r.latency)
		}
	}
	v, ok := all.Quantile(q)
	return v.Seconds() * 1e6, ok
}

// figure returns one by its name.
func (r *abReport) figure(name string) (abFigure, bool) {
	for _, f := range r.Figures {
		if f.Name == name {
			return f, true
		}
	}
	return abFigure{}, false
}

// positive leaves out rounds that have no such figure.
func positive(v []float64) []float64 {
	return slices.DeleteFunc(slices.Clone(v), func(f float64) bool { return f <= 0 })
}

func (r *abReport) write(w io.Writer) error {
	fmt.Fprintf(w, "A = %s, B = %s\n%s\n\n", r.A, r.B, r.Work)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tA\tB\tA − B\tA ÷ B\t95 %\tA ÷ A\t95 %\t")
	for _, f := range r.Figures {
		fmt.Fprintf(t, "%s, %s\t%.4g\t%.4g\t%.4g\t%s\t%s\t\n", f.Name, f.Unit, f.A, f.B, f.A-f.B, interval(f.Ratio), interval(f.Noise))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nA ÷ A is the noise: what lies within it is no difference.")
	for _, n := range r.Notes {
		fmt.Fprintln(w, n)
	}
	for _, v := range slices.Concat(r.Limited, r.Void) {
		fmt.Fprintf(w, "VOID  %s\n", v)
	}
	return r.Environment.Write(w)
}

// interval shows a ratio and its interval, – if no round had the figure.
func interval(r stats.Ratio) string {
	switch r.Pairs {
	case 0:
		return "–\t–"
	case 1:
		return fmt.Sprintf("%.3f\t–", r.Value)
	default:
		return fmt.Sprintf("%.3f\t%.3f … %.3f", r.Value, r.Low, r.High)
	}
}
