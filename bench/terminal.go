package main

import (
	"fmt"
	"io"
	"os"
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
