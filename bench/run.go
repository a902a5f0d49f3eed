package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vitrine/bench/report"
)

const runHelp = `Offers the traffic of a shop to a sidecar as fast as its shoppers ask, whatever the
sidecar makes of it, and reports latency by source. A latency counts from the
instant a request was due: a sidecar that stands still is seen to keep people
waiting. Every answer is checked, and at the end every event against what the
stand-in API saw.
`

// cmdRun runs a scenario.
func cmdRun(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	sc, o, code, done := scenarioFlags("run", runHelp, args, stdout, stderr)
	if done {
		return code
	}
	run := &report.Run{Title: o.describe(sc.name), Command: "go run ./bench run " + strings.Join(args, " ")}
	if err := runScenario(ctx, sc, o, run, newProgress(stderr, os.Getenv)); err != nil {
		return failed(stderr, err)
	}
	return deliver(run, o, stdout, stderr)
}

// scenarioFlags reads the flags of a command that knows -scenario, and those that more
// adds. When done is set, the command ends with the code.
func scenarioFlags(command, help string, args []string, stdout, stderr io.Writer, more ...func(*flag.FlagSet)) (sc scenario, o *options, code int, done bool) {
	name := "steady"
	for i, a := range args { // known before the flags are read, because it sets their defaults
		bare := strings.TrimLeft(a, "-")
		if v, ok := strings.CutPrefix(bare, "scenario="); ok && a != bare {
			name = v
		} else if bare == "scenario" && a != bare && i+1 < len(args) {
			name = args[i+1]
		}
	}
	sc, err := findScenario(name)
	if err != nil {
		return sc, nil, usageError(stderr, err), true
	}
	all := defaults()
	o = &all
	if sc.set != nil {
		sc.set(o)
	}
	f := newFlags(command, help+scenarioHelp())
	f.StringVar(&name, "scenario", name, "one of those above")
	o.register(f)
	for _, add := range more {
		add(f)
	}
	if code, done = parse(f, args, stdout, stderr); done {
		return sc, nil, code, true
	}
	if f.NArg() > 0 {
		return sc, nil, usageError(stderr, fmt.Errorf("what is %q?", f.Arg(0))), true
	}
	if err := o.validate(); err != nil {
		return sc, nil, usageError(stderr, err), true
	}
	if sc.prepare != nil {
		sc.prepare(o)
	}
	return sc, o, exitOK, false
}

func scenarioHelp() string {
	text := []byte("\nScenarios, each with its own defaults:\n")
	for _, s := range scenarios() {
		text = fmt.Appendf(text, "  %-16s %s\n", s.name, s.about)
	}
	return string(text)
}

// runScenario sets the stage, offers the load and fills the report.
func runScenario(ctx context.Context, sc scenario, o *options, run *report.Run, out *progress) error {
	return onStage(ctx, o, run, func(t *trial) error {
		var beside func(context.Context) error
		if sc.during != nil {
			beside = func(ctx context.Context) error { return sc.during(ctx, o, t.stage) }
		}
		return t.offer(ctx, o.plan(sc.rate(o), t.stage.catalogue), beside, run, out)
	})
}

// onStage does something on a stage of its own, and fills in when and where.
func onStage(ctx context.Context, o *options, run *report.Run, do func(*trial) error) (err error) {
	run.Started = time.Now().UTC()
	run.Environment = report.Survey(ctx)
	s, err := setUp(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if err := do(newTrial(o, s)); err != nil {
		return err
	}
	run.Environment.Done()
	if ctx.Err() != nil {
		run.Void = append(run.Void, "interrupted")
	}
	return nil
}

// deliver judges the report, writes it in every form that was asked for, and returns
// the exit code.
func deliver(run *report.Run, o *options, stdout, stderr io.Writer) int {
	objectives, err := report.ParseObjectives(o.slo)
	if err != nil {
		return usageError(stderr, err)
	}
	run.Judge(objectives)
	if err := run.WriteTable(stdout); err != nil {
		return failed(stderr, err)
	}
	if o.json != "" {
		if err := writeFile(o.json, run.WriteJSON); err != nil {
			return failed(stderr, err)
		}
	}
	if o.html != "" {
		if err := writeFile(o.html, func(w io.Writer) error { return writePage(w, run, o.over) }); err != nil {
			return failed(stderr, err)
		}
	}
	return verdict(run)
}

// writePage writes the page, with an older report laid over it if one is named.
func writePage(w io.Writer, run *report.Run, over string) error {
	if over == "" {
		return report.WritePage(w, run)
	}
	older, err := report.ReadFile(over)
	if err != nil {
		return err
	}
	return report.WritePage(w, run, older)
}

// verdict is the exit code of a run.
func verdict(run *report.Run) int {
	switch {
	case len(run.Violations) > 0:
		return exitViolation
	case len(run.Void) > 0:
		return exitLimited
	case !run.Pass():
		return exitObjective
	default:
		return exitOK
	}
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
