package rig

import (
	"strings"
	"testing"
	"time"
)

func TestMetrics(t *testing.T) {
	m := parseMetrics(`# HELP vitrine_events_accepted_total Events.
vitrine_events_accepted_total 9
vitrine_events_delivered_total 4
vitrine_events_dropped_total{reason="full"} 1
vitrine_events_dropped_total{reason="disk"} 2
vitrine_events_pending 1
rubbish
`)
	e := m.Events()
	want := Events{Accepted: 9, Delivered: 4, Dropped: 3, Pending: 1}
	if e != want {
		t.Errorf("got %+v, want %+v", e, want)
	}
	if got := e.Unbalanced(); got != 1 {
		t.Errorf("got %d unbalanced, want 1", got)
	}
	if got := e.Add(e).Dropped; got != 6 {
		t.Errorf("got %d dropped of two, want 6", got)
	}
}

// A command's name may hold spaces and brackets; what counts comes behind the last.
func TestProcessTimes(t *testing.T) {
	stat := "42 (a ) 7 b) S 1 42 42 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 9 0 100 1 2"
	if got, want := cpuOf(stat), 2*time.Second; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := residentOf(strings.NewReader("Name:\tx\nVmRSS:\t  2048 kB\n")), int64(2<<20); got != want {
		t.Errorf("got %d bytes, want %d", got, want)
	}
}

func TestTailKeepsWholeLines(t *testing.T) {
	var seen []string
	l := &tail{watch: func(line string) { seen = append(seen, line) }}
	for _, piece := range []string{"fir", "st\nsec", "ond\nthird"} {
		_, _ = l.Write([]byte(piece))
	}
	if got, want := strings.Join(seen, "|"), "first|second"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
