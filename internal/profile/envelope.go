package profile

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// content is what is remembered under a name.
type content byte

const (
	profiled content = 'b' // the body of the profile of that name
	pointing content = 'p' // the name of the profile that an identifier stands for
	missing  content = 'n' // the body of a 404: nobody is known by that name
)

// entry is what is remembered under a name, open. It is not changed once it is made.
type entry struct {
	content content
	stamp   int64     // start of the call that brought it, in microseconds since 1970
	started time.Time // the same in this process's own time, which no clock set back touches
	body    []byte    // of profiled and missing: the API's, byte for byte
	profile name      // whose it is: of a pointer where it points to, else its own name
}

// An envelope is an entry as Redis holds it:
//
//	version   1 byte, '1'
//	content   1 byte
//	stamp    16 digits, for the script that keeps an older entry from replacing a newer one
//	key id    1 byte with its length, and the id
//	sealed    a nonce of 12 bytes, the ciphertext, a tag of 16 bytes
//
// All that stands before the sealed part, and the name it is kept under, is authenticated
// with it: a byte changed, or a value moved to another name, does not open.
const (
	version   = '1'
	stampAt   = 2
	stampSize = 16
	keyIDAt   = stampAt + stampSize
)

// seal returns e as Redis is to hold it under a name.
func (k *Keys) seal(under name, e *entry) []byte {
	r := k.ring.Load()
	head := fmt.Appendf(nil, "%c%c%0*d%c%s", version, e.content, stampSize, e.stamp, len(r.first), r.first)
	text := e.body
	if e.content == pointing {
		text = e.profile[:]
	}
	return r.keys[r.first].Seal(head, nil, text, append(under[:], head...)) //nolint:gosec // it draws the nonce itself
}

// open is the inverse of seal, without the process's own time. It reports false for
// anything that seal did not make for this name, or with a key that is no longer there.
func (k *Keys) open(under name, raw []byte) (entry, bool) {
	if len(raw) <= keyIDAt || raw[0] != version || len(raw) <= keyIDAt+int(raw[keyIDAt]) {
		return entry{}, false
	}
	sealedAt := keyIDAt + 1 + int(raw[keyIDAt])
	aead, ok := k.ring.Load().keys[string(raw[keyIDAt+1:sealedAt])]
	if !ok {
		return entry{}, false
	}
	text, err := aead.Open(nil, nil, raw[sealedAt:], append(under[:], raw[:sealedAt]...))
	if err != nil {
		return entry{}, false
	}
	stamp, err := strconv.ParseInt(string(bytes.TrimLeft(raw[stampAt:keyIDAt], "0")), 10, 64)
	if err != nil {
		return entry{}, false
	}
	e := entry{content: content(raw[1]), stamp: stamp, body: text, profile: under}
	if e.content == pointing {
		if len(text) != len(e.profile) {
			return entry{}, false
		}
		copy(e.profile[:], text)
		e.body = nil
	}
	return e, true
}
