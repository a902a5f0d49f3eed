package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"text/tabwriter"

	"vitrine/bench/report"
)

// campaign is rows of the fault table to be gone through.
type campaign struct {
	rows   []fault
	opts   options
	phases phases
	times  bool // judge times too
	atOnce int  // rows under way together
	title  string
}

// fight goes through the rows and writes each as soon as it and those before it are done,
// then the table.
func (c *campaign) fight(ctx context.Context, stdout, stderr io.Writer) int {
	environment := report.Survey(ctx)
	out := newProgress(stderr, os.Getenv)
	faults := make([]report.Fault, len(c.rows))
	done := make([]chan struct{}, len(c.rows))
	free := make(chan struct{}, c.atOnce)
	var group sync.WaitGroup
	for i := range c.rows {
		done[i] = make(chan struct{})
	}
	group.Go(func() {
		for i, row := range c.rows {
			free <- struct{}{}
			group.Go(func() {
				out.say(fmt.Sprintf("%d of %d: %s", i+1, len(c.rows), row.name))
				faults[i] = c.bear(ctx, row)
				<-free
				close(done[i])
			})
		}
	})
	for i := range faults {
		<-done[i]
		out.say("")
		c.write(stdout, faults[i])
	}
	group.Wait()
	environment.Done()
	if err := c.conclude(stdout, environment, faults); err != nil {
		return failed(stderr, err)
	}
	if ctx.Err() != nil {
		return failed(stderr, ctx.Err())
	}
	return verdictOn(stdout, faults)
}

// bear lets one fault loose.
func (c *campaign) bear(ctx context.Context, row fault) report.Fault {
	f := report.Fault{Number: row.number, Name: row.name}
	if ctx.Err() != nil {
		f.Verdict, f.Why = "SKIPPED", "interrupted"
		return f
	}
	if row.needs != nil {
		if err := row.needs(ctx); err != nil {
			f.Verdict, f.Why = "SKIPPED", "not here: "+err.Error()
			return f
		}
	}
	o := c.opts
	o.env = maps.Clone(o.env)
	result, err := endure(ctx, row, o, c.phases)
	if err != nil {
		f.Verdict, f.Why = "ERROR", err.Error()
		return f
	}
	result.tell(&f, c.times)
	return f
}

// write writes a row.
func (c *campaign) write(w io.Writer, f report.Fault) {
	fmt.Fprintf(w, "%2d  %s\n", f.Number, f.Name)
	if !f.Ran() {
		fmt.Fprintf(w, "    %s  %s\n", f.Verdict, f.Why)
		return
	}
	fmt.Fprintf(w, "    TTD %s  TTR %s  p99 during %v\n    during: %s\n", report.Never(f.TTD), report.Never(f.TTR), f.P99, f.Shares)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, m := range f.Marks {
		fmt.Fprintf(t, "    %s\t%s\n", m.Verdict, m.Text)
	}
	_ = t.Flush()
}

// conclude writes the table and the pages.
func (c *campaign) conclude(w io.Writer, environment report.Environment, faults []report.Fault) error {
	fmt.Fprintln(w)
	if err := report.WriteFaults(w, faults); err != nil {
		return err
	}
	fmt.Fprintln(w)
	if err := environment.Write(w); err != nil {
		return err
	}
	if c.opts.html == "" {
		return nil
	}
	if err := os.MkdirAll(c.opts.html, 0o755); err != nil {
		return err
	}
	var errs []error
	for i := range faults {
		f := &faults[i]
		if !f.Ran() {
			continue
		}
		f.Page = fmt.Sprintf("fault-%02d-%d.html", f.Number, i+1)
		errs = append(errs, writeFile(filepath.Join(c.opts.html, f.Page), func(w io.Writer) error { return report.WritePage(w, f.Run) }))
	}
	return errors.Join(append(errs, writeFile(filepath.Join(c.opts.html, "index.html"), func(w io.Writer) error {
		return report.WriteFaultsPage(w, c.title, environment, faults)
	}))...)
}

// verdictOn writes the verdict on all, and returns the exit code.
func verdictOn(w io.Writer, faults []report.Fault) int {
	failures, skipped := 0, 0
	for _, f := range faults {
		switch f.Verdict {
		case "SKIPPED":
			skipped++
		case "FAIL", "ERROR":
			failures++
		}
	}
	ran := len(faults) - skipped
	if failures > 0 {
		fmt.Fprintf(w, "FAIL  %d of %d faults, %d skipped\n", failures, ran, skipped)
		return exitObjective
	}
	fmt.Fprintf(w, "PASS  %d faults, %d skipped\n", ran, skipped)
	return exitOK
}

// tell describes the outcome in a report's words. Times are judged if they are to be.
func (r *outcome) tell(f *report.Fault, times bool) {
	f.Run, f.Verdict = r.run, "pass"
	f.TTD, f.TTR, f.P99, f.Shares = report.Duration(r.ttd), report.Duration(r.ttr), r.in.p99(), r.in.shares()
	f.Lost, f.Repeated = r.run.Ledger.Lost, r.run.Ledger.Repeated
	f.Memory, f.Goroutines = r.memory, r.goroutines
	for _, m := range r.marks {
		verdict := "pass"
		switch {
		case !m.pass && m.timing && !times:
			verdict = "slow"
		case !m.pass:
			verdict, f.Verdict = "FAIL", "FAIL"
		}
		f.Marks = append(f.Marks, report.Mark{Verdict: verdict, Text: m.text})
	}
}
