package journal_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/journal"
)

// running starts Run, which is stopped before j is closed.
func running(t *testing.T, j *journal.Journal) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestRunSyncsOnlyWhatIsNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, small(t.TempDir()))
		start := time.Now()
		var syncs []time.Duration
		j.BeforeSync(func() error {
			syncs = append(syncs, time.Since(start))
			return nil
		})
		running(t, j)
		time.Sleep(time.Second)
		first := mustAppend(t, j, numbered(1, 10))
		time.Sleep(5 * time.Millisecond)
		mustAppend(t, j, numbered(2, 10))
		time.Sleep(time.Second)
		mustSettle(t, j, first) // a mark is worth a sync too
		time.Sleep(time.Second)
		synctest.Wait()
		want := []time.Duration{1010 * time.Millisecond, 2015 * time.Millisecond}
		if !slices.Equal(syncs, want) {
			t.Errorf("got syncs at %v, want %v", syncs, want)
		}
	})
}

func TestRunSyncsBeforeItReturns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, small(t.TempDir()))
		syncs := 0
		j.BeforeSync(func() error { syncs++; return nil })
		mustAppend(t, j, numbered(1, 10))
		ctx, stop := context.WithCancel(t.Context())
		stop()
		if err := j.Run(ctx); err != nil || syncs != 1 {
			t.Errorf("got %v and %d syncs, want nil and 1", err, syncs)
		}
	})
}

func TestDiskFailsAndComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		j := open(t, small(dir))
		var failing sync.Mutex // guards full
		full := true
		attempts := 0
		j.FailCreate(func() error {
			failing.Lock()
			defer failing.Unlock()
			attempts++
			if full {
				return syscall.ENOSPC
			}
			return nil
		})
		running(t, j)
		var want []kept
		for n := range j.Capacity(100) { // the segment that Open prepared
			r := numbered(n, 100)
			want = append(want, kept{mustAppend(t, j, r), r})
		}
		if _, err := j.Append(numbered(99, 100)); !errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		st := j.Stats()
		if !st.Unavailable || st.PrepareErrors == 0 || !strings.Contains(st.LastError, syscall.ENOSPC.Error()) {
			t.Errorf("got %+v, want it unavailable for want of space", st)
		}
		checkPending(t, j, want) // readers unharmed
		mustSettle(t, j, want[0].at)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()

		failing.Lock()
		if attempts != 3 {
			t.Errorf("got %d attempts in 2.6 s, want 3, at 0, 1 and 2 s", attempts)
		}
		full = false
		failing.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		r := numbered(100, 100)
		want = append(want[1:], kept{mustAppend(t, j, r), r})
		checkPending(t, j, want)
		if j.Stats().Unavailable {
			t.Error("still unavailable after the disk came back")
		}
	})
}

func TestSyncAlwaysSharesSyncs(t *testing.T) {
	o := small(t.TempDir())
	o.SyncAlways = true
	j := open(t, o)
	release := make(chan struct{})
	syncs := 0
	j.BeforeSync(func() error {
		syncs++
		<-release
		return nil
	})
	const appenders = 20
	done := make(chan error, appenders)
	for n := range appenders {
		go func() {
			_, err := j.Append(numbered(n, 10))
			done <- err
		}()
	}
	poll(t, func() bool { return j.Stats().Pending == appenders })
	if len(done) != 0 {
		t.Error("an Append returned before its sync")
	}
	close(release)
	for range appenders {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if syncs > 2 {
		t.Errorf("got %d syncs, want the first one's and one for all that waited", syncs)
	}
}

func poll(t *testing.T, until func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !until(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited for 10 s in vain")
		}
	}
}

func TestFailedSyncIsNotForgotten(t *testing.T) {
	dir := t.TempDir()
	o := small(dir)
	o.SyncAlways = true
	j := open(t, o)
	before := mustAppend(t, j, numbered(1, 10))
	mustMaintain(t, j)
	fail := true
	j.BeforeSync(func() error {
		if fail {
			fail = false
			return syscall.EIO
		}
		return nil
	})
	at, err := j.Append(numbered(2, 10))
	if !errors.Is(err, syscall.EIO) || at == (journal.Position{}) {
		t.Errorf("got %v, %v, want the record's position and EIO", at, err)
	}
	if st := j.Stats(); st.SyncErrors != 1 || st.LastError == "" || st.Pending != 2 {
		t.Errorf("got %+v, want one sync error and two records", st)
	}
	// The kernel would report success for the same pages now; they are not vouched for, nor used.
	if after := mustAppend(t, j, numbered(3, 10)); after.Segment == before.Segment {
		t.Errorf("got %v, want another segment than %v", after, before)
	}
	checkPending(t, j, []kept{{before, numbered(1, 10)}, {at, numbered(2, 10)}, {journal.Position{Segment: 2, Offset: journal.HeaderSize}, numbered(3, 10)}})
}
