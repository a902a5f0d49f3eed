package redis

import (
	"cmp"
	"context"
	"net"
	"slices"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// embedded is a Redis in this process, for a demo and for development. It has no port:
// its connections are pipes in memory. Nobody has to keep time for a real Redis, but
// this one's lives run out only when told to, and it knows no bound.
type embedded struct{ server *miniredis.Miniredis }

const (
	embeddedSweep = 5 * time.Second
	embeddedKeys  = 50_000 // beyond it, the keys whose lives end first go
)

func newEmbedded() *embedded { return &embedded{server: miniredis.NewMiniRedis()} }

func (e *embedded) dial(context.Context, string, string) (net.Conn, error) { return e.server.Dial() }

func (e *embedded) close() { e.server.Close() }

// run lets time pass in the server, and keeps it bounded, until ctx ends.
func (e *embedded) run(ctx context.Context) {
	sweep := time.NewTicker(embeddedSweep)
	defer sweep.Stop()
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-sweep.C:
			now := time.Now()
			e.server.FastForward(now.Sub(last))
			last = now
			e.shrink(embeddedKeys)
		}
	}
}

// shrink removes the keys that have the least life left until at most this many remain.
func (e *embedded) shrink(most int) {
	keys := e.server.Keys()
	if len(keys) <= most {
		return
	}
	type life struct {
		key  string
		left time.Duration
	}
	lives := make([]life, len(keys))
	for i, key := range keys {
		lives[i] = life{key, e.server.TTL(key)}
	}
	slices.SortFunc(lives, func(a, b life) int { return cmp.Compare(a.left, b.left) })
	for _, l := range lives[:len(lives)-most] {
		e.server.Del(l.key)
	}
}
