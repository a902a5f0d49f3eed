package main

import (
	"context"
	"errors"
	"flag"
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

It takes about -within, 4 minutes unless told: no step is begun that would leave no
time to confirm what is known by then. How wide the interval was left is said, and so
it is if nothing could be confirmed.
`

// precise is how narrow the interval gets: its width over the lower end.
const precise = 0.05

// step is one rate tried.
type step struct {
	rate float64
	run  *report.Run
	kept bool
}

// finder tries rates as long as there is time.
type finder struct {
	scenario   scenario
	opts       *options
	objectives []report.Objective
	out        *progress
	till       time.Time
	around     time.Duration // the most a step took beside its load so far
	steps      []step
}

// cmdFind searches the knee.
func cmdFind(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	// What is given comes last, and counts.
	args = append([]string{"-rate", "400", "-slo", "p99<=400ms,valid>=99.9%", "-dur", "10s", "-warm", "3s"}, args...)
	within := 4 * time.Minute
	sc, o, code, done := scenarioFlags("find", findHelp, args, stdout, stderr, func(f *flag.FlagSet) {
		f.DurationVar(&within, "within", within, "how long all of it may take, about")
	})
	if done {
		return code
	}
	objectives, _ := report.ParseObjectives(o.slo) // valid: scenarioFlags has looked
	if len(objectives) == 0 {
		return usageError(stderr, errors.New("-slo names no objective"))
	}
	if within < 10*time.Second || within > 24*time.Hour {
		return usageError(stderr, errors.New("-within must be between 10 s and a day"))
	}
	f := &finder{
		scenario: sc, opts: o, objectives: objectives, out: newProgress(stderr, os.Getenv),
		till: time.Now().Add(within), around: 5 * time.Second,
	}
	k, err := f.find(ctx)
	if err != nil {
		return failed(stderr, err)
	}
	if err := writeSteps(stdout, f.steps); err != nil {
		return failed(stderr, err)
	}
	return conclude(stdout, f.steps, k)
}

// found is what a search came to.
type found struct {
	best  float64 // the highest rate kept; 0 is none
	worse float64 // the lowest that was not; 0 is none that was tried
	lasts lasting
}

// lasting is what the confirming run said of the best rate.
type lasting int

const (
	untried lasting = iota // there was no time
	held
	gaveWay
)

func (f *finder) find(ctx context.Context) (k found, err error) {
	try := func(rate float64) (bool, error) { return f.try(ctx, rate, f.length(rate, 1)) }
	if k.best, k.worse, err = search(f.opts.rate, try, f.leaves); err != nil || k.best == 0 {
		return k, err
	}
	if !f.hasTime(f.length(k.best, 2)) {
		return k, nil
	}
	ok, err := f.try(ctx, k.best, f.length(k.best, 2))
	k.lasts = gaveWay
	if ok {
		k.lasts = held
	}
	return k, err
}

// try offers a rate for so long.
func (f *finder) try(ctx context.Context, rate float64, length time.Duration) (bool, error) {
	at := *f.opts
	at.rate, at.length, at.model.Seed = rate, length, f.opts.model.Seed+uint64(len(f.steps))
	run, began := &report.Run{Title: at.describe(f.scenario.name)}, time.Now()
	if err := runScenario(ctx, f.scenario, &at, run, f.out); err != nil {
		return false, err
	}
	f.around = max(f.around, time.Since(began)-at.warm-length)
	run.Judge(f.objectives)
	kept := verdict(run) == exitOK
	f.steps = append(f.steps, step{rate, run, kept})
	return kept, ctx.Err()
}

// length is how long a step of a rate lasts: as many times -dur, or until there are
// enough samples.
func (f *finder) length(rate float64, times int) time.Duration {
	return max(time.Duration(times)*f.opts.length, enough(f.objectives, rate))
}

// leaves reports whether a step of a rate leaves the time to confirm the best so far.
func (f *finder) leaves(rate, best float64) bool {
	return f.hasTime(f.length(rate, 1), f.length(best, 2))
}

// hasTime reports whether there is time for steps of these lengths.
func (f *finder) hasTime(lengths ...time.Duration) bool {
	end := time.Now()
	for _, l := range lengths {
		end = end.Add(f.opts.warm + l + f.around)
	}
	return !end.After(f.till)
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

// search doubles, then bisects, as long as there is time for the next rate, the best so
// far given. It returns the highest rate that was kept and the lowest that was not, 0 for
// neither. The first is always tried.
func search(rate float64, kept func(rate float64) (bool, error), leaves func(rate, best float64) bool) (best, worse float64, err error) {
	for next := rate; ; {
		ok, err := kept(next)
		switch {
		case err != nil:
			return 0, 0, err
		case ok:
			best = next
		default:
			worse = next
		}
		switch {
		case best == 0 || worse > 0 && (worse-best)/best <= precise:
			return best, worse, nil
		case worse == 0:
			next = 2 * best
		default:
			next = (best + worse) / 2
		}
		if !leaves(next, best) {
			return best, worse, nil
		}
	}
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

// conclude says what was found and how far it is known, and whether the sidecar or the
// generator was the limit.
func conclude(w io.Writer, steps []step, k found) int {
	limited := false
	for _, s := range steps {
		if len(s.run.Violations) > 0 {
			fmt.Fprintf(w, "\nVIOLATION at %.0f requests/s: %s\n", s.rate, s.run.Violations[0].Example)
			return exitViolation
		}
		limited = limited || !s.kept && len(s.run.Void) > 0 && (s.rate == k.worse || s.rate == k.best)
	}
	switch {
	case limited && k.best == 0:
		fmt.Fprintln(w, "\nVOID  the generator was the limit even at the first rate: nothing is known of the sidecar")
		return exitLimited
	case limited:
		fmt.Fprintf(w, "\nVOID  the generator was the limit; the sidecar carries at least %.0f requests/s\n", k.best)
		return exitLimited
	case k.best == 0:
		fmt.Fprintln(w, "\nFAIL  the objectives are not kept even at the first rate: start lower")
		return exitObjective
	case k.lasts == gaveWay:
		fmt.Fprintf(w, "\nFAIL  %.0f requests/s did not last twice as long\n", k.best)
		return exitObjective
	}
	fmt.Fprintf(w, "\nPASS  %.0f requests/s keep the objectives%s\n", k.best, k.known())
	return exitOK
}

// known says how far the knee is known.
func (k found) known() string {
	text := ", and twice as long"
	if k.lasts == untried {
		text = "; there was no time to try them twice as long"
	}
	switch {
	case k.worse == 0:
		text += "; the time was over before a rate was too high"
	case (k.worse-k.best)/k.best > precise:
		text += fmt.Sprintf("; %.0f do not, and between the two, %.0f %% of the lower, there was no time to look", k.worse, 100*(k.worse-k.best)/k.best)
	default:
		text += fmt.Sprintf("; %.0f do not", k.worse)
	}
	return text
}
