package journal_test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"vitrine/internal/journal"
)

// Whatever is recorded is there after the process was killed, byte for byte and in order,
// but for what was settled; and once more after that.
func FuzzRecords(f *testing.F) {
	f.Add([]byte("a\x00bb\x00\x00ccc"), uint64(0b0101), int64(1), uint64(2), uint32(3))
	f.Add([]byte("journal\x01"), uint64(0), int64(-1), ^uint64(0), ^uint32(0))
	f.Add(bytes.Repeat([]byte("x"), 5000), uint64(1), int64(0), uint64(0), uint32(0))
	f.Add(bytes.Repeat([]byte{0}, 40), uint64(0xaaaaaaaaaa), int64(0), uint64(0), uint32(1))
	f.Fuzz(func(t *testing.T, bodies []byte, settled uint64, at int64, key uint64, extra uint32) {
		dir := t.TempDir()
		j := open(t, small(dir))
		var want []kept
		for i, body := range bytes.Split(bodies, []byte{0}) {
			if i == 64 {
				break
			}
			r := journal.Record{Time: at + int64(i), Key: key, Extra: extra, Body: body}
			binary.LittleEndian.PutUint64(r.ID[:], uint64(i))
			position, err := j.Append(r)
			if err != nil {
				if len(body) < 1000 {
					t.Fatalf("record %d of %d bytes: %v", i, len(body), err)
				}
				continue
			}
			if settled>>i&1 == 1 {
				mustSettle(t, j, position)
				continue
			}
			want = append(want, kept{position, r})
		}
		copied := crash(t, dir)
		for range 2 {
			again := open(t, small(copied))
			checkPending(t, again, want)
			if s := again.Stats(); s.Damaged != 0 {
				t.Fatalf("got %+v, want nothing damaged", s)
			}
			closeJournal(t, again)
		}
	})
}

// Any bytes at all for a segment read as a reader makes of them that was written from the
// description of the format alone; and what they hold beyond that is not thrown away.
func FuzzSegment(f *testing.F) {
	s := newSample(f)
	for _, content := range s.content {
		f.Add(content)
	}
	f.Add(s.content[0][:journal.HeaderSize])
	f.Add(s.content[0][:journal.HeaderSize+20])
	f.Add([]byte("journal\x01\x01\x00\x00\x00"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) > 64<<10 {
			t.Skip("longer than a segment")
		}
		mend(content)
		dir := t.TempDir()
		path := filepath.Join(dir, names[0])
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		want, whole := described(content)
		j := open(t, small(dir))
		got := pending(t, j)
		if len(got) != len(want) {
			t.Fatalf("got %d records, want %d", len(got), len(want))
		}
		for i := range want {
			if !sameRecord(got[i].Record, want[i]) {
				t.Fatalf("record %d: got %+v, want %+v", i, got[i].Record, want[i])
			}
		}
		closeJournal(t, j)
		kept, err := os.ReadFile(path + ".damaged")
		switch {
		case !whole && (err != nil || !bytes.Equal(kept, content)):
			t.Errorf("got %d bytes set aside, %v, want the %d of a file that is none of ours", len(kept), err, len(content))
		case whole && err == nil && len(kept) != len(content):
			t.Errorf("got %d bytes set aside of %d", len(kept), len(content))
		}
	})
}

// mend puts right the checksums of a header and of the frames behind it, as far as there
// are any: else no input but the seeds would get past the first.
func mend(content []byte) {
	if len(content) < journal.HeaderSize {
		return
	}
	copy(content, "journal\x01\x01\x00\x00\x00")
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	seed := crc32.Checksum(content[:journal.HeaderSize-4], castagnoli)
	if content[12]&1 == 0 { // some headers stay wrong
		binary.LittleEndian.PutUint32(content[journal.HeaderSize-4:], seed)
	}
	for rest := content[journal.HeaderSize:]; len(rest) >= journal.FrameHeader; {
		n := binary.LittleEndian.Uint32(rest)
		if n < journal.FrameHeader || uint64(n) > uint64(len(rest)) {
			return
		}
		if rest[journal.FrameHeader-1]&1 == 0 { // of a key's last byte: some frames stay wrong
			binary.LittleEndian.PutUint32(rest[4:], crc32.Update(seed^n, castagnoli, rest[12:n]))
		}
		rest = rest[min((int(n)+7)/8*8, len(rest)):]
	}
}

// described reads the pending records of a segment as the format is described, one field
// after the other, and reports whether there is a header.
func described(content []byte) (records []journal.Record, whole bool) {
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	if len(content) < 24 || string(content[:8]) != "journal\x01" || binary.LittleEndian.Uint32(content[8:]) != 1 {
		return nil, false
	}
	seed := binary.LittleEndian.Uint32(content[20:])
	if crc32.Checksum(content[:20], castagnoli) != seed {
		return nil, false
	}
	for at := 24; at+48 <= len(content); {
		length := binary.LittleEndian.Uint32(content[at:])
		if length < 48 || uint64(at)+uint64(length) > uint64(len(content)) {
			break
		}
		f := content[at : at+int(length)]
		crc, mark := binary.LittleEndian.Uint32(f[4:]), binary.LittleEndian.Uint32(f[8:])
		if crc32.Update(seed^length, castagnoli, f[12:]) != crc {
			break
		}
		if mark != crc|0x01010101 {
			records = append(records, journal.Record{
				Extra: binary.LittleEndian.Uint32(f[12:]), ID: [16]byte(f[16:32]),
				Time: int64(binary.LittleEndian.Uint64(f[32:])), Key: binary.LittleEndian.Uint64(f[40:]), Body: f[48:],
			})
		}
		at += (int(length) + 7) / 8 * 8
	}
	return records, true
}
