package cache

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"sync"

	"vitrine/internal/reco"
)

// keyring names sessions and questions outside the process. Who sees the names can
// neither tell whose they are nor, without the key, try whose they might be.
type keyring struct {
	pool sync.Pool // of *mac
}

// sessionKey is a session's name: HMAC-SHA256, cut to 128 bits.
type sessionKey [16]byte

// questionKey is a question's name among all of all sessions, cut likewise.
type questionKey [16]byte

// mac is an HMAC and the room it needs to work without allocating.
type mac struct {
	hash.Hash

	in  []byte
	out [sha256.Size]byte
}

func newKeyring(key [32]byte) *keyring {
	return &keyring{pool: sync.Pool{New: func() any {
		return &mac{Hash: hmac.New(sha256.New, key[:])}
	}}}
}

// What a MAC is of, so that no two uses of the key can be taken for each other.
const (
	ofSession byte = iota + 1
	ofQuestion
	ofEnvelope
	ofOrder
	ofFrozen
)

func (k *keyring) session(id string) (name sessionKey) {
	m := k.pool.Get().(*mac) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	defer k.pool.Put(m)
	m.in = append(append(m.in[:0], ofSession), id...)
	copy(name[:], m.sum())
	return name
}

func (k *keyring) question(e reco.Event) questionKey { return k.name(ofQuestion, e) }

// order names the order that e was answered in, beside its question.
func (k *keyring) order(e reco.Event) questionKey { return k.name(ofOrder, e) }

func (k *keyring) name(use byte, e reco.Event) (name questionKey) {
	m := k.pool.Get().(*mac) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	defer k.pool.Put(m)
	m.in = appendEvent(append(m.in[:0], use), e)
	copy(name[:], m.sum())
	return name
}

// envelope authenticates an envelope's content as the answer to e, for one use.
func (k *keyring) envelope(use byte, e reco.Event, head, body string) [sha256.Size]byte {
	m := k.pool.Get().(*mac) //nolint:errcheck,forcetypeassert // nothing else is in the pool
	defer k.pool.Put(m)
	m.in = append(append(appendEvent(append(m.in[:0], use), e), head...), body...)
	m.sum()
	return m.out
}

// sum returns the MAC of in, which is good until the next one.
func (m *mac) sum() []byte {
	m.Reset()
	_, _ = m.Write(m.in) // a hash never fails
	return m.Hash.Sum(m.out[:0])
}

// appendEvent writes e so that no two events read alike.
func appendEvent(dst []byte, e reco.Event) []byte {
	dst = append(dst, byte(e.Type))
	for _, field := range [...]string{e.Session, e.User, e.Item} {
		dst = binary.AppendUvarint(dst, uint64(len(field)))
		dst = append(dst, field...)
	}
	return dst
}
