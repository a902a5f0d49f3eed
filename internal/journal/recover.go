package journal

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What an opening does with each segment it finds:
//
//   - The longest valid prefix of its frames is read; those not settled are pending.
//   - Zeros after it are room never used and are cut off.
//   - So is the torn beginning of a frame, which only a power cut leaves: its Append was never synced.
//   - A file whose header is wrong, or in which whole frames follow what cannot be read, is damaged.
//     It is set aside by a rename to *.damaged, and from then on neither cut nor deleted, by this
//     opening or a later one: somebody may want to look at the rest. Its prefix counts like any other.
//     (A power cut can do this too, if the disk had written a later page before an earlier one.)
//   - A file of which nothing is pending, and which is not damaged, is deleted.
//
// No record is ever appended to a segment of an earlier opening.

const (
	segmentSuffix = ".seg"
	asideSuffix   = ".damaged"
	unfinished    = "next.tmp" // the segment being prepared; one a crash left behind is overwritten
)

func segmentName(sequence uint32) string {
	return fmt.Sprintf("%08d%s", sequence, segmentSuffix)
}

// entry is a segment file found in a folder.
type entry struct {
	name     string
	sequence uint32
	aside    bool
}

// list returns the segment files of dir by sequence. A file set aside comes after one of its own
// sequence, which somebody must have copied there.
func list(dir string) ([]entry, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var entries []entry
	for _, f := range files {
		name, aside := strings.CutSuffix(f.Name(), asideSuffix)
		sequence, err := strconv.ParseUint(strings.TrimSuffix(name, segmentSuffix), 10, 32)
		if err == nil && sequence > 0 && name == segmentName(uint32(sequence)) && f.Type().IsRegular() {
			entries = append(entries, entry{f.Name(), uint32(sequence), aside})
		}
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(a.sequence, b.sequence) })
	return entries, nil
}

// scan is what the content of a segment file says.
type scan struct {
	seed    uint32
	end     int // of the longest valid prefix
	records int
	pending int
	oldest  int64 // Record.Time, if there are records
	newest  int64
	waiting int64 // the oldest Record.Time of those pending, if there are any
	rest    remains
}

// scanSegment examines data, the content of the segment file of that sequence.
func scanSegment(data []byte, sequence uint32) scan {
	seed, ok := parseHeader(data, sequence)
	if !ok {
		return scan{rest: damaged}
	}
	s := scan{seed: seed}
	s.end = walk(data, seed, func(_ uint32, f frame) bool {
		s.oldest, s.newest = min(s.oldest, f.time()), max(s.newest, f.time())
		if s.records == 0 {
			s.oldest, s.newest = f.time(), f.time()
		}
		s.records++
		if !f.settled() {
			if s.pending == 0 || f.time() < s.waiting {
				s.waiting = f.time()
			}
			s.pending++
		}
		return true
	})
	s.rest = judge(data[s.end:], seed)
	return s
}

// restore takes over what the folder holds, oldest first. It changes nothing but the names of damaged
// files: cutting and deleting are reclaim's.
func (j *Journal) restore() error {
	entries, err := list(j.options.Dir)
	if err != nil {
		return fmt.Errorf("listing the journal %s: %w", j.options.Dir, err)
	}
	var buffer []byte
	for _, e := range entries {
		j.next = max(j.next, e.sequence+1)
		if buffer, err = j.restoreSegment(e, buffer); err != nil {
			return fmt.Errorf("opening the journal segment %s: %w", filepath.Join(j.options.Dir, e.name), err)
		}
	}
	return nil
}

// restoreSegment takes over one file, reading it into buffer, which it returns for the next one. What
// cannot be read of a file counts as damaged; one that cannot even be opened is an error.
func (j *Journal) restoreSegment(e entry, buffer []byte) ([]byte, error) {
	s := &segment{sequence: e.sequence, path: filepath.Join(j.options.Dir, e.name), aside: e.aside}
	var err error
	if s.file, err = os.OpenFile(s.path, os.O_RDWR, 0); err != nil {
		return nil, err
	}
	info, err := s.file.Stat()
	if err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	s.size = info.Size()
	buffer, err = readAll(s.file, min(s.size, maxSegmentBytes), buffer)
	found := scanSegment(buffer, e.sequence)
	s.seed, s.pending, s.tail = found.seed, found.pending, uint32(found.end) //nolint:gosec // below 1 GiB
	s.synced = s.tail
	if err != nil || found.rest == damaged || s.size > maxSegmentBytes {
		s.setAside()
	}
	return buffer, j.adopt(s, found)
}

// adopt adds a segment to those of the journal. Of a damaged one only the size counts if nothing in
// it is pending, or if there is another of its sequence, whose positions it must not share.
func (j *Journal) adopt(s *segment, found scan) error {
	j.bytes += s.size
	if s.aside {
		j.stats.Damaged++
		last := len(j.segments) - 1
		if s.pending == 0 || last >= 0 && j.segments[last].sequence == s.sequence {
			return s.file.Close()
		}
	} else if found.rest == torn {
		j.stats.Torn++
	}
	j.segments = append(j.segments, s)
	return nil
}

// setAside protects the file of a damaged segment. Its new name tells people and later openings; if it
// cannot be given, or is taken, those come to the same judgement again.
func (s *segment) setAside() {
	if s.aside {
		return
	}
	s.aside = true
	path := s.path + asideSuffix
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if os.Rename(s.path, path) == nil {
		s.path = path
	}
}
