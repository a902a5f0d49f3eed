//go:build !race

package journal_test

import (
	"bytes"
	"testing"

	"vitrine/internal/journal"
)

func TestAppendAllocatesNothing(t *testing.T) {
	j := openForAppend(t)
	r := journal.Record{Body: bytes.Repeat([]byte("b"), 200)}
	got := testing.AllocsPerRun(1000, func() {
		if _, err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	})
	if got != 0 {
		t.Errorf("got %v allocations, want 0", got)
	}
}
