package delivery

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// ID names an accepted event, in answers, logs and the outbox: a UUIDv7 (RFC 9562),
// so that ids sort by time. It is unique, not secret.
//
// It is made here, since the library's way of making one allocates, and every page
// view needs one.
type ID [16]byte

// newID returns the id of an event accepted now.
func newID(now time.Time) (id ID) {
	binary.BigEndian.PutUint64(id[:], uint64(now.UnixMilli())<<16|rand.Uint64()&0xfff)
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	id[6] |= 0x70             // version 7
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}

// AppendTo appends the id in its usual form of 36 characters.
func (id ID) AppendTo(dst []byte) []byte {
	var text [36]byte
	at := 0
	for i, b := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text[at] = '-'
			at++
		}
		const hex = "0123456789abcdef"
		text[at], text[at+1] = hex[b>>4], hex[b&15]
		at += 2
	}
	return append(dst, text[:]...)
}

// String returns the id in its usual form.
func (id ID) String() string { return string(id.AppendTo(nil)) }

// MarshalText encodes the id as its String.
func (id ID) MarshalText() ([]byte, error) { return id.AppendTo(nil), nil }
