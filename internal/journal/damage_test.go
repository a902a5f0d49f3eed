package journal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"vitrine/internal/journal"
)

// sample is a folder of three segments, as a killed process leaves it. Every third record is settled.
type sample struct {
	records [3][]kept // by segment; numbered from 1
	content [3][]byte
}

func settledInSample(r kept) bool { return r.Extra%3 == 0 }

func newSample(tb testing.TB) sample {
	tb.Helper()
	dir := tb.TempDir()
	j := open(tb, small(dir))
	var s sample
	for n := 1; len(s.records[2]) < 5; n++ {
		r := numbered(n, 500+17*n)
		k := kept{mustAppend(tb, j, r), r}
		i := k.at.Segment - 1
		s.records[i] = append(s.records[i], k)
		if settledInSample(k) {
			mustSettle(tb, j, k.at)
		}
		mustMaintain(tb, j)
	}
	copied := crash(tb, dir)
	for i := range s.content {
		content, err := os.ReadFile(filepath.Join(copied, names[i]))
		if err != nil {
			tb.Fatal(err)
		}
		s.content[i] = content
	}
	return s
}

var names = [...]string{"00000001.seg", "00000002.seg", "00000003.seg"}

// write puts the sample into a new folder, with other content for one segment.
func (s sample) write(tb testing.TB, segment int, content []byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for i := range s.content {
		c := s.content[i]
		if i == segment {
			c = content
		}
		if err := os.WriteFile(filepath.Join(dir, names[i]), c, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

// flip is the law for one byte changed to something else: the records of the longest valid
// prefix that must be pending, and whether what cannot be read is followed by records.
func (s sample) flip(segment, at int) (want []kept, aside bool) {
	if at < journal.HeaderSize {
		return nil, true
	}
	for i, r := range s.records[segment] {
		start := int(r.at.Offset)
		inMark := start+journal.MarkAt <= at && at < start+journal.MarkAt+4
		inFrame := start <= at && at < start+journal.FrameHeader+len(r.Body)
		switch {
		case inMark && settledInSample(r):
			want = append(want, r) // repeated, not lost
		case inFrame && !inMark:
			return want, i < len(s.records[segment])-1
		case !settledInSample(r):
			want = append(want, r)
		}
	}
	return want, false
}

// cut is the law for a file of which only the first n bytes are left.
func (s sample) cut(segment, n int) (want []kept, aside bool) {
	if n < journal.HeaderSize {
		return nil, true
	}
	for _, r := range s.records[segment] {
		if int(r.at.Offset)+journal.FrameHeader+len(r.Body) <= n && !settledInSample(r) {
			want = append(want, r)
		}
	}
	return want, false
}

// others puts the pending records of the untouched segments around those of the changed one.
func (s sample) others(segment int, want []kept) []kept {
	var all []kept
	for i := range s.records {
		if i == segment {
			all = append(all, want...)
			continue
		}
		for _, r := range s.records[i] {
			if !settledInSample(r) {
				all = append(all, r)
			}
		}
	}
	return all
}

// check opens a folder with one changed segment and checks the law, and that the next opening agrees.
func (s sample) check(t *testing.T, segment int, content []byte, want []kept, aside bool) {
	t.Helper()
	dir := s.write(t, segment, content)
	want = s.others(segment, want)
	for range 2 {
		j := open(t, small(dir))
		checkPending(t, j, want)
		for _, w := range want {
			if r, err := j.Read(w.at, nil); err != nil || !sameRecord(r, w.Record) {
				t.Fatalf("Read(%v): got %v, %v, want %v", w.at, r, err, w.Record)
			}
		}
		if got := j.Stats().Damaged == 1; got != aside {
			t.Fatalf("got set aside %v, want %v", got, aside)
		}
		closeJournal(t, j)
		if aside {
			s.checkAside(t, dir, segment, content)
		}
	}
	settleAll(t, dir)
	if aside {
		s.checkAside(t, dir, segment, content)
	}
}

// checkAside checks that the damaged file is there as it was found, marks aside.
func (s sample) checkAside(t *testing.T, dir string, segment int, content []byte) {
	t.Helper()
	got, err := os.ReadFile(filepath.Join(dir, names[segment]+".damaged"))
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(content)
	for _, r := range s.records[segment] {
		from := min(int(r.at.Offset)+journal.MarkAt, len(want))
		to := min(from+4, len(want))
		copy(want[from:to], got[from:])
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the file set aside has been changed")
	}
}

func settleAll(t *testing.T, dir string) {
	t.Helper()
	j := open(t, small(dir))
	for _, r := range pending(t, j) {
		mustSettle(t, j, r.at)
	}
	closeJournal(t, j)
	if left := slices.DeleteFunc(files(t, dir), func(name string) bool { return filepath.Ext(name) == ".damaged" }); len(left) > 0 {
		t.Fatalf("got files %v after everything was settled, want none", left)
	}
}

// Any byte of any segment changed or cut leaves the longest valid prefix of that segment and all of the others.
func FuzzDamage(f *testing.F) {
	s := newSample(f)
	f.Add(byte(0), uint16(0), byte(1))
	f.Add(byte(1), uint16(journal.HeaderSize), byte(0xff))
	f.Add(byte(1), s.middle(1)+journal.MarkAt, byte(1))
	f.Add(byte(1), s.middle(1)+journal.FrameHeader, byte(1))
	f.Add(byte(2), uint16(4095), byte(1))
	f.Add(byte(2), s.middle(2), byte(0))
	f.Add(byte(0), uint16(10), byte(0))
	f.Fuzz(func(t *testing.T, segment byte, at uint16, change byte) {
		i := int(segment) % len(s.content)
		n := int(at) % len(s.content[i])
		content := bytes.Clone(s.content[i])
		if change == 0 {
			want, aside := s.cut(i, n)
			s.check(t, i, content[:n], want, aside)
			return
		}
		content[n] ^= change
		want, aside := s.flip(i, n)
		s.check(t, i, content, want, aside)
	})
}

func (s sample) isMark(segment, at int) bool {
	return slices.ContainsFunc(s.records[segment], func(r kept) bool {
		mark := int(r.at.Offset) + journal.MarkAt
		return mark <= at && at < mark+4
	})
}

func everyByte() []byte {
	var all [256]byte
	for i := range all {
		all[i] = byte(i)
	}
	return all[:]
}

// middle is the offset of a record with others around it.
func (s sample) middle(segment int) uint16 {
	return uint16(s.records[segment][2].at.Offset)
}

// Inspect reads as Open does, so that every byte can be tried without opening thousands of journals.
func TestEveryByte(t *testing.T) {
	s := newSample(t)
	const segment = 1
	dir := t.TempDir()
	content := s.content[segment]
	path := filepath.Join(dir, names[segment])
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	check := func(what string, at int, want []kept, aside bool) {
		t.Helper()
		report, err := journal.Inspect(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := report.Segments[0]; got.Pending != len(want) || got.Damaged != aside {
			t.Fatalf("byte %d %s: got %+v, want %d pending, damaged %v", at, what, got, len(want), aside)
		}
	}
	for at, was := range content {
		changes := []byte{was ^ 1, ^was, 0}
		if s.isMark(segment, at) {
			changes = everyByte()
		}
		for _, changed := range changes {
			if _, err := f.WriteAt([]byte{changed}, int64(at)); err != nil {
				t.Fatal(err)
			}
			if want, aside := s.flip(segment, at); changed != was {
				check("changed", at, want, aside)
			}
		}
		if _, err := f.WriteAt([]byte{was}, int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	for at := len(content); at >= 0; at-- {
		if err := f.Truncate(int64(at)); err != nil {
			t.Fatal(err)
		}
		want, aside := s.cut(segment, at)
		check("cut", at, want, aside)
	}
}

func TestNothingSetAsideIsOverwritten(t *testing.T) {
	s := newSample(t)
	content := bytes.Clone(s.content[1])
	content[s.middle(1)+journal.FrameHeader]++
	want, _ := s.flip(1, int(s.middle(1))+journal.FrameHeader)
	dir := s.write(t, 1, content)
	taken := filepath.Join(dir, names[1]+".damaged")
	if err := os.WriteFile(taken, []byte("an earlier one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		j := open(t, small(dir))
		checkPending(t, j, s.others(1, want))
		if got := j.Stats().Damaged; got != 2 {
			t.Errorf("got %d damaged, want 2", got)
		}
		closeJournal(t, j)
		if got, err := os.ReadFile(taken); err != nil || string(got) != "an earlier one" {
			t.Errorf("got %q, %v, want it untouched", got, err)
		}
	}
}

// Somebody repaired a segment beside the one set aside: its records come once, from the repaired one.
func TestARepairedSegmentGoesFirst(t *testing.T) {
	s := newSample(t)
	dir := s.write(t, 1, s.content[1])
	aside := filepath.Join(dir, names[1]+".damaged")
	if err := os.WriteFile(aside, s.content[1], 0o600); err != nil {
		t.Fatal(err)
	}
	want := slices.DeleteFunc(slices.Clone(s.records[1]), settledInSample)
	checkPending(t, open(t, small(dir)), s.others(1, want))
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	foreign := []string{"1.seg", "00000000.seg", "00000001.seg.bak", "lost+found", "notes.txt"}
	for _, name := range foreign {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closeJournal(t, open(t, small(dir)))
	slices.Sort(foreign)
	if got := files(t, dir); !slices.Equal(got, foreign) {
		t.Errorf("got files %v, want %v", got, foreign)
	}
}

// A body is whatever a caller sends. That it looks like the frame of another segment must not make a
// torn tail look damaged, or damage look like a record.
func TestABodyCannotPassForAFrame(t *testing.T) {
	s := newSample(t)
	stored := s.content[0][s.records[0][1].at.Offset:][:600]
	dir := t.TempDir()
	j := open(t, small(dir))
	whole := journal.Record{Body: bytes.Repeat([]byte{0}, 16)}
	at := mustAppend(t, j, whole)
	last := mustAppend(t, j, journal.Record{Body: stored})
	dir = crash(t, dir)
	f, err := os.OpenFile(filepath.Join(dir, names[0]), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte{1}, int64(last.Offset)+16); err != nil { // the id
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, small(dir))
	checkPending(t, j, []kept{{at, whole}})
	if st := j.Stats(); st.Torn != 1 || st.Damaged != 0 {
		t.Errorf("got %+v, want one torn and none damaged", st)
	}
}

// What became unreadable after the opening is reported; the other segments' records are still seen.
func TestPendingReportsDamage(t *testing.T) {
	s := newSample(t)
	dir := s.write(t, 0, s.content[0])
	j := open(t, small(dir))
	f, err := os.OpenFile(filepath.Join(dir, names[1]), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	at := s.records[1][2].at
	if _, err := f.WriteAt([]byte{0xff}, int64(at.Offset)+journal.FrameHeader); err != nil {
		t.Fatal(err)
	}
	want, _ := s.flip(1, int(at.Offset)+journal.FrameHeader)
	want = s.others(1, want)
	seen := 0
	err = j.Pending(func(journal.Position, journal.Record) bool { seen++; return true })
	if !errors.Is(err, journal.ErrDamaged) || seen != len(want) {
		t.Errorf("got %v after %d records, want ErrDamaged after %d", err, seen, len(want))
	}
	if _, err := j.Read(at, nil); !errors.Is(err, journal.ErrDamaged) {
		t.Errorf("Read: got %v, want ErrDamaged", err)
	}
}
