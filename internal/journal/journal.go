// Package journal keeps records on disk until they are settled: bytes in, bytes out.
//
// A journal is a folder of segments, files that are only ever appended to. The active one has its
// full size from the start and is mapped, so that Append is a copy into memory and makes no system
// call: what it has copied survives the death of the process at any instant (the page cache holds
// it), and a power cut costs at most the last SyncEvery. A record is settled by a mark inside its own
// frame; a segment whose records are all settled is deleted. Nothing else ever is: see recover.go for
// what happens to a damaged file.
//
// Only Append uses the mapping. Reading and settling go through the file (the page cache makes both
// views one), because a goroutine waiting for a disk in a system call gives its processor to others
// and one waiting in a page fault does not.
package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"sync"
)

var (
	// ErrLocked says that another process, or another Journal of this one, holds the folder.
	ErrLocked = errors.New("in use by another process")
	// ErrUnwritable says that the folder cannot be created or locked: a read-only disk, missing
	// rights, no space for even an empty file. The cause is wrapped beside it.
	ErrUnwritable = errors.New("folder not writable")
	// ErrFull says that the journal has reached Options.MaxBytes.
	ErrFull = errors.New("journal full")
	// ErrUnavailable says that there is no segment to append to at this moment: the next one is not
	// ready, the disk fails, or the journal is closed. Stats tells which.
	ErrUnavailable = errors.New("journal unavailable")
	// ErrTooLarge says that a record does not fit into an empty segment.
	ErrTooLarge = errors.New("record larger than a segment")
	// ErrDamaged says that what is stored is not what was appended.
	ErrDamaged = errors.New("record damaged")
)

// Position is where a record lies in its journal, valid until the record is settled, also in
// later openings. The zero Position is no record's.
type Position struct {
	Segment uint32
	Offset  uint32
}

// Record is what the journal keeps. It gives no meaning to any member.
type Record struct {
	ID    [16]byte
	Time  int64  // nanoseconds since 1970; Inspect reports the oldest and newest
	Key   uint64 // the caller's grouping
	Extra uint32 // the caller's
	Body  []byte
}

// Journal is one open folder. Its methods may be called from many goroutines at once.
type Journal struct {
	options Options
	disk    disk
	lock    *os.File
	wake    chan struct{} // has room for one: Run looks at everything whenever it wakes

	syncing sync.Mutex // held during a group's sync; taken before mu

	mu       sync.Mutex // never held across a system call
	segments []*segment // by sequence; the active one is the last, if there is one
	active   *segment   // nil before the first Append
	spare    *segment   // the next active one, ready; nil while it is being prepared
	next     uint32     // sequence of the segment prepared next
	bytes    int64      // of all segment files, the spare and those set aside included
	closed   bool
	stats    Stats // the counters among them; the rest is computed when asked for
}

// disk is what may fail in ways a test cannot provoke on a healthy one.
type disk struct {
	create func(dir string, sequence uint32, size int64) (*segment, error)
	sync   func(*os.File) error
}

// Open locks the folder, which it creates if need be, and reads what an earlier process left in it.
// It starts no goroutine; Run does the work in the background.
//
// Errors are a mistake in the options, ErrLocked, ErrUnwritable, or a segment that cannot be opened.
// A disk that is merely full is not one: the journal opens, can be read and settled, and Append
// returns ErrUnavailable until Run has succeeded in preparing a segment.
func Open(options Options) (*Journal, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	options = options.withDefaults()
	lock, err := lockFolder(options.Dir)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		options: options,
		disk:    disk{create: createSegment, sync: dataSync},
		lock:    lock,
		wake:    make(chan struct{}, 1),
		next:    1,
	}
	if err := j.restore(); err != nil {
		return nil, errors.Join(err, j.Close())
	}
	j.reclaim()
	j.prepare()
	return j, nil
}

// Append stores a record, whose body is copied. It does not wait for a slow disk or a full one:
// when the next segment is not ready it returns ErrUnavailable, or ErrFull at the bound, at once,
// and nothing is stored. (The kernel itself may hold up the first store to a page after a sync: some
// 10 µs, milliseconds while the file system commits.)
//
// With Options.SyncAlways it also waits until the record is synced. If that fails, the error comes
// with a Position: the record is stored, and lost only if the machine loses power.
func (j *Journal) Append(r Record) (Position, error) {
	size := frameSize(len(r.Body))
	if int64(size) > j.options.SegmentBytes-headerSize {
		return Position{}, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(r.Body))
	}
	j.mu.Lock()
	s, err := j.roomLocked(size)
	if err != nil {
		j.mu.Unlock()
		return Position{}, err
	}
	if err := s.put(&r); err != nil {
		j.failedLocked(s, &j.stats.Faults, err)
		j.mu.Unlock()
		return Position{}, ErrUnavailable
	}
	at := Position{Segment: s.sequence, Offset: s.tail}
	s.tail += uint32(size) //nolint:gosec // a segment ends below 1 GiB
	s.pending++
	fresh := !s.dirty
	s.dirty = true
	end := s.tail
	j.mu.Unlock()

	if j.options.SyncAlways {
		return at, j.commit(s, end)
	}
	if fresh {
		j.poke()
	}
	return at, nil
}

// roomLocked returns the segment that takes the next size bytes: the active one, or the spare in its place.
func (j *Journal) roomLocked(size int) (*segment, error) {
	switch {
	case j.closed:
		return nil, ErrUnavailable
	case j.active != nil && j.active.broken == nil && j.active.free() >= size:
		return j.active, nil
	case j.spare != nil:
		j.active, j.spare = j.spare, nil
		j.segments = append(j.segments, j.active)
		j.poke() // for the next spare, and to put the old segment away
		return j.active, nil
	case j.fullLocked():
		return nil, ErrFull
	default:
		return nil, ErrUnavailable
	}
}

// fullLocked reports whether another segment would break the bound.
func (j *Journal) fullLocked() bool {
	return j.spare == nil && j.bytes+j.options.SegmentBytes > j.options.MaxBytes
}

// failedLocked notes a failure of s, which takes no more records from now on: after a failed sync the
// kernel forgets which pages it could not write, so that no later sync could vouch for them.
func (j *Journal) failedLocked(s *segment, counter *uint64, err error) {
	if s.broken == nil {
		s.broken = err
	}
	*counter++
	j.stats.LastError = err.Error()
}

// Read returns the record at a position that Append or Pending gave, settled or not. The body lies
// in dst's spare capacity if its frame fits there. The error is ErrDamaged if the disk returns something
// else than was stored, and fs.ErrNotExist if the record's segment is settled and deleted.
func (j *Journal) Read(at Position, dst []byte) (Record, error) {
	s, tail, err := j.find(at)
	if err != nil {
		return Record{}, err
	}
	r, err := s.read(at.Offset, tail, dst)
	if err == nil {
		return r, nil
	}
	if _, _, gone := j.find(at); gone != nil { // deleted between the calls above
		return Record{}, gone
	}
	return Record{}, fmt.Errorf("reading segment %d at %d: %w", at.Segment, at.Offset, err)
}

// Settle marks the record at a position that Append or Pending gave as done: it is not pending in
// any later opening. Settling again (before Close) does nothing. After an error the record is still pending.
func (j *Journal) Settle(at Position) error {
	s, tail, err := j.find(at)
	changed := false
	if err == nil {
		if changed, err = s.settle(at.Offset, tail); err != nil {
			err = fmt.Errorf("settling in segment %d at %d: %w", at.Segment, at.Offset, err)
			if _, _, gone := j.find(at); gone != nil {
				err = gone
			}
		}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // settled before, and its segment deleted
	}
	if err != nil || !changed {
		return err
	}
	j.mu.Lock()
	s.pending--
	notify := !s.dirty || s.pending == 0
	s.dirty = true
	j.mu.Unlock()
	if notify {
		j.poke()
	}
	return nil
}

// Pending calls yield for every record that is not settled, oldest first, until it returns false. A
// body is valid only during its call. One segment at a time is held in memory. When a segment cannot
// be read to its end the following ones are still visited and the error says so at last; the
// records not seen stay pending for the next opening.
func (j *Journal) Pending(yield func(Position, Record) bool) error {
	type extent struct {
		*segment
		tail uint32
	}
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return ErrUnavailable
	}
	extents := make([]extent, 0, len(j.segments))
	for _, s := range j.segments {
		if s.pending > 0 {
			extents = append(extents, extent{s, s.tail})
		}
	}
	j.mu.Unlock()

	var (
		errs   []error
		buffer []byte
		more   = true
	)
	for _, e := range extents {
		var err error
		buffer, err = readAll(e.file, int64(e.tail), buffer)
		if err != nil && !errors.Is(err, os.ErrClosed) { // closed: settled and deleted meanwhile
			errs = append(errs, fmt.Errorf("reading segment %d: %w", e.sequence, err))
		}
		end := walk(buffer, e.seed, func(offset uint32, f frame) bool {
			if !f.settled() {
				more = yield(Position{e.sequence, offset}, f.record())
			}
			return more
		})
		if !more {
			break
		}
		if end < len(buffer) {
			errs = append(errs, fmt.Errorf("reading segment %d at %d: %w", e.sequence, end, ErrDamaged))
		}
	}
	return errors.Join(errs...)
}

// find returns the segment of a position and where its records end. The error is fs.ErrNotExist when
// it is deleted, ErrUnavailable when the journal is closed.
func (j *Journal) find(at Position) (*segment, uint32, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, 0, ErrUnavailable
	}
	i, found := slices.BinarySearchFunc(j.segments, at.Segment, func(s *segment, sequence uint32) int {
		return cmp.Compare(s.sequence, sequence)
	})
	if !found {
		return nil, 0, fmt.Errorf("segment %d: %w", at.Segment, fs.ErrNotExist)
	}
	return j.segments[i], j.segments[i].tail, nil
}

// Close syncs, closes and unlocks the folder, in which only what is pending or was set aside
// remains. Run must have returned. From now on every method but Stats fails with ErrUnavailable.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	var keep, drop []*segment
	for _, s := range j.segments {
		if s.pending > 0 || s.aside {
			keep = append(keep, s)
		} else {
			drop = append(drop, s)
		}
	}
	if j.spare != nil {
		drop = append(drop, j.spare)
	}
	j.mu.Unlock()

	errs := []error{j.sync()}
	for _, s := range keep {
		if s.memory != nil {
			errs = append(errs, s.shrink())
		}
		errs = append(errs, s.file.Close())
	}
	for _, s := range drop {
		errs = append(errs, s.remove())
	}
	return errors.Join(append(errs, j.lock.Close())...)
}
