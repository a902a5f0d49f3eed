package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

// A row the machine cannot have says why, starts nothing, and is neither won nor lost.
func TestRowIsSkipped(t *testing.T) {
	row := fault{number: 25, name: "disk full", needs: func(context.Context) error { return errors.New("no right to mount") }}
	var text bytes.Buffer
	if code := fight(t.Context(), []fault{row}, options{}, phases{}, true, &text, io.Discard); code != exitOK {
		t.Errorf("got exit status %d, want 0", code)
	}
	for _, want := range []string{"SKIPPED  no right to mount", "PASS  0 faults, 1 skipped"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got\n%s\nwant %q", text.String(), want)
		}
	}
}

// Every row can be asked for by its number, and has a name of its own.
func TestRowsAreNamed(t *testing.T) {
	names := make(map[string]bool)
	for _, f := range faults() {
		if names[f.name] {
			t.Errorf("row %d: %q is another's name", f.number, f.name)
		}
		names[f.name] = true
	}
	for suite, want := range map[string]int{"4": 1, "9": 4, "19": 3, "20": 2, "25,29,30": 3} {
		rows, err := pick(suite)
		if err != nil || len(rows) != want {
			t.Errorf("-suite %s: got %d rows (%v), want %d", suite, len(rows), err, want)
		}
	}
}
