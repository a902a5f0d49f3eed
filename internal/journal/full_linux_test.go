package journal_test

import (
	"errors"
	"os"
	"syscall"
	"testing"

	"vitrine/internal/journal"
)

// A full disk, not a pretended one, from the start.
func TestOpenOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Skipf("mounting a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmounting: %v", err)
		}
	})
	filler := dir + "/filler"
	if err := os.WriteFile(filler, make([]byte, 60<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(journal.Options{Dir: dir, SegmentBytes: 16 << 10, MaxBytes: 32 << 10})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	defer closeJournal(t, j)
	if _, err := j.Append(numbered(1, 10)); !errors.Is(err, journal.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	if st := j.Stats(); !st.Unavailable || st.Bytes != 0 {
		t.Errorf("got %+v, want it unavailable and nothing allocated", st)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	mustMaintain(t, j)
	mustAppend(t, j, numbered(1, 10))
}
