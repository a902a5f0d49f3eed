package profile

import (
	"net/url"
	"strings"
)

// Normal is the one spelling of an identifier.
func (i Identifier) Normal() string { return i.normal }

// Path is what the API is asked for.
func (i Identifier) Path() string { return i.path() }

// AskedOf is the value in a path of the API, decoded as a server does.
func AskedOf(path string) (string, error) {
	return url.PathUnescape(path[strings.LastIndexByte(path, '/')+1:])
}

// Documented is documented.
func Documented(body []byte) (string, bool) { return documented(body) }

// Name is a name made by number.
func Name(n byte) (to [16]byte) {
	to[0] = n
	return to
}

// Seal seals a profile's body as kept under a name.
func (k *Keys) Seal(under [16]byte, stamp int64, body string) []byte {
	return k.seal(under, &entry{content: profiled, stamp: stamp, body: []byte(body)})
}

// SealPointer seals a pointer.
func (k *Keys) SealPointer(under, to [16]byte, stamp int64) []byte {
	return k.seal(under, &entry{content: pointing, stamp: stamp, profile: to})
}

// Open opens an envelope and returns its content: of a pointer, what it points to.
func (k *Keys) Open(under [16]byte, raw []byte) (stamp int64, content string, ok bool) {
	e, ok := k.open(under, raw)
	if e.content == pointing {
		return e.stamp, string(e.profile[:]), ok
	}
	return e.stamp, string(e.body), ok
}

// KeyOf is the Redis key under which something of an identifier is remembered.
func (p *Profiles) KeyOf(kind, value string) string {
	id, err := ParseIdentifier(kind, value)
	if err != nil {
		panic(err)
	}
	return p.names.of(id.kind, id.normal).redisKey()
}

// EraseChannel is where erases are published.
const EraseChannel = eraseChannel

// Flights is how many are under way.
func (p *Profiles) Flights() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.flights)
}

// Erases is how many stamps are known.
func (p *Profiles) Erases() int {
	p.memory.mu.Lock()
	defer p.memory.mu.Unlock()
	return len(p.memory.erased)
}

// ReceiveErase is told what another pod has published.
func (p *Profiles) ReceiveErase(message string) { p.receiveErase(message) }
