package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// shopName is what the Sentinels call the primary they watch.
const shopName = "shop"

// sentinelConf makes them quick: a primary that is silent for a second is down.
const sentinelConf = `port %s
bind 127.0.0.1
dir %s
sentinel monitor ` + shopName + ` 127.0.0.1 %s 2
sentinel down-after-milliseconds ` + shopName + ` 1000
sentinel failover-timeout ` + shopName + ` 5000
`

// Sentinels are a primary, two replicas, and three Sentinels that watch them.
type Sentinels struct{ nodes, watchers []*Redis }

// StartSentinels starts them and waits until they know each other.
func StartSentinels(ctx context.Context) (*Sentinels, error) {
	s := new(Sentinels)
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting redis with sentinels: %w", err), s.Close())
	}
	return s, nil
}

func (s *Sentinels) start(ctx context.Context) error {
	// A new primary lets replicas wait for a whole copy, five seconds by default so that more
	// may join in; and until they have one, the Sentinels tell nobody who is the primary.
	atOnce := []string{"--repl-diskless-sync-delay", "0"}
	primary, err := StartRedis(ctx, atOnce...)
	if err != nil {
		return err
	}
	s.nodes = append(s.nodes, primary)
	_, port, err := net.SplitHostPort(primary.Addr())
	if err != nil {
		return err
	}
	for range 2 {
		replica, err := StartRedis(ctx, append([]string{"--replicaof", "127.0.0.1", port}, atOnce...)...)
		if err != nil {
			return err
		}
		s.nodes = append(s.nodes, replica)
	}
	for range 3 {
		watcher, err := startRedis(ctx, func(r *Redis, own string) error {
			file := filepath.Join(r.dir, "sentinel.conf")
			r.args = []string{file, "--sentinel"}
			return os.WriteFile(file, fmt.Appendf(nil, sentinelConf, own, r.dir, port), 0o600)
		})
		if err != nil {
			return err
		}
		s.watchers = append(s.watchers, watcher)
	}
	return poll(ctx, func() bool { return s.agreed(ctx) })
}

// agreed reports whether every Sentinel knows both replicas and both others.
func (s *Sentinels) agreed(ctx context.Context) bool {
	for _, w := range s.watchers {
		said, err := tell(ctx, w.Addr(), "INFO", "sentinel")
		if text, _ := said.(string); err != nil || !strings.Contains(text, "status=ok") || !strings.Contains(text, "slaves=2,sentinels=3") {
			return false
		}
	}
	return true
}

// URL is what the sidecar is to know as redis.url.
func (s *Sentinels) URL() string {
	return "redis://" + addresses(s.watchers) + "?master_name=" + shopName
}

// Primary is the server that takes writes, as the Sentinels have it.
func (s *Sentinels) Primary(ctx context.Context) (*Redis, error) {
	said, err := tell(ctx, s.watchers[0].Addr(), "SENTINEL", "GET-MASTER-ADDR-BY-NAME", shopName)
	if err != nil {
		return nil, err
	}
	host, port := "", ""
	if pair, ok := said.([]any); ok && len(pair) == 2 {
		host, _ = pair[0].(string)
		port, _ = pair[1].(string)
	}
	return find(s.nodes, net.JoinHostPort(host, port))
}

// Demote lets the Sentinels make a replica the primary; the former one is a replica from
// then on, and refuses writes. It returns before they have.
func (s *Sentinels) Demote(ctx context.Context) error {
	_, err := tell(ctx, s.watchers[0].Addr(), "SENTINEL", "FAILOVER", shopName)
	return err
}

// Successor waits until another than the former takes writes.
func (s *Sentinels) Successor(ctx context.Context, former *Redis) (now *Redis, err error) {
	failed := poll(ctx, func() bool {
		now, err = s.Primary(ctx)
		return err == nil && now != former && isPrimary(ctx, now)
	})
	if err == nil {
		err = failed
	}
	return now, err
}

// Revive starts again what was killed.
func (s *Sentinels) Revive(ctx context.Context) error { return revive(ctx, s.nodes) }

// Close ends all of them.
func (s *Sentinels) Close() error { return errors.Join(closeAll(s.watchers), closeAll(s.nodes)) }
