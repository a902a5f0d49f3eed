package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"
)

// retryAfter is how long Run waits after a failure of the disk before it tries again.
const retryAfter = time.Second

// Run prepares segments ahead of need, syncs what is new every SyncEvery, and deletes segments whose
// records are all settled. It returns when ctx ends, after a last sync, whose error is its own; a disk
// that hangs holds it up. Any other failure is counted in Stats and tried again.
func (j *Journal) Run(ctx context.Context) error {
	var syncDue, retry <-chan time.Time
	for {
		if retry == nil {
			if reclaimed, prepared := j.reclaim(), j.prepare(); !reclaimed || !prepared {
				retry = time.After(retryAfter) // and not before, however often it wakes
			}
		}
		if syncDue == nil && j.dirty() {
			syncDue = time.After(j.options.SyncEvery)
		}
		select {
		case <-j.wake:
		case <-retry:
			retry = nil
		case <-syncDue:
			syncDue = nil
			_ = j.sync() // counted
		case <-ctx.Done():
			return j.sync()
		}
	}
}

// poke makes Run look again. It never blocks: one pending wake-up is as good as many.
func (j *Journal) poke() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// prepare creates the spare segment if there is none and the bound allows one. It reports false if the disk failed.
func (j *Journal) prepare() bool {
	size := j.options.SegmentBytes
	j.mu.Lock()
	if j.spare != nil || j.fullLocked() {
		j.mu.Unlock()
		return true
	}
	j.bytes += size
	sequence := j.next
	j.mu.Unlock()

	s, err := j.disk.create(j.options.Dir, sequence, size)

	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Unavailable = err != nil
	if err != nil {
		j.bytes -= size
		j.stats.PrepareErrors++
		j.stats.LastError = err.Error()
		return false
	}
	j.spare = s
	j.next++
	return true
}

// reclaim puts away the segments that are not appended to: it unmaps them, cuts off what they did not
// use, and deletes those whose records are all settled. It reports false if the disk failed.
func (j *Journal) reclaim() bool {
	j.mu.Lock()
	var sealed, settled []*segment
	for _, s := range j.segments {
		switch {
		case s == j.active || s.aside:
		case s.pending == 0:
			settled = append(settled, s)
		case s.memory != nil || s.size > int64(s.tail):
			sealed = append(sealed, s)
		}
	}
	j.mu.Unlock()

	var errs []error
	for _, s := range sealed {
		errs = append(errs, s.shrink())
		j.resize(s, int64(s.tail))
	}
	for _, s := range settled {
		if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
			continue
		}
		j.resize(s, 0)
		errs = append(errs, s.unmap(), s.file.Close())
	}
	err := errors.Join(errs...)
	if err != nil {
		j.mu.Lock()
		j.stats.LastError = err.Error()
		j.mu.Unlock()
	}
	return err == nil
}

// resize accounts for the new size of a segment's file; one of size 0 exists no more.
func (j *Journal) resize(s *segment, size int64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.bytes += size - s.size
	s.size = size
	if size == 0 {
		j.segments = slices.DeleteFunc(j.segments, func(other *segment) bool { return other == s })
	}
}

// dirty reports whether there is something to sync.
func (j *Journal) dirty() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.ContainsFunc(j.segments, func(s *segment) bool { return s.dirty })
}

// commit returns when the records of s up to end are synced. Whoever comes while another syncs waits, and
// then finds its record unsynced and syncs for all that wait, or finds nothing left to do.
func (j *Journal) commit(s *segment, end uint32) error {
	_ = j.sync() // what it says about s follows
	j.mu.Lock()
	defer j.mu.Unlock()
	if s.synced < end {
		return fmt.Errorf("record not synced: %w", s.broken)
	}
	return nil
}

// sync makes everything stored so far survive a power cut.
func (j *Journal) sync() error {
	j.syncing.Lock()
	defer j.syncing.Unlock()
	type extent struct {
		*segment
		tail uint32
	}
	var extents []extent
	j.mu.Lock()
	for _, s := range j.segments {
		if s.dirty {
			s.dirty = false
			extents = append(extents, extent{s, s.tail})
		}
	}
	j.mu.Unlock()

	var errs []error
	for _, e := range extents {
		err := j.disk.sync(e.file)
		if errors.Is(err, os.ErrClosed) { // all settled and deleted meanwhile
			err = nil
		}
		j.mu.Lock()
		if err != nil {
			err = fmt.Errorf("syncing segment %d: %w", e.sequence, err)
			j.failedLocked(e.segment, &j.stats.SyncErrors, err)
			errs = append(errs, err)
		} else if e.broken == nil {
			e.synced = e.tail
		}
		j.mu.Unlock()
	}
	return errors.Join(errs...)
}
