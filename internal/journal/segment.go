package journal

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
)

// segment is one file. The members of the second group are guarded by the journal's mu.
type segment struct {
	sequence uint32
	seed     uint32
	file     *os.File
	path     string
	aside    bool   // damaged, so neither cut nor deleted
	memory   []byte // the mapping, for put alone; nil when no record will be appended (any more)

	tail    uint32 // where the next frame goes
	synced  uint32 // records that end here or before survive a power cut
	pending int
	dirty   bool  // something was stored since the last sync began
	broken  error // why no record may be appended (any more), though there is room
	size    int64 // of the file

	marking sync.Mutex // makes reading and writing a mark one step
}

// createSegment makes an empty segment ready: allocated, mapped, and synced under its name, so that
// an Append has nothing left to wait for. Until then the file has a name that is no segment's.
func createSegment(dir string, sequence uint32, size int64) (*segment, error) {
	path := filepath.Join(dir, unfinished)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600) //nolint:gosec // the configured folder
	if err != nil {
		return nil, fmt.Errorf("preparing a segment: %w", err)
	}
	s := &segment{sequence: sequence, file: f, path: path, tail: headerSize, synced: headerSize, size: size}
	if err := s.fill(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("preparing a segment of %d bytes: %w", size, err), s.remove())
	}
	return s, nil
}

// fill gives a new file its room, its header and its name.
func (s *segment) fill(dir string) error {
	if err := allocate(s.file, s.size); err != nil {
		return err
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	header := appendHeader(nil, s.sequence, random)
	s.seed = binary.LittleEndian.Uint32(header[headerSize-4:])
	if _, err := s.file.WriteAt(header, 0); err != nil {
		return err
	}
	if err := s.mapFile(); err != nil {
		return err
	}
	if err := dataSync(s.file); err != nil {
		return err
	}
	path := filepath.Join(dir, segmentName(s.sequence))
	if err := os.Rename(s.path, path); err != nil {
		return err
	}
	s.path = path
	return syncFolder(dir)
}

func (s *segment) mapFile() error {
	return withDescriptor(s.file, func(fd int) (err error) {
		s.memory, err = syscall.Mmap(fd, 0, int(s.size), syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
		return err
	})
}

// unmap ends appending. The pages stay in the page cache and reach the disk by themselves.
func (s *segment) unmap() error {
	if s.memory == nil {
		return nil
	}
	err := syscall.Munmap(s.memory)
	s.memory = nil
	return err
}

// free is the room left for frames.
func (s *segment) free() int {
	return len(s.memory) - int(s.tail)
}

// put stores r at the tail. The kernel reports a page it cannot supply (a file cut by someone else,
// a failing disk) as a fault, which is fatal to a Go program unless it asks for a panic instead.
func (s *segment) put(r *Record) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			fault, ok := p.(interface{ Addr() uintptr })
			if !ok {
				panic(p)
			}
			err = fmt.Errorf("writing to %s: memory fault at %#x", s.path, fault.Addr())
		}
	}()
	putFrame(s.memory[s.tail:], s.seed, r)
	return nil
}

// header reads the fixed part of the frame at offset and checks that a frame can lie there.
func (s *segment) header(offset, tail uint32) (frame, error) {
	h := make(frame, frameHeader)
	if err := s.begin(h, offset, tail); err != nil {
		return nil, err
	}
	return h, nil
}

// begin reads what a frame at offset begins with, at least its fixed part, and checks that a frame
// can lie there.
func (s *segment) begin(head frame, offset, tail uint32) error {
	if offset < headerSize || offset%alignment != 0 || int64(offset)+int64(len(head)) > int64(tail) {
		return ErrDamaged
	}
	if _, err := s.file.ReadAt(head, int64(offset)); err != nil {
		return err
	}
	if n := head.length(); n < frameHeader || int64(offset)+int64(n) > int64(tail) {
		return ErrDamaged
	}
	return nil
}

// usualFrame is what most frames fit into, in bytes: they are read at once.
const usualFrame = 512

// read returns the record at offset, its body in dst's spare capacity if it fits there.
func (s *segment) read(offset, tail uint32, dst []byte) (Record, error) {
	start := len(dst)
	first := max(frameHeader, min(usualFrame, int(tail)-int(offset)))
	dst = slices.Grow(dst, first)[:start+first]
	if err := s.begin(dst[start:], offset, tail); err != nil {
		return Record{}, err
	}
	n := int(frame(dst[start:]).length())
	if n > first {
		dst = slices.Grow(dst, n-first)[:start+n]
		if _, err := s.file.ReadAt(dst[start+first:], int64(offset)+int64(first)); err != nil {
			return Record{}, err
		}
	}
	f := frame(dst[start : start+n])
	if !f.intact(s.seed) {
		return Record{}, ErrDamaged
	}
	r := f.record()
	r.Body = append(dst[start:start], r.Body...) // where the frame began, so that dst serves again and again
	return r, nil
}

// settle writes the mark of the frame at offset and reports whether it was not there before.
func (s *segment) settle(offset, tail uint32) (changed bool, err error) {
	s.marking.Lock()
	defer s.marking.Unlock()
	h, err := s.header(offset, tail)
	if err != nil || h.settled() {
		return false, err
	}
	mark := binary.LittleEndian.AppendUint32(nil, settledMark(h.crc()))
	if _, err := s.file.WriteAt(mark, int64(offset)+markAt); err != nil {
		return false, err
	}
	return true, nil
}

// shrink ends appending and gives back what was allocated beyond the tail.
func (s *segment) shrink() error {
	if err := s.unmap(); err != nil {
		return err
	}
	return s.file.Truncate(int64(s.tail))
}

// remove closes and deletes the file. That it is gone already is as good.
func (s *segment) remove() error {
	err := os.Remove(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, s.unmap(), s.file.Close())
}

// readAll reads the first n bytes of f into buffer, which grows if need be, and returns as much as
// can be read.
func readAll(f *os.File, n int64, buffer []byte) ([]byte, error) {
	buffer = slices.Grow(buffer[:0], int(n))[:n]
	got, err := io.ReadFull(io.NewSectionReader(f, 0, n), buffer)
	return buffer[:got], err
}
