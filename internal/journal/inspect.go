package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Report is what a folder holds.
type Report struct {
	Segments []SegmentReport // oldest first; a spare and what was set aside included
}

// SegmentReport is what one segment file holds. Only its longest valid prefix is counted.
type SegmentReport struct {
	Name    string
	Bytes   int64
	Records int
	Pending int       // of Records; the others are settled
	Oldest  time.Time // of Records, by Record.Time; zero if there are none
	Newest  time.Time
	Waiting time.Time // the oldest of those pending; zero if there are none
	Torn    bool      // an unfinished record follows; the next Open cuts it off
	Damaged bool      // what follows, or the whole file, is unreadable; it is or will be set aside
}

// Inspect reads the folder dir and changes nothing. It takes no lock: beside a live journal each
// segment is reported as it was at some instant of the reading.
func Inspect(dir string) (Report, error) {
	entries, err := list(dir)
	if err != nil {
		return Report{}, fmt.Errorf("inspecting the journal %s: %w", dir, err)
	}
	var (
		report Report
		buffer []byte
	)
	for _, e := range entries {
		var s SegmentReport
		s, buffer, err = inspectSegment(filepath.Join(dir, e.name), e, buffer)
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted since it was listed
		}
		if err != nil {
			return report, fmt.Errorf("inspecting the journal: %w", err)
		}
		report.Segments = append(report.Segments, s)
	}
	return report, nil
}

func inspectSegment(path string, e entry, buffer []byte) (SegmentReport, []byte, error) {
	f, err := os.Open(path) //nolint:gosec // the folder asked for
	if err != nil {
		return SegmentReport{}, buffer, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return SegmentReport{}, buffer, err
	}
	found, err := examine(e.sequence, func() ([]byte, error) {
		var err error
		buffer, err = readAll(f, min(info.Size(), maxSegmentBytes), buffer)
		return buffer, err
	})
	s := SegmentReport{
		Name:    e.name,
		Bytes:   info.Size(),
		Records: found.records,
		Pending: found.pending,
		Torn:    found.rest == torn,
		Damaged: e.aside || err != nil || found.rest == damaged || info.Size() > maxSegmentBytes,
	}
	if found.records > 0 {
		s.Oldest, s.Newest = time.Unix(0, found.oldest), time.Unix(0, found.newest)
	}
	if found.pending > 0 {
		s.Waiting = time.Unix(0, found.waiting)
	}
	return s, buffer, nil
}

// examine scans what read returns. A live journal may append during a reading, which then shows the
// place of a record as it was before, and what came behind it as it was after; so a file that does not
// look right is read again. Records that have come to light meanwhile explain what looked wrong.
func examine(sequence uint32, read func() ([]byte, error)) (scan, error) {
	data, err := read()
	first := scanSegment(data, sequence)
	if err != nil || first.rest == nothing {
		return first, err
	}
	data, err = read()
	second := scanSegment(data, sequence)
	if second.end > first.end {
		second.rest = nothing
	}
	return second, err
}
