package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// A segment is a header and then frames, each beginning at a multiple of 8:
//
//	header   8  magic, whose last byte is the version
//	         4  sequence, the number in the file's name
//	         8  random
//	         4  CRC-32C of the above, the segment's seed
//
//	frame    4  length of the frame without padding; 0: no more frames
//	         4  CRC-32C of everything after the mark, begun at the seed XOR the length
//	         4  mark: 0 while pending, settledMark when settled
//	         4  extra
//	        16  id
//	         8  time
//	         8  key
//	            body, then zeros up to a multiple of 8
//
// Numbers are little-endian. The seed binds a frame to its segment: neither a body that contains a
// frame nor a stale block of an older file can pass for one of this segment's.
const (
	magic       = "journal\x01"
	headerSize  = 24
	frameHeader = 48
	alignment   = 8

	lengthAt = 0
	crcAt    = 4
	markAt   = 8
	extraAt  = 12
	idAt     = 16
	timeAt   = 32
	keyAt    = 40
)

// checksum continues a CRC-32C over p.
func checksum(crc uint32, p []byte) uint32 {
	return crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), p)
}

// appendHeader encodes a segment's header, whose last member is the seed.
func appendHeader(dst []byte, sequence uint32, random [8]byte) []byte {
	start := len(dst)
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, sequence)
	dst = append(dst, random[:]...)
	return binary.LittleEndian.AppendUint32(dst, checksum(0, dst[start:]))
}

// parseHeader returns the seed of a segment, and false if this is not the one of that sequence.
func parseHeader(data []byte, sequence uint32) (seed uint32, ok bool) {
	if len(data) < headerSize || string(data[:len(magic)]) != magic {
		return 0, false
	}
	seed = binary.LittleEndian.Uint32(data[headerSize-4:])
	return seed, seed == checksum(0, data[:headerSize-4]) &&
		sequence == binary.LittleEndian.Uint32(data[len(magic):])
}

// frameSize is what a record takes in its segment, padding included.
func frameSize(body int) int {
	return pad(frameHeader + body)
}

func pad(n int) int {
	return (n + alignment - 1) / alignment * alignment
}

// settledMark is the mark of a settled frame. None of its bytes is zero, so that damage to fewer than
// all four cannot make a pending record look settled; the other way round a record is merely repeated.
func settledMark(crc uint32) uint32 {
	return crc | 0x01010101
}

// putFrame encodes r into dst, zeros until now and at least a frame long. The length comes last: a
// process that dies in here leaves no frame.
func putFrame(dst []byte, seed uint32, r *Record) {
	n := frameHeader + len(r.Body)
	length := uint32(n) //nolint:gosec // at most a segment, below 1 GiB
	binary.LittleEndian.PutUint32(dst[extraAt:], r.Extra)
	copy(dst[idAt:timeAt], r.ID[:])
	binary.LittleEndian.PutUint64(dst[timeAt:], uint64(r.Time)) //nolint:gosec // the same 64 bits
	binary.LittleEndian.PutUint64(dst[keyAt:], r.Key)
	copy(dst[frameHeader:n], r.Body)
	binary.LittleEndian.PutUint32(dst[crcAt:], checksum(seed^length, dst[extraAt:n]))
	binary.LittleEndian.PutUint32(dst[lengthAt:], length)
}

// frame is an encoded record without its padding.
type frame []byte

func (f frame) length() uint32 { return binary.LittleEndian.Uint32(f[lengthAt:]) }
func (f frame) crc() uint32    { return binary.LittleEndian.Uint32(f[crcAt:]) }
func (f frame) mark() uint32   { return binary.LittleEndian.Uint32(f[markAt:]) }
func (f frame) time() int64    { return int64(binary.LittleEndian.Uint64(f[timeAt:])) } //nolint:gosec // the same 64 bits
func (f frame) settled() bool  { return f.mark() == settledMark(f.crc()) }

// record decodes f; its body is f's.
func (f frame) record() Record {
	return Record{
		ID:    [16]byte(f[idAt:timeAt]),
		Time:  f.time(),
		Key:   binary.LittleEndian.Uint64(f[keyAt:]),
		Extra: binary.LittleEndian.Uint32(f[extraAt:]),
		Body:  f[frameHeader:],
	}
}

// frameAt returns the frame that data begins with; nil if there is none that could be whole.
func frameAt(data []byte) frame {
	if len(data) < frameHeader {
		return nil
	}
	n := frame(data).length()
	if n < frameHeader || uint64(n) > uint64(len(data)) {
		return nil
	}
	return data[:n:n]
}

// intact reports whether f is what was stored, its mark aside.
func (f frame) intact(seed uint32) bool {
	return f.crc() == checksum(seed^f.length(), f[extraAt:])
}

// walk calls visit for each frame of the longest valid prefix of a segment, whose header was
// verified, until it returns false, and returns where it stopped.
func walk(data []byte, seed uint32, visit func(offset uint32, f frame) bool) (end int) {
	end = min(headerSize, len(data))
	for {
		f := frameAt(data[end:])
		if f == nil || !f.intact(seed) || !visit(uint32(end), f) {
			return end
		}
		end = min(end+pad(len(f)), len(data)) // a file may be cut within the padding
	}
}

// remains says what follows the longest valid prefix of a segment.
type remains int

const (
	nothing remains = iota // zeros, the preallocated rest
	torn                   // the beginning of a frame that was never finished
	damaged                // frames that were stored after what cannot be read
)

// judge examines what follows a valid prefix, beginning at a multiple of 8.
//
// Trying every offset could take quadratic time on rubbish made for it: after checking as
// many bytes as eight times the data it gives the file the benefit of the doubt, which is to keep it.
func judge(data []byte, seed uint32) remains {
	rest, work := nothing, 8*len(data)
	for at := 0; at+alignment <= len(data); at += alignment {
		if binary.LittleEndian.Uint64(data[at:]) == 0 {
			continue
		}
		rest = torn
		f := frameAt(data[at:])
		if f == nil {
			continue
		}
		if work -= len(f); work < 0 || f.intact(seed) {
			return damaged
		}
	}
	return rest
}
