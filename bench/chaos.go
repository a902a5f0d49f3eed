package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/rig"
)

const chaosHelp = `Lets faults loose one after the other on the built sidecar, under load and with
every answer checked, and holds each against its pass marks: before, during and
after. The stand-in API is never cold here and answers within 60 ms (p99 150 ms), so
that every answer that is not fresh is the fault's doing.

Columns: TTD is from the fault until 99 % of answers come within the budget and a
tenth; TTR from its end until fresh answers have 95 % of their former share. Marks
in brackets are times; -times=false prints them and does not judge them, for
machines that are busy with other things. A row that this machine cannot have is
skipped and says why.

  -suite all     every row
  -suite ci      the rows that find most in little time; times are only printed
  -suite 3,8,23  these rows
`

// phases are how long a row lasts.
type phases struct{ warm, before, during, after time.Duration }

// length is that of what is measured.
func (p phases) length() time.Duration { return p.before + p.during + p.after }

// fault is a row of the table.
type fault struct {
	number int
	name   string
	ci     bool
	during time.Duration // 0 is the suite's

	needs func(context.Context) error                // why this machine cannot have it; nil if any can
	set   func(*options)                             // changes what is started
	plan  func(*options, *stage, phases) plan        // what is asked instead of the crowd's requests
	start func(ctx context.Context, b *battle) error // lets it loose
	stop  func(ctx context.Context, b *battle) error // ends it; nil makes the API well
	judge func(o *outcome)                           // adds marks to those every fault has
	waive func(mark string) bool                     // common marks the fault itself rules out
}

// battle is a fault under way.
type battle struct {
	opts  *options
	trial *trial
	stage *stage
	notes map[string]float64 // what a fault tells its judge
}

func (b *battle) pod() *pod { return b.stage.pods[0] }

// cmdChaos runs the fault table.
func cmdChaos(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := defaults()
	f := newFlags("chaos", chaosHelp)
	suite := f.String("suite", "ci", "all, ci, or numbers of rows")
	times := f.Bool("times", true, "judge times too")
	length := f.Duration("during", 20*time.Second, "how long a fault lasts, unless its row says otherwise")
	f.Float64Var(&o.rate, "rate", o.rate, "requests a second")
	f.Uint64Var(&o.model.Seed, "seed", o.model.Seed, "shoppers, arrivals and the API's dice")
	f.StringVar(&o.binary, "binary", "", "a built sidecar; empty builds the one of this module")
	f.StringVar(&o.html, "html", "", "folder to write a page about each row to")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	rows, err := pick(*suite)
	if err != nil || f.NArg() > 0 || o.rate <= 0 || *length <= 0 {
		return usageError(stderr, errors.Join(err, errors.New("want chaos -suite all|ci|N,N,… with positive -rate and -during")))
	}
	p := phases{3 * time.Second, 8 * time.Second, *length, 15 * time.Second}
	if *suite == "ci" {
		p, *times = phases{time.Second, 3 * time.Second, 5 * time.Second, 4 * time.Second}, false
	}
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return failed(stderr, err)
	}
	defer os.RemoveAll(dir)
	if o.binary == "" {
		if o.binary, err = rig.Build(ctx, dir); err != nil {
			return failed(stderr, err)
		}
	}
	return fight(ctx, rows, o, p, *times, stdout, stderr)
}

// fight runs the rows and writes a line for each.
func fight(ctx context.Context, rows []fault, o options, p phases, times bool, stdout, stderr io.Writer) int {
	environment := report.Survey(ctx)
	out := newProgress(stderr, os.Getenv)
	failures, skipped := 0, 0
	for i, row := range rows {
		if ctx.Err() != nil {
			break
		}
		if row.needs != nil {
			if err := row.needs(ctx); err != nil {
				fmt.Fprintf(stdout, "%2d  %s\n    SKIPPED  %v\n", row.number, row.name, err)
				skipped++
				continue
			}
		}
		out.say(fmt.Sprintf("%d of %d: %s", i+1, len(rows), row.name))
		result, err := endure(ctx, row, o, p)
		out.say("")
		if err != nil {
			fmt.Fprintf(stdout, "%2d  %s\n    ERROR  %v\n", row.number, row.name, err)
			failures++
			continue
		}
		if !result.write(stdout, times) {
			failures++
		}
		if o.html != "" {
			path := fmt.Sprintf("%s/fault-%02d.html", o.html, row.number)
			if err := writeFile(path, func(w io.Writer) error { return report.WritePage(w, result.run) }); err != nil {
				return failed(stderr, err)
			}
		}
	}
	environment.Done()
	if err := environment.Write(stdout); err != nil {
		return failed(stderr, err)
	}
	switch {
	case ctx.Err() != nil:
		return failed(stderr, ctx.Err())
	case failures > 0:
		fmt.Fprintf(stdout, "FAIL  %d of %d faults, %d skipped\n", failures, len(rows)-skipped, skipped)
		return exitObjective
	default:
		fmt.Fprintf(stdout, "PASS  %d faults, %d skipped\n", len(rows)-skipped, skipped)
		return exitOK
	}
}

func pick(suite string) ([]fault, error) {
	all := faults()
	switch suite {
	case "all":
		return all, nil
	case "ci":
		return slices.DeleteFunc(all, func(f fault) bool { return !f.ci }), nil
	}
	var rows []fault
	for text := range strings.SplitSeq(suite, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		before := len(rows)
		for _, f := range all {
			if err == nil && f.number == n {
				rows = append(rows, f)
			}
		}
		if len(rows) == before {
			return nil, fmt.Errorf("there is no row %q", text)
		}
	}
	return rows, nil
}

// endure runs one fault.
func endure(ctx context.Context, row fault, o options, p phases) (*outcome, error) {
	o.latency, o.cold, o.warm = fakeapi.Latency{P50: 60 * time.Millisecond, P99: 150 * time.Millisecond}, 0, p.warm
	o.model.Shoppers, o.settle, o.env = 200, 45*time.Second, settings{}
	if row.set != nil {
		row.set(&o)
	}
	if row.during > 0 {
		p.during = row.during
	}
	o.length = p.length()
	r := &outcome{row: row, phases: p, run: &report.Run{Title: fmt.Sprintf("fault %d: %s", row.number, row.name), Command: fmt.Sprintf("go run ./bench chaos -suite %d", row.number)}}
	err := onStage(ctx, &o, r.run, func(t *trial) error {
		b := &battle{opts: &o, trial: t, stage: t.stage, notes: make(map[string]float64)}
		t.observe = r.observe(t)
		asked := o.plan(load.Constant(o.rate, o.length), t.stage.catalogue)
		if row.plan != nil {
			asked = row.plan(&o, t.stage, p)
		}
		err := t.offer(ctx, asked, func(ctx context.Context) error { return r.unfold(ctx, b) }, r.run, &progress{})
		r.ledger, r.stats, r.notes = t.stage.api.Ledger(), t.stage.api.Stats(), b.notes
		r.started = t.start
		return err
	})
	if err != nil {
		return nil, err
	}
	r.conclude()
	return r, nil
}

// unfold lets the fault loose and ends it when it is time.
func (r *outcome) unfold(ctx context.Context, b *battle) error {
	if !sleep(ctx, r.phases.before) {
		return nil
	}
	from := time.Since(b.trial.start)
	if r.row.start != nil {
		if err := r.row.start(ctx, b); err != nil {
			return fmt.Errorf("letting the fault loose: %w", err)
		}
	}
	sleep(ctx, r.phases.during-(time.Since(b.trial.start)-from))
	r.from, r.to = from, time.Since(b.trial.start)
	if r.row.stop != nil {
		if err := r.row.stop(ctx, b); err != nil {
			return fmt.Errorf("ending the fault: %w", err)
		}
		return nil
	}
	b.stage.api.Clear()
	return nil
}

// write writes the row, and reports whether it passed.
func (r *outcome) write(w io.Writer, times bool) bool {
	pass := true
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%2d  %s\n", r.row.number, r.row.name)
	fmt.Fprintf(t, "    TTD %s  TTR %s  p99 before %v, during %v, after %v\n", brief(r.ttd), brief(r.ttr), r.before.p99(), r.in.p99(), r.after.p99())
	fmt.Fprintf(t, "    during: %s\n", r.in.shares())
	for _, m := range r.marks {
		verdict := "pass"
		switch {
		case !m.pass && m.timing && !times:
			verdict = "slow"
		case !m.pass:
			verdict, pass = "FAIL", false
		}
		fmt.Fprintf(t, "    %s\t%s\n", verdict, m.text)
	}
	_ = t.Flush()
	return pass
}

func brief(d time.Duration) string {
	if d < 0 {
		return "never"
	}
	return report.Duration(d).String()
}

// fresh reports whether a class is an answer of the API's, new or lately kept.
func fresh(class string) bool { return class == check.API || class == check.Cache }
