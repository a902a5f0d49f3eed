package main

import (
	"context"
	"errors"
	"io"

	"vitrine/bench/report"
)

const compareHelp = `Compares the latencies and the CPU of two reports that run -json wrote, and ends
with 99 if one is worse. Two runs tell of a change only if they were made on one
machine, doing nothing else; otherwise compare with ab, which measures both sides
in turn.
`

// cmdCompare compares two reports.
func cmdCompare(_ context.Context, args []string, stdout, stderr io.Writer) int {
	f := newFlags("compare OLD NEW", compareHelp)
	page := f.String("html", "", "file to write a page to: the new run, with the old one laid over it")
	tolerance := f.Float64("tolerance", 0.1, "share by which a figure may grow")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() != 2 {
		return usageError(stderr, errors.New("want two files, behind the flags"))
	}
	old, err1 := report.ReadFile(f.Arg(0))
	latest, err2 := report.ReadFile(f.Arg(1))
	if err := errors.Join(err1, err2); err != nil {
		return usageError(stderr, err)
	}
	changes := report.Compare(old, latest, *tolerance)
	if err := report.WriteChanges(stdout, old, latest, changes); err != nil {
		return failed(stderr, err)
	}
	if *page != "" {
		err := writeFile(*page, func(w io.Writer) error { return report.WritePage(w, latest, old) })
		if err != nil {
			return failed(stderr, err)
		}
	}
	for _, c := range changes {
		if c.Worse {
			return exitObjective
		}
	}
	return exitOK
}
