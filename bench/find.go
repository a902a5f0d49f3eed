package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
)

const findHelp = `Finds the highest rate at which a scenario keeps its objectives: doubles -rate until
one is not kept, halves the interval until it is 5 % wide, and confirms the result
with a run twice as long. Each step has new shoppers on a stage of its own, and lasts
as long as its objectives need samples: a p99 takes 10 000 requests. Start where that
is soon: -rate 400, the default here, takes 30 s.
`

// precise is how narrow the interval gets: its width over the lower end.
const precise = 0.05

// step is one rate tried.
type step struct {
	rate float64
	run  *report.Run
	kept bool
}

// cmdFind searches the knee.
func cmdFind(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	args = append([]string{"-rate", "400", "-slo", "p99<=400ms,valid>=99.9%"}, args...) // what is given comes last, and counts
	sc, o, code, done := scenarioFlags("find", findHelp, args, stdout, stderr)
	if done {
		return code
	}
	objectives, _ := report.ParseObjectives(o.slo) // valid: scenarioFlags has looked
	if len(objectives) == 0 {
		return usageError(stderr, errors.New("-slo names no objective"))
	}
	out := newProgress(stderr, os.Getenv)
	var steps []step
	try := func(rate float64, length time.Duration) (bool, error) {
		at := *o
		at.rate, at.model.Seed = rate, o.model.Seed+uint64(len(steps))
		at.length = max(length, enough(objectives, rate))
		run := &report.Run{Title: at.describe(sc.name)}
		if err := runScenario(ctx, sc, &at, run, out); err != nil {
			return false, err
		}
		run.Judge(objectives)
		kept := verdict(run) == exitOK
		steps = append(steps, step{rate, run, kept})
		return kept, ctx.Err()
	}
	best, err := search(o.rate, func(rate float64) (bool, error) { return try(rate, o.length) })
	confirmed := false
	if err == nil && best > 0 {
		confirmed, err = try(best, 2*o.length)
	}
	if err != nil {
		return failed(stderr, err)
	}
	if err := writeSteps(stdout, steps); err != nil {
		return failed(stderr, err)
	}
	return conclude(stdout, steps, best, confirmed)
}

// enough is how long a rate takes for the quantiles of the objectives to be told. What a
// single source will have of it is not known before.
func enough(objectives []report.Objective, rate float64) time.Duration {
	most := 0.0
	for _, o := range objectives {
		if q, err := strconv.ParseFloat(strings.TrimPrefix(o.Metric, "p"), 64); err == nil {
			most = max(most, load.Beyond/(1-q/100))
		}
	}
	return time.Duration(1.1 * most / rate * float64(time.Second)) // a Poisson process may fall short
}

// search doubles, then bisects. It returns the highest rate that was kept, 0 if even
// the first was not.
func search(rate float64, kept func(float64) (bool, error)) (float64, error) {
	low, high := 0.0, 0.0
	for high == 0 {
		ok, err := kept(rate)
		switch {
		case err != nil:
			return 0, err
		case ok:
			low, rate = rate, 2*rate
		default:
			high = rate
		}
	}
	for low > 0 && (high-low)/low > precise {
		middle := (low + high) / 2
		ok, err := kept(middle)
		switch {
		case err != nil:
			return 0, err
		case ok:
			low = middle
		default:
			high = middle
		}
	}
	return low, nil
}

func writeSteps(w io.Writer, steps []step) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "requests/s\tanswered\tp50\tp99\tlag p99\t  verdict")
	for _, s := range steps {
		all := s.run.Rows[len(s.run.Rows)-1]
		fmt.Fprintf(t, "%.0f\t%d\t%s\t%s\t%s\t  %s\n", s.rate, all.Count, all.Told("p50"), all.Told("p99"), s.run.Lag.Told("p99"), s.why())
	}
	return t.Flush()
}

// why says what ended the rate's hopes.
func (s step) why() string {
	if s.kept {
		return "kept"
	}
	reasons := append([]string(nil), s.run.Void...)
	for _, v := range s.run.Violations {
		reasons = append(reasons, "violation: "+string(v.Kind))
	}
	for _, o := range s.run.Objectives {
		if !o.Pass {
			reasons = append(reasons, o.String())
		}
	}
	return strings.Join(reasons, "; ")
}

// conclude says what was found, and whether the sidecar or the generator was the limit.
func conclude(w io.Writer, steps []step, best float64, confirmed bool) int {
	limited := false
	for _, s := range steps {
		if len(s.run.Violations) > 0 {
			fmt.Fprintf(w, "\nVIOLATION at %.0f requests/s: %s\n", s.rate, s.run.Violations[0].Example)
			return exitViolation
		}
		limited = limited || len(s.run.Void) > 0
	}
	switch {
	case best == 0 && !limited:
		fmt.Fprintln(w, "\nFAIL  the objectives are not kept even at the first rate: start lower")
		return exitObjective
	case limited:
		fmt.Fprintf(w, "\nVOID  the generator was the limit; the sidecar carries at least %.0f requests/s\n", best)
		return exitLimited
	case !confirmed:
		fmt.Fprintf(w, "\nFAIL  %.0f requests/s did not last twice as long\n", best)
		return exitObjective
	default:
		fmt.Fprintf(w, "\nPASS  %.0f requests/s keep the objectives\n", best)
		return exitOK
	}
}
