package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"vitrine/bench/marks"
	"vitrine/bench/report"
)

const growthHelp = `Shows how the sidecar's costs grow: throughput with processors, a hit's latency with
the entries in memory and with the length of the list, memory with sessions, the start
with the backlog in the journal, a look at the status page and the metrics with the
time it is up. Each is a plot and a sentence made from its points. A bare handler is
measured beside it where there is one. It takes -dur at most: what a busy or slow
machine has no time for is left out, the largest first, and the sentence says so.

    go run ./bench growth -json growth.json -html growth.html
    go run ./bench growth -dur 1h
`

// grower measures the plots.
type grower struct {
	*marker
	most   int           // entries and backlog at most
	length time.Duration // of all of it
	till   time.Time     // what is being measured must end by then
}

// cmdGrowth measures them all.
func cmdGrowth(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	g := grower{marker: &marker{blocks: 3, out: newProgress(stderr, os.Getenv)}}
	f := newFlags("growth", growthHelp)
	f.IntVar(&g.most, "most", 1_000_000, "entries in memory at most; the backlog is at most a third of it")
	f.DurationVar(&g.length, "dur", 8*time.Minute, "how long all of it may take; for an eighth of it a sidecar is watched")
	f.StringVar(&g.binary, "binary", "", "a built sidecar; empty builds the one of this module")
	jsonFile := f.String("json", "", "file to write the report to as JSON")
	htmlFile := f.String("html", "", "file to write the report to as a page")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() > 0 || g.most < 10_000 || g.most > 1_000_000 || g.length < time.Minute || g.length > 24*time.Hour {
		return usageError(stderr, errors.New("-most must be between 10000 and 1000000, -dur between a minute and a day, and nothing behind the flags"))
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
	chapters := g.chapters()
	for i, c := range chapters {
		g.till = sheet.Started.Add(time.Duration(c.till * float64(g.length)))
		g.out.prefix = fmt.Sprintf("%d of %d, until %s at most: ", i+1, len(chapters), g.till.Local().Format(time.TimeOnly))
		plots, err := c.draw(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		sheet.Plots = append(sheet.Plots, plots...)
	}
	g.out.prefix = ""
	g.out.say("")
	sheet.Environment.Done()
	return nil
}

// chapter is a part of the report.
type chapter struct {
	name string
	till float64 // the part of the whole time that may have passed at its end
	draw func(context.Context) ([]marks.Plot, error)
}

// chapters are all of them. To fill the memory with a million rankings takes longest. What
// one has not used is the next one's.
func (g *grower) chapters() []chapter {
	return []chapter{
		{"processors", 0.08, g.cores},
		{"lengths of lists", 0.2, g.lengths},
		{"entries in memory", 0.7, g.entries},
		{"backlogs", 0.86, g.backlog},
		{"time up", 1, g.uptime},
	}
}

// errTime means that two points, which a plot takes at least, were not to be had in time.
var errTime = errors.New("there was no time for two points: the machine is slow or busy; let it take longer with -dur")

// each measures at one value after the other while there is time. What is left out is
// said in a sentence.
func (g *grower) each(ctx context.Context, values []int, what string, measure func(ctx context.Context, value int) error) (missing string, err error) {
	for i, value := range values {
		g.out.say(fmt.Sprintf("%d %s", value, what))
		limit, cancel := context.WithDeadline(ctx, g.till)
		err := measure(limit, value)
		late := limit.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil:
		case !late:
			return "", err
		case i < 2:
			return "", errTime
		default:
			return fmt.Sprintf(" There was no time for %s.", list(values[i:])), nil
		}
	}
	return "", nil
}

func list(values []int) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = strconv.Itoa(v)
	}
	return strings.Join(words, ", ")
}

// per is a rate of change that can be read: "3.2 µs for each".
func per(v float64, unit string) string { return fmt.Sprintf("%s %s", marks.Digits(v), unit) }

// linear says how well a straight line holds all of a series.
func linear(s marks.Series, r2 float64) string {
	switch {
	case len(s.Points) < 3:
		return "by two points, which any line holds"
	case r2 >= 0.99:
		return fmt.Sprintf("a straight line (r² %.3f)", r2)
	case r2 >= 0.9:
		return fmt.Sprintf("nearly a straight line (r² %.3f)", r2)
	default:
		return fmt.Sprintf("no straight line (r² %.3f)", r2)
	}
}
