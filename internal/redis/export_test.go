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
