package cache

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/s2"

	"vitrine/internal/reco"
)

// An envelope is a ranking as Redis holds it:
//
//	version   1 byte, '1'
//	stamp    16 digits: microseconds since 1970 at the start of the call
//	packing   1 byte: how the body is packed
//	count     4 bytes, big-endian: events of the session up to the one that brought it
//	seal     32 bytes: HMAC-SHA256 of the event in full and of everything else here
//	body      the ranking's JSON
//
// That of an order is the same with another seal and more in its body: see order.go.
// The seal is key check and checksum in one: bytes that were changed, or that answer
// another event, do not match it, and nothing is unpacked before it does. The stamp
// is in digits for the script that keeps an older ranking from replacing a newer one.
type envelope struct {
	stamp   int64
	count   uint32
	ranking reco.Ranking
}

const (
	version = '1'

	stampAt   = 1
	stampSize = 16
	packingAt = stampAt + stampSize
	countAt   = packingAt + 1
	sealAt    = countAt + 4
	bodyAt    = sealAt + 32

	plain  = 'p'
	packed = 's' // as an S2 block

	packFrom   = 4 << 10  // bytes of body; less is not worth it
	unpackMost = 16 << 20 // bytes of body, far above anything the API sends
)

// seal returns v as Redis is to hold it, as the answer to e.
func (k *keyring) seal(e reco.Event, v envelope) []byte {
	return k.wrap(ofEnvelope, e, v.stamp, v.count, []byte(v.ranking.JSON()))
}

// open is the inverse of seal. It reports false for anything that seal did not make
// with this key for this event.
func (k *keyring) open(e reco.Event, raw string) (envelope, bool) {
	stamp, count, body, ok := k.unwrap(ofEnvelope, e, raw)
	if !ok {
		return envelope{}, false
	}
	ranking := reco.RankingOfOurs(body)
	return envelope{stamp: stamp, count: count, ranking: ranking}, !ranking.Empty()
}

// wrap puts a body into an envelope that is good for one use.
func (k *keyring) wrap(use byte, e reco.Event, stamp int64, count uint32, body []byte) []byte {
	packing := byte(plain)
	if len(body) > packFrom {
		body, packing = s2.Encode(nil, body), packed
	}
	dst := make([]byte, 0, bodyAt+len(body))
	dst = append(dst, version)
	dst = fmt.Appendf(dst, "%0*d", stampSize, stamp)
	dst = append(dst, packing)
	dst = binary.BigEndian.AppendUint32(dst, count)
	seal := k.envelope(use, e, string(dst), string(body))
	dst = append(dst, seal[:]...)
	return append(dst, body...)
}

// unwrap is the inverse of wrap. The body is in memory of its own.
func (k *keyring) unwrap(use byte, e reco.Event, raw string) (stamp int64, count uint32, body string, ok bool) {
	if len(raw) < bodyAt || raw[0] != version {
		return 0, 0, "", false
	}
	body = raw[bodyAt:]
	if seal := k.envelope(use, e, raw[:sealAt], body); !hmac.Equal(seal[:], []byte(raw[sealAt:bodyAt])) {
		return 0, 0, "", false
	}
	stamp, err := strconv.ParseInt(raw[stampAt:packingAt], 10, 64)
	if err != nil {
		return 0, 0, "", false
	}
	count = binary.BigEndian.Uint32([]byte(raw[countAt:sealAt]))
	if raw[packingAt] != packed {
		return stamp, count, strings.Clone(body), true
	}
	if size, err := s2.DecodedLen([]byte(body)); err != nil || size > unpackMost {
		return 0, 0, "", false
	}
	unpacked, err := s2.Decode(nil, []byte(body))
	return stamp, count, string(unpacked), err == nil
}
