package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vitrine/bench/report"
)

func TestSearchFindsTheKnee(t *testing.T) {
	for name, c := range map[string]struct {
		carries     float64 // what the server carries
		steps       int     // there is time for
		best, worse float64 // at least and at most
	}{
		"time enough":       {777, 100, 740, 816},
		"time to double":    {777, 4, 400, 800},
		"none is too high":  {777, 2, 200, 0},
		"even the first is": {50, 100, 0, 100},
	} {
		tries := 0
		best, worse, err := search(100, func(rate float64) (bool, error) {
			tries++
			return rate <= c.carries, nil
		}, func(float64, float64) bool { return tries < c.steps })
		if err != nil || best < c.best || best > c.carries || worse > c.worse || worse > 0 && worse <= c.carries || tries > min(12, c.steps) {
			t.Errorf("%s: got %v and %v after %d tries (%v), want at least %v and at most %v", name, best, worse, tries, err, c.best, c.worse)
		}
	}
}

// A step of find lasts until its quantile can be told.
func TestStepsAreLongEnough(t *testing.T) {
	objectives, err := report.ParseObjectives("p99<=400ms,valid>=99%")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := enough(objectives, 100), 110*time.Second; got.Round(time.Second) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := enough(objectives[1:], 100); got != 0 {
		t.Errorf("got %v without a quantile, want 0", got)
	}
}

// No step is begun that leaves no time to confirm what is known by then.
func TestFinderLeavesTimeToConfirm(t *testing.T) {
	o := defaults()
	o.length, o.warm = 10*time.Second, 3*time.Second
	f := &finder{opts: &o, around: 2 * time.Second}
	const step, confirm = 15 * time.Second, 25 * time.Second
	f.till = time.Now().Add(step + confirm + time.Minute)
	if !f.leaves(800, 400) {
		t.Error("got no time for a step and the last, want a minute to spare")
	}
	f.till = time.Now().Add(step + confirm - time.Second)
	if f.leaves(800, 400) {
		t.Error("got time for a step and the last, want a second too little")
	}
}

// What is said is no more than is known.
func TestFindSaysWhatItKnows(t *testing.T) {
	tried := func(rate float64, kept bool, void ...string) step {
		return step{rate, &report.Run{Void: void}, kept}
	}
	for name, c := range map[string]struct {
		steps []step
		found found
		code  int
		says  string
	}{
		"all":             {[]step{tried(400, true), tried(420, false)}, found{400, 420, held}, exitOK, "PASS  400 requests/s keep the objectives, and twice as long; 420 do not\n"},
		"not confirmed":   {[]step{tried(400, true), tried(420, false)}, found{400, 420, untried}, exitOK, "no time to try them twice as long"},
		"wide":            {[]step{tried(400, true), tried(800, false)}, found{400, 800, held}, exitOK, "800 do not, and between the two, 100 % of the lower, there was no time to look"},
		"no end":          {[]step{tried(400, true)}, found{400, 0, held}, exitOK, "before a rate was too high"},
		"did not last":    {[]step{tried(400, true), tried(400, false)}, found{400, 420, gaveWay}, exitObjective, "FAIL  400 requests/s did not last"},
		"none":            {[]step{tried(400, false)}, found{0, 400, untried}, exitObjective, "not kept even at the first rate"},
		"generator":       {[]step{tried(400, true), tried(800, false, "late")}, found{400, 800, held}, exitLimited, "VOID  the generator was the limit; the sidecar carries at least 400"},
		"generator first": {[]step{tried(400, false, "late")}, found{0, 400, untried}, exitLimited, "nothing is known"},
		"generator above": {[]step{tried(400, true), tried(800, false, "late"), tried(420, false)}, found{400, 420, held}, exitOK, "PASS"},
	} {
		var w bytes.Buffer
		if code := conclude(&w, c.steps, c.found); code != c.code || !strings.Contains(w.String(), c.says) {
			t.Errorf("%s: got exit status %d and %q, want %d and %q", name, code, w.String(), c.code, c.says)
		}
	}
}
