package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/report"
)

// A row the machine cannot have says why, starts nothing, and is neither won nor lost.
func TestRowIsSkipped(t *testing.T) {
	row := fault{number: 25, name: "disk full", needs: func(context.Context) error { return errors.New("no right to mount") }}
	var text bytes.Buffer
	c := campaign{rows: []fault{row}, times: true, atOnce: 1}
	if code := c.fight(t.Context(), &text, io.Discard); code != exitOK {
		t.Errorf("got exit status %d, want 0", code)
	}
	for _, want := range []string{"SKIPPED  not here: no right to mount", "PASS  0 faults, 1 skipped"} {
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
	for suite, want := range map[string]int{"4": 1, "9": 4, "19": 6, "20": 6, "25,29,30": 5, "ci:19": 2, "ci:3,22": 2} {
		rows, err := pick(suite)
		if err != nil || len(rows) != want {
			t.Errorf("-suite %s: got %d rows (%v), want %d", suite, len(rows), err, want)
		}
	}
}

// Every number of the fault table has a row.
func TestEveryFaultHasARow(t *testing.T) {
	for n := 1; n <= 33; n++ {
		if _, err := pick(strconv.Itoa(n)); err != nil {
			t.Error(err)
		}
	}
}

// Rows under way together are written in their order, whichever is done first.
func TestRowsAreWrittenInOrder(t *testing.T) {
	later := make(chan struct{})
	refuse := errors.New("not to be had")
	c := campaign{atOnce: 2, rows: []fault{
		{number: 1, name: "first", needs: func(context.Context) error { <-later; return refuse }},
		{number: 2, name: "second", needs: func(context.Context) error { return refuse }},
		{number: 3, name: "third", needs: func(context.Context) error { close(later); return refuse }},
	}}
	var text bytes.Buffer
	c.fight(t.Context(), &text, io.Discard)
	last := -1
	for _, row := range c.rows {
		at := strings.Index(text.String(), row.name)
		if at <= last {
			t.Errorf("%s stands at %d, want it behind %d:\n%s", row.name, at, last, text.String())
		}
		last = at
	}
}

func TestTogether(t *testing.T) {
	var at []time.Time
	for _, ms := range []int{0, 10, 60, 70, 100, 500} {
		at = append(at, time.UnixMilli(int64(ms)))
	}
	for within, want := range map[time.Duration]float64{5 * time.Millisecond: 1, 30 * time.Millisecond: 2, 50 * time.Millisecond: 3} {
		if got := together(at, within); got != want {
			t.Errorf("within %v: got %v, want %v", within, got, want)
		}
	}
}

// Who asks again is answered at once, unless the session looked at something else since, or
// may have.
func TestWaitedAgain(t *testing.T) {
	r := &outcome{from: 0, to: time.Minute}
	for _, p := range []struct {
		at, took int
		session  string
		asks     string
	}{
		{2000, 60, "a", "x"}, {3000, 1, "a", "x"}, {4000, 70, "a", "x"}, // the last waits
		{2000, 60, "b", "x"}, {3000, 60, "b", "y"}, {4000, 60, "b", "x"}, // another view between
		{2000, 60, "c", "x"}, {2000, 60, "c", "y"}, {2500, 1, "c", "y"}, // both asked before either was answered
		{2000, 60, "d", "x"}, {9000, 60, "d", "x"}, // too late
		{2000, 60, "e", "x"}, {3000, 60, "e", "x"}, {3000, 60, "e", "y"}, // perhaps y first
		{2000, 60, "f", "x"}, {2030, 60, "f", "x"}, // not answered yet
		{500, 60, "g", "x"}, {1500, 60, "g", "x"}, // an answer from before
	} {
		r.samples = append(r.samples, point{at: time.Duration(p.at) * time.Millisecond, took: time.Duration(p.took) * time.Millisecond, session: p.session, item: p.asks, asks: p.asks})
	}
	if again, waited := waitedAgain(r); again != 3 || waited != 1 {
		t.Errorf("got %d again, %d waited, want 3 and 1", again, waited)
	}
}

// What drains is told from what goes before a shopper who is back.
func TestLeftAlone(t *testing.T) {
	start := time.Now()
	r := &outcome{started: start, to: 10 * time.Second}
	r.samples = []point{{at: 5 * time.Second, session: "left"}, {at: 5 * time.Second, session: "back"}, {at: 20 * time.Second, session: "back"}}
	var arrivals []fakeapi.Entry
	for at := range 30 {
		for _, session := range []string{"left", "back"} {
			arrivals = append(arrivals, fakeapi.Entry{At: start.Add(time.Duration(11+at) * time.Second), Session: session})
		}
	}
	alone := r.leftAlone(arrivals)
	if got, want := len(alone), 30+9; got != want {
		t.Errorf("got %d of %d left alone, want %d", got, len(arrivals), want)
	}
	if got, want := r.busiest(arrivals), 2.2; got != want {
		t.Errorf("got %v a second in the busiest stretch, want %v", got, want)
	}
}

// A kubelet restarts after three probes in a row; as many failures apart mean nothing to it.
func TestDeadLooksAreCountedInARow(t *testing.T) {
	for text, want := range map[string]int{"": 0, "...": 0, "x.x.x": 1, ".xx.x": 2, "x.xxx": 3} {
		r := &outcome{run: new(report.Run)}
		for _, look := range text {
			state := report.State{}
			if look == 'x' {
				state.Dead = "503"
			}
			r.run.Timeline.States = append(r.run.Timeline.States, state)
		}
		if why, got := r.dead(); got != want || (why != "") != (want > 0) {
			t.Errorf("%q: got %d in a row (%q), want %d", text, got, why, want)
		}
	}
}

// Who asked before the end of a fault may be answered after it, for as long as a budget.
func TestPatienceIsTheBudgetAndATenth(t *testing.T) {
	for text, want := range map[string]time.Duration{"": 330 * time.Millisecond, "1500ms": 1650 * time.Millisecond} {
		o := options{env: settings{"VITRINE_BUDGET": text}}
		if got := o.patience(); got != want {
			t.Errorf("budget %q: got %v, want %v", text, got, want)
		}
	}
}
