package rig

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// tell says one thing to a server.
func tell(ctx context.Context, addr string, words ...any) (any, error) {
	client := redis.NewClient(&redis.Options{Addr: addr, MaxRetries: -1, DisableIdentity: true})
	defer client.Close()
	answer, err := client.Do(ctx, words...).Result()
	if err != nil {
		return nil, fmt.Errorf("telling redis %v: %w", words[0], err)
	}
	return answer, nil
}

// isPrimary reports whether a server takes writes.
func isPrimary(ctx context.Context, r *Redis) bool {
	said, err := tell(ctx, r.Addr(), "ROLE")
	role, ok := said.([]any)
	return err == nil && ok && len(role) > 0 && role[0] == "master"
}

func find(nodes []*Redis, addr string) (*Redis, error) {
	for _, n := range nodes {
		if n.Addr() == addr {
			return n, nil
		}
	}
	return nil, fmt.Errorf("no redis of ours is at %q", addr)
}

func addresses(nodes []*Redis) string {
	var all []string
	for _, n := range nodes {
		all = append(all, n.Addr())
	}
	return strings.Join(all, ",")
}

func revive(ctx context.Context, nodes []*Redis) (err error) {
	for _, n := range nodes {
		if !n.Running() {
			err = errors.Join(err, n.Start(ctx))
		}
	}
	return err
}

func closeAll(nodes []*Redis) (err error) {
	for _, n := range nodes {
		err = errors.Join(err, n.Close())
	}
	return err
}

// Keys is how many a server holds.
func (r *Redis) Keys(ctx context.Context) (int64, error) {
	said, err := tell(ctx, r.addr, "DBSIZE")
	n, _ := said.(int64)
	return n, err
}

// pause between two looks at a server that is being waited for.
const lookEvery = 20 * time.Millisecond

// AwaitKey waits until a server holds a key more than it did.
func (r *Redis) AwaitKey(ctx context.Context, limit time.Duration, was int64) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		if is, err := r.Keys(ctx); err == nil && is > was {
			return nil
		}
		select {
		case <-time.After(lookEvery):
		case <-ctx.Done():
			return fmt.Errorf("no new key in redis: %w", ctx.Err())
		}
	}
}
