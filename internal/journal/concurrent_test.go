package journal_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"vitrine/internal/journal"
)

// Many goroutines append, read and settle while segments come and go.
func TestConcurrentUse(t *testing.T) {
	dir := t.TempDir()
	o := journal.Options{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 256 << 10}
	j := open(t, o)
	running(t, j)
	const appenders, each = 8, 300
	left := make([]kept, appenders) // one record of each stays pending
	var group sync.WaitGroup
	for a := range appenders {
		group.Go(func() {
			for n := range each {
				r := numbered(a*each+n, 100+n)
				at := appendPatiently(t, j, r)
				if got, err := j.Read(at, nil); err != nil || !sameRecord(got, r) {
					t.Errorf("Read(%v): got %v, %v, want %v", at, got, err, r)
					return
				}
				if n == each/2 {
					left[a] = kept{at, r}
				} else if err := j.Settle(at); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Go(func() {
		for range 20 {
			if _, err := journal.Inspect(dir); err != nil {
				t.Error(err)
			}
			if err := j.Pending(func(journal.Position, journal.Record) bool { return true }); err != nil {
				t.Error(err)
			}
			_ = j.Stats()
		}
	})
	group.Wait()
	got := pending(t, j)
	if len(got) != appenders {
		t.Fatalf("got %d pending, want %d", len(got), appenders)
	}
	for _, g := range got {
		if want := left[int(g.Extra)/each]; !same(g, want) {
			t.Errorf("got %v, want %v", g, want)
		}
	}
}

// appendPatiently waits for Run to prepare segments.
func appendPatiently(t *testing.T, j *journal.Journal, r journal.Record) (at journal.Position) {
	t.Helper()
	poll(t, func() bool {
		var err error
		at, err = j.Append(r)
		if err != nil && !errors.Is(err, journal.ErrUnavailable) && !errors.Is(err, journal.ErrFull) {
			t.Errorf("Append: %v", err)
		}
		return err == nil
	})
	return at
}

// A reader beside a live journal must not take what is being appended for damage.
func TestInspectBesideALiveJournal(t *testing.T) {
	dir := t.TempDir()
	j := open(t, journal.Options{Dir: dir, SegmentBytes: 16 << 20, MaxBytes: 32 << 20})
	full := make(chan struct{})
	go func() {
		defer close(full)
		for err := error(nil); err == nil; {
			_, err = j.Append(journal.Record{})
		}
	}()
	for last, done := 0, false; !done; {
		select {
		case <-full:
			done = true
		default:
		}
		report, err := journal.Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		s := report.Segments[0]
		if s.Damaged || s.Torn {
			t.Errorf("got %+v, want nothing wrong", s)
		}
		if s.Records < last {
			t.Errorf("got %d records after %d", s.Records, last)
		}
		last = s.Records
	}
}

// The same, at the unhappiest moment: a record is appended after its place was read, and the next one
// before its own is.
func TestInspectDuringAnAppend(t *testing.T) {
	s := newSample(t)
	without := func(record int) []byte {
		content := bytes.Clone(s.content[0])
		clear(content[s.records[0][record].at.Offset:][:4])
		return content
	}
	if records, wrong := journal.Examine(1, without(1), without(2)); records != 2 || wrong {
		t.Errorf("got %d records, wrong %v, want 2 and nothing wrong", records, wrong)
	}
	if records, wrong := journal.Examine(1, without(1), without(1)); records != 1 || !wrong {
		t.Errorf("got %d records, wrong %v for real damage, want 1 and true", records, wrong)
	}
}

// TestKilled runs this test binary again as a process that appends until it is killed, telling after
// every record what it has appended or settled.
func TestKilled(t *testing.T) {
	if dir := os.Getenv("JOURNAL_TEST_DIR"); dir != "" {
		appendForEver(t, dir)
		return
	}
	for round := range 3 {
		dir := t.TempDir()
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestKilled$")
		child.Env = append(os.Environ(), "JOURNAL_TEST_DIR="+dir)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		appended, settled := 0, 0
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if what, n, ok := bytes.Cut(lines.Bytes(), []byte(" ")); ok {
				number, err := strconv.Atoi(string(n))
				if err != nil {
					t.Fatalf("the child said %q", lines.Text())
				}
				switch string(what) {
				case "appended":
					appended = number
				case "settled":
					settled = number
				}
			}
			if appended == 500+100*round {
				_ = child.Process.Kill() // what it said before is still read
			}
		}
		_ = child.Wait() // killed
		j := open(t, small(dir))
		if st := j.Stats(); st.Damaged != 0 {
			t.Errorf("got %+v, want nothing damaged", st)
		}
		checkSurvivors(t, pending(t, j), settled, appended)
	}
}

// checkSurvivors allows for one record that was settled and one that was appended without a word about it.
func checkSurvivors(t *testing.T, got []kept, settled, appended int) {
	t.Helper()
	if len(got) == 0 {
		t.Fatal("got no records")
	}
	first, last := int(got[0].Extra), int(got[len(got)-1].Extra)
	if first != settled+1 && first != settled+2 {
		t.Errorf("got %d as the first pending, want the one after %d", first, settled)
	}
	if last != appended && last != appended+1 {
		t.Errorf("got %d as the last, want %d", last, appended)
	}
	for i, r := range got {
		if !sameRecord(r.Record, numbered(first+i, 200)) {
			t.Fatalf("got %v, want number %d", r.Record, first+i)
		}
	}
}

// appendForEver keeps the last five records pending, numbered from 1.
func appendForEver(t *testing.T, dir string) {
	t.Helper()
	j := open(t, small(dir))
	running(t, j)
	var open []journal.Position
	for n := 1; ; n++ {
		open = append(open, appendPatiently(t, j, numbered(n, 200)))
		fmt.Fprintf(os.Stdout, "appended %d\n", n)
		if len(open) > 5 {
			mustSettle(t, j, open[0])
			fmt.Fprintf(os.Stdout, "settled %d\n", n-5)
			open = open[1:]
		}
	}
}
