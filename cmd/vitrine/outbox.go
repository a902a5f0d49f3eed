package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"text/tabwriter"
	"time"

	"vitrine/internal/config"
	"vitrine/internal/journal"
)

// deadLetters is the folder below outbox.dir for the events that the API rejects.
const deadLetters = "dead"

// cmdOutbox shows what an outbox folder holds: counts, and nothing of any event. It takes
// no lock and changes nothing, so it works beside the sidecar that writes there.
func cmdOutbox(args, environ []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("vitrine outbox", flag.ContinueOnError)
	flags.SetOutput(stderr)
	dir := flags.String("dir", "", "the folder; outbox.dir of the configuration if empty")
	file := flags.String("config", "", "the configuration's file, if there is no --dir")
	verify := flags.Bool("verify", false, "fail if anything in it is damaged")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0:
		fmt.Fprintln(stderr, "vitrine outbox: takes flags only")
		return exitUsage
	}
	if *dir == "" {
		var err error
		if *dir, err = outboxDir(*file, environ); err != nil {
			fmt.Fprintln(stderr, "vitrine outbox:", err)
			return exitUsage
		}
	}
	damaged, err := showFolders(stdout, *dir, time.Now())
	if err == nil && *verify && damaged > 0 {
		err = fmt.Errorf("%s: files with damage: %d", *dir, damaged)
	}
	if err != nil {
		fmt.Fprintln(stderr, "vitrine outbox:", err)
		return exitFailed
	}
	return exitOK
}

// outboxDir is the configuration's folder. Whatever else may be wrong with it, such as a
// token that this command is not given, does not matter here.
func outboxDir(file string, environ []string) (string, error) {
	var args []string
	if file != "" {
		args = []string{"--config", file}
	}
	c, _, err := config.Load(args, environ, config.ReadFile)
	if err := mistakeAbout("outbox.dir", err); err != nil {
		return "", err
	}
	if c.Outbox.Dir == inMemory {
		return "", errors.New("outbox.dir is memory: there is nothing on disk to look at")
	}
	return c.Outbox.Dir, nil
}

// showFolders writes what the events' and the dead letters' folders hold, and returns how
// many files are damaged.
func showFolders(w io.Writer, dir string, now time.Time) (int, error) {
	damaged := 0
	for _, f := range []struct{ title, dir, pending string }{
		{"events", dir, "undelivered"},
		{"dead letters", filepath.Join(dir, deadLetters), "kept"},
	} {
		report, err := journal.Inspect(f.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist) && f.dir != dir:
			fmt.Fprintf(w, "%s: none\n", f.title)
			continue
		case err != nil:
			return damaged, err //nolint:wrapcheck // it names the folder
		}
		fmt.Fprintf(w, "%s: %s\n", f.title, f.dir)
		if len(report.Segments) > 0 {
			showSegments(w, report)
		}
		n := total(report)
		damaged += n.damaged
		fmt.Fprintf(w, "  %d records, %d %s, in %d files of %d bytes", n.records, n.pending, f.pending, len(report.Segments), n.bytes)
		if n.pending > 0 {
			fmt.Fprintf(w, "; the oldest %s ago", now.Sub(n.oldest).Round(time.Second))
		}
		fmt.Fprintln(w)
	}
	return damaged, nil
}

func showSegments(w io.Writer, report journal.Report) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "file\tbytes\trecords\tpending\tsettled\tstate\t")
	for _, s := range report.Segments {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t\n", s.Name, s.Bytes, s.Records, s.Pending, s.Records-s.Pending, stateOf(s))
	}
	_ = table.Flush() // to a terminal
}

func stateOf(s journal.SegmentReport) string {
	switch {
	case s.Damaged:
		return "DAMAGED"
	case s.Torn:
		return "torn end"
	case s.Records == 0:
		return "spare"
	default:
		return "sound"
	}
}

// totals are a folder's.
type totals struct {
	records, pending, damaged int
	bytes                     int64
	oldest                    time.Time // of those pending
}

func total(report journal.Report) (t totals) {
	for _, s := range report.Segments {
		t.records += s.Records
		t.pending += s.Pending
		t.bytes += s.Bytes
		if s.Damaged {
			t.damaged++
		}
		if s.Pending > 0 && (t.oldest.IsZero() || s.Waiting.Before(t.oldest)) {
			t.oldest = s.Waiting
		}
	}
	return t
}
