package redis

import "time"

// Embedded is an embedded server of a test's own.
type Embedded struct{ e *embedded }

func NewEmbedded() Embedded { return Embedded{newEmbedded()} }

func (x Embedded) Put(key string, life time.Duration) {
	x.e.server.Set(key, "v")
	x.e.server.SetTTL(key, life)
}

func (x Embedded) Shrink(most int) { x.e.shrink(most) }
func (x Embedded) Keys() []string  { return x.e.server.Keys() }
func (x Embedded) Close()          { x.e.close() }

// Read is what a URL names.
type Read struct {
	Addrs          []string
	User, Password string
	DB             int
	TLS            bool
}

// ParseURL reads a URL.
func ParseURL(raw string) (Read, error) {
	t, err := parseURL(raw)
	o := &t.driver
	return Read{o.Addrs, o.Username, o.Password, o.DB, o.TLSConfig != nil}, err
}
