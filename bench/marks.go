package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"vitrine/bench/marks"
	"vitrine/bench/report"
)

const marksHelp = `Measures every path of the sidecar whose cost has a mark, one after the other, each
against a baseline in the same run, and says how the marks are kept. It takes about
ten minutes and wants a machine that does nothing else.

A row that compares is an ab; its note is the command that repeats it alone. The
other rows say what they did. nginx and Varnish are measured beside the sidecar
where they are installed.

    go run ./bench marks -json marks.json -html marks.html
    go run ./bench marks -only 'memory hit'
`

// marker measures the rows of a sheet.
type marker struct {
	binary string // the sidecar
	dir    string // for what is built
	blocks int
	out    *progress
}

// experiment is one measurement, which keeps one or several marks.
type experiment struct {
	claims  []marks.Mark // to be filled in
	measure func(ctx context.Context, m *marker) ([]reading, error)
}

// reading is what was measured for one claim.
type reading struct {
	got, low, high float64
	a, b, note     string
	void           []string
	err            error // the row cannot be told
}

// cmdMarks measures them all.
func cmdMarks(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := newFlags("marks", marksHelp)
	only := f.String("only", "", "measure the rows whose path matches this regular expression")
	list := f.Bool("list", false, "print the paths and measure nothing")
	binary := f.String("binary", "", "a built sidecar; empty builds the one of this module")
	blocks := f.Int("blocks", 8, "blocks of A B B A, two pairs each, of every comparison")
	jsonFile := f.String("json", "", "file to write the report to as JSON")
	htmlFile := f.String("html", "", "file to write the report to as a page")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	wanted, err := regexp.Compile(*only)
	if err == nil && f.NArg() > 0 {
		err = errors.New("there is an argument behind the flags")
	}
	if err == nil && (*blocks < 1 || *blocks > 1000) {
		err = errors.New("-blocks must be between 1 and 1000")
	}
	if err != nil {
		return usageError(stderr, err)
	}
	chosen := pickExperiments(wanted)
	if len(chosen) == 0 {
		return usageError(stderr, fmt.Errorf("no path matches %q", *only))
	}
	if *list {
		for _, e := range chosen {
			for _, c := range e.claims {
				fmt.Fprintln(stdout, c.Path)
			}
		}
		return exitOK
	}
	sheet := &marks.Sheet{Title: "What the sidecar costs, against its marks", Command: "go run ./bench marks " + strings.Join(args, " "), Method: marksMethod()}
	m := &marker{binary: *binary, blocks: *blocks, out: newProgress(stderr, os.Getenv)}
	if err := m.fill(ctx, sheet, chosen); err != nil {
		return failed(stderr, err)
	}
	return deliverSheet(sheet, *jsonFile, *htmlFile, stdout, stderr)
}

// marksMethod is what holds for all rows, and belongs to the figures.
func marksMethod() []string {
	pinned := "Processes could not be bound to processors here: server and generator disturbed each other."
	if canPin() {
		pinned = "The server had the first processor for itself, with GOMAXPROCS 1, the generator the others; redis-server was where the system put it."
	}
	return []string{
		pinned,
		"While hits were served the API took 180 ms: events were delivered at 64 calls at once, and the journal kept the rest.",
		"A verdict goes by the median; where it says close, the interval holds the mark and another run may say otherwise.",
	}
}

func pickExperiments(wanted *regexp.Regexp) (out []experiment) {
	for _, e := range experiments() {
		for _, c := range e.claims {
			if wanted.MatchString(c.Path) {
				out = append(out, e)
				break
			}
		}
	}
	return out
}

// fill builds the sidecar and measures one experiment after the other. One that cannot
// be measured says why in its rows, and the others go on.
func (m *marker) fill(ctx context.Context, sheet *marks.Sheet, chosen []experiment) (err error) {
	sheet.Started, sheet.Environment = time.Now().UTC(), report.Survey(ctx)
	if m.dir, err = os.MkdirTemp("", "vitrine-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	if m.binary == "" {
		if m.binary, err = goBuild(ctx, filepath.Join(m.dir, "vitrine")); err != nil {
			return err
		}
	}
	for i, e := range chosen {
		m.out.prefix = fmt.Sprintf("%d of %d, %s: ", i+1, len(chosen), e.claims[0].Path)
		m.out.say("starting")
		readings, err := e.measure(ctx, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		for j, c := range e.claims {
			r := reading{err: err}
			if err == nil {
				r = readings[j]
			}
			if r.err != nil {
				c.Err, c.Note = r.err.Error(), r.note
			} else {
				c.Got, c.Low, c.High, c.A, c.B, c.Note, c.Void = r.got, r.low, r.high, r.a, r.b, r.note, r.void
			}
			sheet.Marks = append(sheet.Marks, c)
		}
	}
	m.out.prefix = ""
	m.out.say("")
	sheet.Environment.Done()
	return nil
}

// deliverSheet writes a sheet in every form that was asked for, and returns the exit code.
func deliverSheet(sheet *marks.Sheet, jsonFile, htmlFile string, stdout, stderr io.Writer) int {
	err := sheet.WriteTable(stdout)
	if jsonFile != "" {
		err = errors.Join(err, writeFile(jsonFile, sheet.WriteJSON))
	}
	if htmlFile != "" {
		err = errors.Join(err, writeFile(htmlFile, sheet.WritePage))
	}
	if err != nil {
		return failed(stderr, err)
	}
	switch sheet.Worst() {
	case marks.Failed:
		return exitFailed
	case marks.Missed:
		return exitObjective
	case marks.Void:
		return exitLimited
	default:
		return exitOK
	}
}

// goBuild builds the sidecar of the module in the working folder, and returns the path.
func goBuild(ctx context.Context, path string, flags ...string) (string, error) {
	args := append(append([]string{"build", "-o", path}, flags...), "vitrine/cmd/vitrine")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the sidecar (run the harness inside the module, or name a binary): %w\n%s", err, out)
	}
	return path, nil
}
