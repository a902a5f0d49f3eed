package main

import (
	"context"
	"errors"
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

Scenarios:
`

// cmdRun runs a scenario.
func cmdRun(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	name := "steady"
	for i, a := range args { // known before the flags, because it sets their defaults
		if v, ok := strings.CutPrefix(strings.TrimLeft(a, "-"), "scenario="); ok && a != v {
			name = v
		} else if strings.TrimLeft(a, "-") == "scenario" && a != "scenario" && i+1 < len(args) {
			name = args[i+1]
		}
	}
	sc, err := findScenario(name)
	if err != nil {
		return usageError(stderr, err)
	}
	o := defaults()
	if sc.set != nil {
		sc.set(&o)
	}
	help := runHelp
	for _, s := range scenarios() {
		help += fmt.Sprintf("  %-16s %s\n", s.name, s.about)
	}
	f := newFlags("run", help)
	f.StringVar(&name, "scenario", name, "one of those above")
	o.register(f)
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() > 0 {
		return usageError(stderr, fmt.Errorf("what is %q?", f.Arg(0)))
	}
	if err := o.validate(); err != nil {
		return usageError(stderr, err)
	}
	if sc.prepare != nil {
		sc.prepare(&o)
	}
	run := &report.Run{Title: o.describe(sc.name), Command: "go run ./bench run " + strings.Join(args, " ")}
	if err := runScenario(ctx, sc, &o, run, newProgress(stderr, os.Getenv)); err != nil {
		return failed(stderr, err)
	}
	return deliver(run, &o, stdout, stderr)
}

// runScenario sets the stage, offers the load and fills the report.
func runScenario(ctx context.Context, sc scenario, o *options, run *report.Run, out *progress) (err error) {
	run.Started = time.Now().UTC()
	run.Environment = report.Survey(ctx)
	s, err := setUp(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	t := newTrial(o, s)
	var beside func(context.Context) error
	if sc.during != nil {
		beside = func(ctx context.Context) error { return sc.during(ctx, o, s) }
	}
	if err := t.offer(ctx, sc.rate(o), beside, run, out); err != nil {
		return err
	}
	run.Environment.Done()
	if ctx.Err() != nil {
		run.Void = append(run.Void, "interrupted")
	}
	return nil
}

// deliver writes the report in every form that was asked for, and returns the code.
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
	return verdict(run)
}

func writeFile(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Close())
}
