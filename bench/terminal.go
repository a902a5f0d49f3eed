package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"vitrine/bench/load"
)

// newProgress returns a progress line on w: nothing unless w is a terminal, plain if
// NO_COLOR is set.
func newProgress(w io.Writer, getenv func(string) string) *progress {
	if !terminal(w) {
		return &progress{}
	}
	dim, plain := "\x1b[2m", "\x1b[0m"
	if getenv("NO_COLOR") != "" {
		dim, plain = "", ""
	}
	return &progress{write: func(text string) { fmt.Fprintf(w, "\r\x1b[K%s%s%s", dim, text, plain) }}
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress writes a line that overwrites itself, on a terminal only.
type progress struct {
	write  func(string) // nil writes nothing
	prefix string       // of what is said: the part of something larger
}

// say replaces the line.
func (p *progress) say(text string) {
	if p.write != nil {
		p.write(p.prefix + text)
	}
}

// follow tells how far a run is until ctx ends.
func (p *progress) follow(ctx context.Context, rec *load.Recorder, end time.Time) {
	if p.write == nil {
		return
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			p.write("")
			return
		case <-tick.C:
		}
		done, bad := rec.Progress()
		p.write(fmt.Sprintf("%d answered, %d bad, %v to go", done, bad, max(0, time.Until(end)).Round(time.Second)))
	}
}
