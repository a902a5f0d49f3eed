package cache_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
)

var hashKey = [32]byte{1, 2, 3}

// What was sealed opens again, and only for the same event with the same key; with
// any byte changed, or any cut off or put on, it does not open.
func FuzzEnvelope(f *testing.F) {
	f.Add("session", "user", "item", uint8(1), int64(1_790_000_000_000_000), uint32(3), "p1,p2", 0, byte(1))
	f.Add("s", "", "", uint8(4), int64(1), uint32(0), strings.Repeat("product,", 1000), 60, byte(255))
	f.Fuzz(func(t *testing.T, session, user, item string, eventType uint8, stamp int64, count uint32, ids string, at int, flip byte) {
		if stamp < 0 || stamp > 9_999_999_999_999_999 {
			t.Skip("not within the years 1970 to 2286")
		}
		e := reco.Event{Session: session, User: user, Item: item, Type: reco.EventType(eventType)}
		r := reco.NewRanking(strings.Split(strings.ToValidUTF8(ids, ""), ","))
		if r.Empty() {
			t.Skip("an empty ranking is never stored")
		}
		raw := cache.Seal(hashKey, e, stamp, count, r)
		gotStamp, gotCount, got, ok := cache.Open(hashKey, e, raw)
		if !ok || gotStamp != stamp || gotCount != count || got != r {
			t.Fatalf("got %d, %d, %s, %t; want what was sealed", gotStamp, gotCount, got.JSON(), ok)
		}
		other := e
		other.Session, other.User = session+user, ""
		if _, _, _, ok := cache.Open(hashKey, other, raw); ok && other != e {
			t.Error("opened as the answer to another event")
		}
		if _, _, _, ok := cache.Open([32]byte{9}, e, raw); ok {
			t.Error("opened with another key")
		}
		at = max(0, at) % len(raw)
		if _, _, _, ok := cache.Open(hashKey, e, raw[:at]); ok {
			t.Errorf("opened when cut after %d bytes", at)
		}
		if _, _, _, ok := cache.Open(hashKey, e, append(bytes.Clone(raw), flip)); ok {
			t.Error("opened with a byte more")
		}
		changed := bytes.Clone(raw)
		changed[at] ^= flip
		if _, _, _, ok := cache.Open(hashKey, e, changed); ok && flip != 0 {
			t.Errorf("opened with byte %d changed", at)
		}
	})
}

// A frozen order opens as it was sealed, for the same event alone, and never as a ranking,
// nor a ranking as an order; with any byte changed or cut off it does not open.
func FuzzOrder(f *testing.F) {
	f.Add("session", "user", "item", int64(1_790_000_000_000_000), "p1,p2", uint8(1), "timeout", int64(37), int64(-12), 0, byte(1))
	f.Add("s", "", "", int64(1), strings.Repeat("product,", 1000), uint8(255), "", int64(0), int64(0), 60, byte(255))
	f.Fuzz(func(t *testing.T, session, user, item string, stamp int64, ids string, source uint8, reason string, age, ttl int64, at int, flip byte) {
		if stamp < 0 || stamp > 9_999_999_999_999_999 || strings.Contains(reason, " ") {
			t.Skip("not within the years 1970 to 2286, or no reason that there is")
		}
		e := reco.Event{Session: session, User: user, Item: item, Type: reco.CategoryView}
		r := reco.NewRanking(strings.Split(strings.ToValidUTF8(ids, ""), ","))
		if r.Empty() {
			t.Skip("an empty order is never frozen")
		}
		want := cache.Order{
			Ranking: r, Source: reco.Source(source), Reason: reco.Reason(reason),
			Age: time.Duration(age).Truncate(time.Microsecond), TTL: time.Duration(ttl).Truncate(time.Microsecond),
		}
		raw := cache.SealOrder(hashKey, e, stamp, want)
		if gotStamp, got, ok := cache.OpenOrder(hashKey, e, raw); !ok || gotStamp != stamp || got != want {
			t.Fatalf("got %d, %+v, %t; want %+v", gotStamp, got, ok, want)
		}
		if _, _, _, ok := cache.Open(hashKey, e, raw); ok {
			t.Error("opened as a ranking")
		}
		if _, _, ok := cache.OpenOrder(hashKey, e, cache.Seal(hashKey, e, stamp, 0, r)); ok {
			t.Error("a ranking opened as an order")
		}
		other := e
		other.Item += "x"
		if _, _, ok := cache.OpenOrder(hashKey, other, raw); ok {
			t.Error("opened as the order of another event")
		}
		at = max(0, at) % len(raw)
		if _, _, ok := cache.OpenOrder(hashKey, e, raw[:at]); ok {
			t.Errorf("opened when cut after %d bytes", at)
		}
		changed := bytes.Clone(raw)
		changed[at] ^= flip
		if _, _, ok := cache.OpenOrder(hashKey, e, changed); ok && flip != 0 {
			t.Errorf("opened with byte %d changed", at)
		}
	})
}

func TestLongRankingsArePacked(t *testing.T) {
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = "product-" + strings.Repeat("0", 8) + string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	r := reco.NewRanking(ids)
	raw := cache.Seal(hashKey, view("s", "a"), 1, 1, r)
	if len(raw) > len(r.JSON())/2 {
		t.Errorf("got %d bytes for %d of JSON, want less than half", len(raw), len(r.JSON()))
	}
	if _, _, got, ok := cache.Open(hashKey, view("s", "a"), raw); !ok || got != r {
		t.Error("it does not come back whole")
	}
}
