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

At the end there is a table. TTD is from the fault until 99 % of answers come within
the budget and a tenth; TTR from its end until fresh answers have 95 % of their
former share. Marks in brackets are times and growth, which depend on how busy the
machine is; -times=false prints them and does not judge them. A row that this
machine cannot have is skipped and says why: it is not passed.

  -suite all     every row, about an hour
  -suite ci      the rows that find most in little time, shortened and two at once, with
                 a budget of 1.5 s so that a busy machine makes no fault of its own;
                 times are only printed
  -suite 3,8,23  these rows
  -suite ci:3,8  those of these rows that ci has, in its way
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
	before time.Duration // at least, where there is no hurry
	during time.Duration // 0 is the suite's
	after  time.Duration // at least, where there is no hurry

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
	opts   *options
	trial  *trial
	stage  *stage
	phases phases
	notes  map[string]float64 // what a fault tells its judge
}

func (b *battle) pod() *pod { return b.stage.pods[0] }

// cmdChaos runs the fault table.
func cmdChaos(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := defaults()
	f := newFlags("chaos", chaosHelp)
	suite := f.String("suite", "ci", "all, ci, numbers of rows, or ci: and numbers")
	times := f.Bool("times", true, "judge times too")
	length := f.Duration("during", 20*time.Second, "how long a fault lasts, unless its row says otherwise")
	f.Float64Var(&o.rate, "rate", o.rate, "requests a second")
	f.Uint64Var(&o.model.Seed, "seed", o.model.Seed, "shoppers, arrivals and the API's dice")
	f.StringVar(&o.binary, "binary", "", "a built sidecar; empty builds the one of this module")
	f.StringVar(&o.html, "html", "", "folder to write a page about each row to")
	metrics := f.String("targets", "", "file that tells a Prometheus where the sidecars' metrics are, for its file_sd_configs")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	rows, err := pick(*suite)
	if err != nil || f.NArg() > 0 || o.rate <= 0 || *length <= 0 {
		return usageError(stderr, errors.Join(err, errors.New("want chaos -suite all|ci|N,N,…|ci:N,N,… with positive -rate and -during")))
	}
	c := campaign{
		rows: rows, opts: o, times: *times, atOnce: 1,
		phases: phases{patientWarm, 8 * time.Second, *length, 15 * time.Second},
		title:  "Faults, -suite " + *suite,
	}
	if *suite == "ci" || strings.HasPrefix(*suite, short) {
		c.opts.env = settings{"VITRINE_BUDGET": "1500ms"}
		c.phases, c.times, c.atOnce = phases{500 * time.Millisecond, 2500 * time.Millisecond, 4 * time.Second, 3 * time.Second}, false, 2
	}
	if c.opts.metrics, err = newTargets(*metrics); err != nil {
		return failed(stderr, err)
	}
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return failed(stderr, err)
	}
	defer os.RemoveAll(dir)
	if c.opts.binary == "" {
		if c.opts.binary, err = rig.Build(ctx, dir); err != nil {
			return failed(stderr, err)
		}
	}
	return c.fight(ctx, stdout, stderr)
}

// short, before numbers of rows, asks for them as the suite ci has them.
const short = "ci:"

// pick finds the rows of a suite; it is an error to ask for none.
func pick(suite string) ([]fault, error) {
	all := faults()
	inShort := slices.DeleteFunc(slices.Clone(all), func(f fault) bool { return !f.ci })
	switch suite {
	case "all":
		return all, nil
	case "ci":
		return inShort, nil
	}
	numbers, abridged := strings.CutPrefix(suite, short)
	if abridged {
		all = inShort
	}
	var rows []fault
	for text := range strings.SplitSeq(numbers, ",") {
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

// patientWarm is the warm-up of suites that are not in a hurry.
const patientWarm = 3 * time.Second

// endure runs one fault.
func endure(ctx context.Context, row fault, o options, p phases) (*outcome, error) {
	o.latency, o.cold, o.warm = fakeapi.Latency{P50: 60 * time.Millisecond, P99: 150 * time.Millisecond}, 0, p.warm
	o.model.Shoppers, o.settle = 200, 45*time.Second
	if row.during > 0 {
		p.during = row.during
	}
	if p.warm >= patientWarm {
		p.before, p.after = max(p.before, row.before), max(p.after, row.after)
		o.warm = max(o.warm, p.length()/3) // a cache fills up in a long row, which is no growth of the fault's
	}
	if row.set != nil {
		row.set(&o)
	}
	o.length = p.length()
	r := &outcome{row: row, phases: p, patience: o.patience(), run: &report.Run{Title: fmt.Sprintf("fault %d: %s", row.number, row.name), Command: fmt.Sprintf("go run ./bench chaos -suite %d -seed %d", row.number, o.model.Seed)}}
	err := onStage(ctx, &o, r.run, func(t *trial) error {
		b := &battle{opts: &o, trial: t, stage: t.stage, phases: p, notes: make(map[string]float64)}
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

// fresh reports whether a class is an answer of the API's, new or lately kept.
func fresh(class string) bool { return class == check.API || class == check.Cache }
