package journal

import (
	"errors"
	"fmt"
	"time"
)

const (
	minSegmentBytes = 4 << 10
	maxSegmentBytes = 1 << 30
)

// Options says where a journal lies and what bounds it. Only Dir is required.
type Options struct {
	// Dir is the folder. It is created with mode 0700 if it is missing; files have mode 0600.
	Dir string

	// MaxBytes bounds the sizes of all segment files together, what is preallocated and what was
	// set aside as damaged included. At the bound Append returns ErrFull. Files set aside are never
	// deleted to make room. At least twice SegmentBytes; 256 MiB if zero.
	MaxBytes int64

	// SegmentBytes is the size of a segment, rounded up to 4 KiB: from 4 KiB to 1 GiB. If zero, an
	// eighth of MaxBytes, at most 8 MiB: large enough that the next segment is ready long before
	// this one is full, small enough that one late record does not keep much of the bound.
	SegmentBytes int64

	// SyncEvery is the longest that Run leaves a record unsynced: 10 ms if zero.
	SyncEvery time.Duration

	// SyncAlways makes every Append wait until its record is synced. Those that wait at the same
	// time share a sync.
	SyncAlways bool
}

// Validate reports every mistake in o at once.
func (o Options) Validate() error {
	var errs []error
	if o.Dir == "" {
		errs = append(errs, errors.New("journal: no folder given"))
	}
	if o.SyncEvery < 0 {
		errs = append(errs, fmt.Errorf("journal: sync interval %v is negative", o.SyncEvery))
	}
	if o.SegmentBytes != 0 && (o.SegmentBytes < minSegmentBytes || o.SegmentBytes > maxSegmentBytes) {
		errs = append(errs, fmt.Errorf("journal: segments of %d bytes are outside %d to %d",
			o.SegmentBytes, minSegmentBytes, maxSegmentBytes))
	} else if d := o.withDefaults(); d.MaxBytes < 2*d.SegmentBytes {
		errs = append(errs, fmt.Errorf("journal: a bound of %d bytes is below two segments, %d",
			d.MaxBytes, 2*d.SegmentBytes))
	}
	return errors.Join(errs...)
}

func (o Options) withDefaults() Options {
	if o.MaxBytes == 0 {
		o.MaxBytes = 256 << 20
	}
	if o.SegmentBytes == 0 {
		o.SegmentBytes = min(max(o.MaxBytes/8, minSegmentBytes), 8<<20)
		o.SegmentBytes -= o.SegmentBytes % minSegmentBytes
	}
	o.SegmentBytes = (o.SegmentBytes + minSegmentBytes - 1) / minSegmentBytes * minSegmentBytes
	if o.SyncEvery == 0 {
		o.SyncEvery = 10 * time.Millisecond
	}
	return o
}
