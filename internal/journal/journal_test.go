package journal_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"vitrine/internal/journal"
)

// small are segments that a few records fill.
func small(dir string) journal.Options {
	return journal.Options{Dir: dir, SegmentBytes: 4 << 10, MaxBytes: 32 << 10}
}

func open(tb testing.TB, o journal.Options) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(o)
	if err != nil {
		tb.Fatalf("Open: %v", err)
	}
	tb.Cleanup(func() { closeJournal(tb, j) })
	return j
}

func closeJournal(tb testing.TB, j *journal.Journal) {
	tb.Helper()
	if err := j.Close(); err != nil {
		tb.Errorf("Close: %v", err)
	}
}

// numbered is a record that can be told from any other number's, in every member.
func numbered(n, body int) journal.Record {
	r := journal.Record{Time: -int64(n), Key: math.MaxUint64 - uint64(n), Extra: uint32(n), Body: make([]byte, body)}
	binary.LittleEndian.PutUint64(r.ID[:], uint64(n))
	for i := range r.Body {
		r.Body[i] = byte(n + i)
	}
	return r
}

func mustAppend(tb testing.TB, j *journal.Journal, r journal.Record) journal.Position {
	tb.Helper()
	at, err := j.Append(r)
	if err != nil {
		tb.Fatalf("Append: %v", err)
	}
	return at
}

func mustSettle(tb testing.TB, j *journal.Journal, at journal.Position) {
	tb.Helper()
	if err := j.Settle(at); err != nil {
		tb.Fatalf("Settle(%v): %v", at, err)
	}
}

func mustMaintain(tb testing.TB, j *journal.Journal) {
	tb.Helper()
	if err := j.Maintain(); err != nil {
		tb.Fatalf("Maintain: %v", err)
	}
}

// kept is a record with where it lies.
type kept struct {
	at journal.Position
	journal.Record
}

func pending(tb testing.TB, j *journal.Journal) []kept {
	tb.Helper()
	var all []kept
	err := j.Pending(func(at journal.Position, r journal.Record) bool {
		r.Body = bytes.Clone(r.Body)
		all = append(all, kept{at, r})
		return true
	})
	if err != nil {
		tb.Fatalf("Pending: %v", err)
	}
	return all
}

func same(a, b kept) bool {
	return a.at == b.at && sameRecord(a.Record, b.Record)
}

func sameRecord(a, b journal.Record) bool {
	return a.ID == b.ID && a.Time == b.Time && a.Key == b.Key && a.Extra == b.Extra && bytes.Equal(a.Body, b.Body)
}

func checkPending(tb testing.TB, j *journal.Journal, want []kept) {
	tb.Helper()
	got := pending(tb, j)
	if !slices.EqualFunc(got, want, same) {
		tb.Fatalf("got pending %v, want %v", numbers(got), numbers(want))
	}
	if n := j.Stats().Pending; n != len(want) {
		tb.Fatalf("got Stats.Pending %d, want %d", n, len(want))
	}
}

func numbers(records []kept) []string {
	var all []string
	for _, r := range records {
		all = append(all, fmt.Sprintf("%d@%d/%d", r.Extra, r.at.Segment, r.at.Offset))
	}
	return all
}

// files are the names in a folder, without the lock.
func files(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != "lock" {
			names = append(names, e.Name())
		}
	}
	return names
}

// crash copies a folder as a process killed at this moment would leave it.
func crash(tb testing.TB, dir string) string {
	tb.Helper()
	to := tb.TempDir()
	for _, name := range files(tb, dir) {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), content, 0o600)
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	return to
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	var want []kept
	for n, body := range []int{0, 1, 7, 8, 9, 200, 3000, 4000} {
		r := numbered(n, body)
		want = append(want, kept{mustAppend(t, j, r), r})
		mustMaintain(t, j)
	}
	checkPending(t, j, want)

	check := func(j *journal.Journal) {
		t.Helper()
		buffer := []byte("kept")
		for _, w := range want {
			got, err := j.Read(w.at, buffer)
			if err != nil || !sameRecord(got, w.Record) {
				t.Errorf("Read(%v): got %v, %v, want %v", w.at, got, err, w.Record)
			}
		}
		if string(buffer) != "kept" {
			t.Errorf("Read changed what dst held: %q", buffer)
		}
	}
	check(j)
	closeJournal(t, j)
	j = open(t, small(dir))
	check(j)
	checkPending(t, j, want)
}

func TestReadUsesTheSpareCapacity(t *testing.T) {
	j := open(t, small(t.TempDir()))
	at := mustAppend(t, j, numbered(1, 100))
	buffer := make([]byte, 0, 1024)
	for range 20 {
		r, err := j.Read(at, buffer)
		if err != nil {
			t.Fatal(err)
		}
		if &r.Body[0] != &buffer[:1][0] {
			t.Fatal("the body lies elsewhere, want it in dst")
		}
		buffer = r.Body[:0]
	}
}

func TestPendingStopsWhenTold(t *testing.T) {
	j := open(t, small(t.TempDir()))
	for n := range 5 {
		mustAppend(t, j, numbered(n, 10))
	}
	seen := 0
	if err := j.Pending(func(journal.Position, journal.Record) bool { seen++; return seen < 2 }); err != nil {
		t.Fatal(err)
	}
	if seen != 2 {
		t.Errorf("got %d calls, want 2", seen)
	}
}

func TestSettledRecordsStaySettled(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	first := mustAppend(t, j, numbered(1, 50))
	r := numbered(2, 50)
	second := mustAppend(t, j, r)
	for range 2 { // again does nothing
		mustSettle(t, j, first)
	}
	want := []kept{{second, r}}
	checkPending(t, j, want)
	j = open(t, small(crash(t, dir)))
	checkPending(t, j, want)
	mustSettle(t, j, second)
	mustSettle(t, j, second)
	checkPending(t, j, nil)
}

func TestSettledSegmentsVanish(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	perSegment := j.Capacity(100)
	var all []journal.Position
	for n := range 2*perSegment + 1 {
		all = append(all, mustAppend(t, j, numbered(n, 100)))
		mustMaintain(t, j)
	}
	for _, at := range all[:perSegment] {
		mustSettle(t, j, at)
	}
	mustMaintain(t, j)
	if got, want := files(t, dir), []string{"00000002.seg", "00000003.seg", "00000004.seg"}; !slices.Equal(got, want) {
		t.Errorf("got files %v, want %v", got, want)
	}
	mustSettle(t, j, all[0]) // its segment is gone
	if _, err := j.Read(all[0], nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Read of a deleted segment: got %v, want fs.ErrNotExist", err)
	}
	for _, at := range all {
		mustSettle(t, j, at)
	}
	closeJournal(t, j)
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("got files %v after everything was settled, want none", got)
	}
}

func TestCloseKeepsOnlyWhatIsNeeded(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	mustAppend(t, j, numbered(1, 100))
	mustMaintain(t, j)
	closeJournal(t, j)
	if got, want := files(t, dir), []string{"00000001.seg"}; !slices.Equal(got, want) {
		t.Fatalf("got files %v, want %v", got, want)
	}
	info, err := os.Stat(filepath.Join(dir, "00000001.seg"))
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(journal.HeaderSize + 152); info.Size() != want {
		t.Errorf("got %d bytes, want %d, the record without the preallocated rest", info.Size(), want)
	}
}

func TestClosedJournalRefuses(t *testing.T) {
	j := open(t, small(t.TempDir()))
	at := mustAppend(t, j, numbered(1, 10))
	closeJournal(t, j)
	_, appending := j.Append(numbered(2, 10))
	_, reading := j.Read(at, nil)
	pending := j.Pending(func(journal.Position, journal.Record) bool { return true })
	for name, err := range map[string]error{
		"Append": appending, "Read": reading, "Settle": j.Settle(at), "Pending": pending,
	} {
		if !errors.Is(err, journal.ErrUnavailable) {
			t.Errorf("%s: got %v, want ErrUnavailable", name, err)
		}
	}
}

func TestTheBoundHolds(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	var all []journal.Position
	for {
		at, err := j.Append(numbered(len(all), 1000))
		if err != nil {
			if !errors.Is(err, journal.ErrFull) {
				t.Fatalf("got %v, want ErrFull", err)
			}
			break
		}
		all = append(all, at)
		mustMaintain(t, j)
	}
	st := j.Stats()
	if want := 8 * j.Capacity(1000); len(all) < want || !st.Full || st.Unavailable || st.Pending != len(all) {
		t.Errorf("got %d records, %+v, want at least %d and full", len(all), st, want)
	}
	var onDisk int64
	for _, name := range files(t, dir) {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		onDisk += info.Size()
	}
	if onDisk > 32<<10 || onDisk != st.Bytes {
		t.Errorf("got %d bytes on disk, %d in Stats, want the same, at most %d", onDisk, st.Bytes, 32<<10)
	}
	for _, at := range all[:2*j.Capacity(1000)] {
		mustSettle(t, j, at)
	}
	mustMaintain(t, j)
	mustAppend(t, j, numbered(0, 1000))
}

func TestTooLarge(t *testing.T) {
	j := open(t, small(t.TempDir()))
	largest := 4<<10 - journal.HeaderSize - journal.FrameHeader
	if _, err := j.Append(numbered(1, largest+1)); !errors.Is(err, journal.ErrTooLarge) {
		t.Errorf("got %v, want ErrTooLarge", err)
	}
	mustAppend(t, j, numbered(1, largest))
}

func TestSecondOpenerIsRefused(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	_, err := journal.Open(small(dir))
	if !errors.Is(err, journal.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("got %v, want ErrLocked naming %s", err, dir)
	}
	closeJournal(t, j)
	open(t, small(dir))
}

func TestUnwritableFolder(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "below")} {
		if _, err := journal.Open(small(dir)); !errors.Is(err, journal.ErrUnwritable) {
			t.Errorf("Open(%s): got %v, want ErrUnwritable", dir, err)
		}
	}
}

func TestModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	j := open(t, small(dir))
	mustAppend(t, j, numbered(1, 1))
	for path, want := range map[string]fs.FileMode{"": 0o700, "lock": 0o600, "00000001.seg": 0o600} {
		info, err := os.Stat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%q: got mode %o, want %o", path, got, want)
		}
	}
}

func TestSomeoneCutsTheActiveFile(t *testing.T) {
	dir := t.TempDir()
	j := open(t, small(dir))
	mustAppend(t, j, numbered(1, 10))
	if err := os.Truncate(filepath.Join(dir, "00000001.seg"), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(numbered(2, 10)); !errors.Is(err, journal.ErrUnavailable) {
		t.Fatalf("got %v, want ErrUnavailable", err)
	}
	if st := j.Stats(); st.Faults != 1 || !strings.Contains(st.LastError, "00000001.seg") {
		t.Errorf("got %+v, want one fault naming the segment", st)
	}
	mustMaintain(t, j)
	if at := mustAppend(t, j, numbered(3, 10)); at.Segment != 2 {
		t.Errorf("got %v, want the next segment", at)
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := journal.Options{SyncEvery: -1, SegmentBytes: 1}.Validate()
	for _, want := range []string{"folder", "interval", "segments of 1 bytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to mention %q", err, want)
		}
	}
	if err := (journal.Options{Dir: "d", MaxBytes: 1 << 20, SegmentBytes: 1 << 20}).Validate(); err == nil {
		t.Error("got nil for a bound of one segment, want an error")
	}
	for _, o := range []journal.Options{{Dir: "d"}, {Dir: "d", MaxBytes: 8 << 10}, {Dir: "d", MaxBytes: 1<<20 + 1}} {
		if err := o.Validate(); err != nil {
			t.Errorf("%+v: got %v, want nil", o, err)
		}
	}
}
