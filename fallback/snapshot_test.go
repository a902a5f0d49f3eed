package fallback

import (
	"encoding/binary"
	"testing"
	"time"

	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// The codec is tested from inside: from outside, only what it refuses shows.

var (
	codecPlace = place{id: "c:1", kind: platform.Category, source: fromPlatform}
	codecTime  = time.UnixMilli(1_800_000_000_123)
)

func parseAt(b []byte, now time.Time) (*snapshot, error) {
	return parseSnapshot(b, codecPlace, now.Add(-time.Hour), now)
}

func TestSnapshotRoundTrip(t *testing.T) {
	for _, ids := range [][]string{nil, {"a"}, {"a", `"`, "é", "\x00"}} {
		want := &snapshot{ranking: reco.NewRanking(ids), at: codecTime, seen: platform.Validators{ETag: `W/"1"`, LastModified: "x"}}
		got, err := parseAt(encodeSnapshot(codecPlace, want), codecTime)
		if err != nil || got.ranking != want.ranking || !got.at.Equal(want.at) || got.seen != want.seen {
			t.Errorf("%q: got %+v, %v, want %+v", ids, got, err, want)
		}
	}
}

func TestSnapshotOfAnotherTimeOrPlace(t *testing.T) {
	b := encodeSnapshot(codecPlace, &snapshot{ranking: reco.NewRanking([]string{"a"}), at: codecTime})
	f := func(now time.Time, ok bool) {
		t.Helper()
		if _, err := parseAt(b, now); (err == nil) != ok {
			t.Errorf("%v after it was fetched: got %v", now.Sub(codecTime), err)
		}
	}
	f(codecTime.Add(time.Hour), true)
	f(codecTime.Add(time.Hour+time.Millisecond), false)
	f(codecTime.Add(-maxClockSkew), true)
	f(codecTime.Add(-maxClockSkew-time.Millisecond), false)

	other := codecPlace
	other.kind = platform.Similar
	if _, err := parseSnapshot(b, other, time.Time{}, codecTime); err == nil {
		t.Error("got another list's snapshot")
	}
}

// Stored bytes that are accepted are those that we would have stored: nothing is
// guessed, and there is one encoding of each snapshot.
func FuzzParseSnapshot(f *testing.F) {
	f.Add(encodeSnapshot(codecPlace, &snapshot{ranking: reco.NewRanking([]string{"a", "b"}), at: codecTime}))
	f.Add(encodeSnapshot(codecPlace, &snapshot{at: codecTime, seen: platform.Validators{ETag: "e", LastModified: "l"}}))
	f.Add([]byte{snapshotVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > snapshotHead { // else no input but the seeds would get past the checksum
			binary.BigEndian.PutUint32(b[1:], checksum(b[snapshotHead:]))
		}
		s, err := parseAt(b, codecTime)
		if err != nil {
			return
		}
		if again := encodeSnapshot(codecPlace, s); string(again) != string(b) {
			t.Errorf("got %q, want %q", again, b)
		}
	})
}
