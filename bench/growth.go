package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vitrine/bench/marks"
	"vitrine/bench/report"
)

const growthHelp = `Shows how the sidecar's costs grow: throughput with processors, a hit's latency with
the entries in memory and with the length of the list, memory with sessions, the start
with the backlog in the journal, a look at the status page and the metrics with the
time it is up. Each is a plot and a sentence made from its points. A bare handler is
measured beside it where there is one. It takes about ten minutes, most of them to
fill the memory.

    go run ./bench growth -json growth.json -html growth.html
`

// grower measures the plots.
type grower struct {
	*marker
	most int           // entries and backlog at most
	up   time.Duration // how long a sidecar is watched
}

// cmdGrowth measures them all.
func cmdGrowth(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	g := grower{marker: &marker{blocks: 3, out: newProgress(stderr, os.Getenv)}}
	f := newFlags("growth", growthHelp)
	f.IntVar(&g.most, "most", 1_000_000, "entries in memory at most; the backlog is at most a third of it")
	f.DurationVar(&g.up, "up", time.Minute, "how long a sidecar is watched")
	f.StringVar(&g.binary, "binary", "", "a built sidecar; empty builds the one of this module")
	jsonFile := f.String("json", "", "file to write the report to as JSON")
	htmlFile := f.String("html", "", "file to write the report to as a page")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() > 0 || g.most < 10_000 || g.most > 1_000_000 || g.up < 5*time.Second || g.up > 24*time.Hour {
		return usageError(stderr, errors.New("-most must be between 10000 and 1000000, -up between 5 s and a day, and nothing behind the flags"))
	}
	sheet := &marks.Sheet{
		Title: "How the sidecar's costs grow", Command: "go run ./bench growth " + strings.Join(args, " "),
		Method: []string{"Every point is one sidecar, started for it, whose answers are all checked. Figures are medians of several rounds where there is a baseline."},
	}
	if err := g.plot(ctx, sheet); err != nil {
		return abFailed(stderr, err)
	}
	return deliverSheet(sheet, *jsonFile, *htmlFile, stdout, stderr)
}

func (g *grower) plot(ctx context.Context, sheet *marks.Sheet) (err error) {
	sheet.Started, sheet.Environment = time.Now().UTC(), report.Survey(ctx)
	if g.dir, err = os.MkdirTemp("", "vitrine-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(g.dir)) }()
	if g.binary == "" {
		if g.binary, err = goBuild(ctx, filepath.Join(g.dir, "vitrine")); err != nil {
			return err
		}
	}
	for _, draw := range []func(context.Context) ([]marks.Plot, error){g.cores, g.lengths, g.entries, g.backlog, g.uptime} {
		plots, err := draw(ctx)
		if err != nil {
			return err
		}
		sheet.Plots = append(sheet.Plots, plots...)
	}
	g.out.say("")
	sheet.Environment.Done()
	return nil
}

// per is a rate of change that can be read: "3.2 µs for each".
func per(v float64, unit string) string { return fmt.Sprintf("%s %s", marks.Digits(v), unit) }

// linear says how well a straight line holds all points.
func linear(r2 float64) string {
	switch {
	case r2 >= 0.99:
		return fmt.Sprintf("a straight line (r² %.3f)", r2)
	case r2 >= 0.9:
		return fmt.Sprintf("nearly a straight line (r² %.3f)", r2)
	default:
		return fmt.Sprintf("no straight line (r² %.3f)", r2)
	}
}
