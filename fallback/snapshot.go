package fallback

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// snapshot is a list as its source ordered it at one time. It is immutable; nil is
// a snapshot that was never taken.
type snapshot struct {
	ranking reco.Ranking
	at      time.Time // when the fetch that brought it began
	seen    platform.Validators
	from    *shop // nil for the file's
}

func (s *snapshot) usable() bool { return s != nil && !s.ranking.Empty() }

// age is the time since s was fetched, never negative: the clock of the pod that
// fetched it may be ahead of ours.
func (s *snapshot) age(now time.Time) time.Duration { return max(now.Sub(s.at), 0) }

// validators are those of a platform's answer; what another platform said they tell
// nothing about.
func (s *snapshot) validators(of *shop) platform.Validators {
	if s == nil || s.from != of {
		return platform.Validators{}
	}
	return s.seen
}

// What is stored in Shared:
//
//	version       1 byte
//	CRC-32C       4 bytes, of all that follows
//	fetched at    8 bytes, milliseconds since 1970
//	then four strings, each behind its length in 4 bytes:
//	place, ETag, Last-Modified, and the list as reco.Ranking gives it
//
// Integers are big-endian. The place stands in full, because its key is a hash.
const (
	snapshotVersion = 1
	snapshotHead    = 1 + 4
	maxSnapshot     = 4 << 20 // bytes
	maxClockSkew    = 5 * time.Second
)

// errBadSnapshot says that stored bytes are not a snapshot of the place they were found at.
var errBadSnapshot = errors.New("not a snapshot of this list")

// encodeSnapshot encodes s, the list of p.
func encodeSnapshot(p place, s *snapshot) []byte {
	dst := []byte{snapshotVersion, 0, 0, 0, 0}
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.at.UnixMilli()))
	for _, field := range [...]string{p.String(), s.seen.ETag, s.seen.LastModified, s.ranking.JSON()} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(field))) //nolint:gosec // far below
		dst = append(dst, field...)
	}
	binary.BigEndian.PutUint32(dst[1:], checksum(dst[snapshotHead:]))
	return dst
}

func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// parseSnapshot decodes what was found for p, which whoever can write to the shared
// memory may have made. It must be fetched neither before oldest nor well after now.
func parseSnapshot(b []byte, p place, oldest, now time.Time) (*snapshot, error) {
	if len(b) < snapshotHead+8 || len(b) > maxSnapshot || b[0] != snapshotVersion {
		return nil, fmt.Errorf("%w: version or length", errBadSnapshot)
	}
	if binary.BigEndian.Uint32(b[1:]) != checksum(b[snapshotHead:]) {
		return nil, fmt.Errorf("%w: checksum", errBadSnapshot)
	}
	at := time.UnixMilli(int64(binary.BigEndian.Uint64(b[snapshotHead:]))) //nolint:gosec // checked next
	if at.Before(oldest) || at.After(now.Add(maxClockSkew)) {
		return nil, fmt.Errorf("%w: fetched at %s", errBadSnapshot, at)
	}
	var fields [4]string
	rest := b[snapshotHead+8:]
	for i := range fields {
		if len(rest) < 4 {
			return nil, fmt.Errorf("%w: cut short", errBadSnapshot)
		}
		size := binary.BigEndian.Uint32(rest)
		if rest = rest[4:]; uint64(size) > uint64(len(rest)) {
			return nil, fmt.Errorf("%w: cut short", errBadSnapshot)
		}
		fields[i], rest = string(rest[:size]), rest[size:]
	}
	if len(rest) > 0 || fields[0] != p.String() {
		return nil, fmt.Errorf("%w: another list's", errBadSnapshot)
	}
	ranking, err := reco.RankingFromJSON(fields[3])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadSnapshot, err)
	}
	return &snapshot{
		ranking: ranking,
		at:      at,
		seen:    platform.Validators{ETag: fields[1], LastModified: fields[2]},
	}, nil
}

// String names p without doubt: the id comes last.
func (p place) String() string { return p.source.String() + ":" + p.kind.String() + ":" + p.id }

func (s source) String() string {
	switch s {
	case fromPlatform:
		return "platform"
	case fromFile:
		return "file"
	default:
		return "sales"
	}
}
