package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/rig"
)

// slowRedis is how much later than it would a slow Redis answers.
const slowRedis = 50 * time.Millisecond

// redisFaults are a Redis that is there and does not do as it is told.
func redisFaults() []fault {
	return []fault{
		{
			number: 19, name: "Redis 50 ms late",
			set:   func(o *options) { o.relay = true },
			start: func(_ context.Context, b *battle) error { b.stage.relay.Delay(slowRedis); return nil },
			stop:  func(_ context.Context, b *battle) error { b.stage.relay.Delay(0); return nil },
			judge: redisBreakerOpened,
		},
		{
			number: 20, name: "Redis full",
			start: refuseWrites("CONFIG", "SET", "maxmemory", "1"),
			stop:  allowWrites("CONFIG", "SET", "maxmemory", "0"),
			judge: judgeRefusing,
		},
		{
			// Its new primary is a port of this machine where nobody is, so that it keeps
			// what it has and answers reads, as a demoted primary does.
			number: 20, name: "READONLY after a failover",
			start: refuseWrites("REPLICAOF", "127.0.0.1", "1"),
			stop:  allowWrites("REPLICAOF", "NO", "ONE"),
			judge: judgeRefusing,
		},
	}
}

// withRedis does something with a connection of its own.
func withRedis(b *battle, do func(*redis.Client) error) error {
	client := redis.NewClient(&redis.Options{Addr: b.stage.redis.Addr()})
	defer client.Close()
	return do(client)
}

// refuseWrites tells Redis a command after which it refuses writes, and makes sure that
// it does.
func refuseWrites(command ...any) func(context.Context, *battle) error {
	return func(ctx context.Context, b *battle) error {
		return withRedis(b, func(client *redis.Client) error {
			if err := client.Do(ctx, command...).Err(); err != nil {
				return err
			}
			if err := client.Set(ctx, "bench", "x", time.Second).Err(); err == nil {
				return fmt.Errorf("redis takes writes after %v", command)
			}
			return b.noteLookups(ctx, -1)
		})
	}
}

// writesBack is how long after the fault Redis may be without a new session.
const writesBack = 5 * time.Second

// allowWrites tells Redis a command after which it takes writes, and notes how long it is
// until it holds a session it did not.
func allowWrites(command ...any) func(context.Context, *battle) error {
	return func(ctx context.Context, b *battle) error {
		return withRedis(b, func(client *redis.Client) error {
			if err := b.noteLookups(ctx, 1); err != nil {
				return err
			}
			was, err := client.DBSize(ctx).Result()
			if err != nil {
				return err
			}
			if err := client.Do(ctx, command...).Err(); err != nil {
				return err
			}
			began := time.Now()
			for is := was; is <= was && time.Since(began) < 2*writesBack && sleep(ctx, 50*time.Millisecond); {
				if is, err = client.DBSize(ctx).Result(); err != nil {
					return err
				}
			}
			b.notes["written"] = time.Since(began).Seconds()
			return nil
		})
	}
}

// noteLookups adds up, with the sign, the sidecar's reads of Redis and those answered.
func (b *battle) noteLookups(ctx context.Context, sign float64) error {
	m, err := b.pod().current().Metrics(ctx)
	if err != nil {
		return err
	}
	all, answered := lookups(m)
	b.notes["lookups"] += sign * all
	b.notes["answered"] += sign * answered
	return nil
}

// lookups counts the reads of Redis and those it answered, in time or late.
func lookups(m rig.Metrics) (all, answered float64) {
	for _, outcome := range []string{"ok", "late", "timeout", "failed", "refused"} {
		n := m[fmt.Sprintf(`vitrine_redis_operations_total{op="lookup",outcome=%q}`, outcome)]
		all += n
		if outcome == "ok" || outcome == "late" {
			answered += n
		}
	}
	return all, answered
}

func judgeRefusing(r *outcome) {
	all, answered := r.notes["lookups"], r.notes["answered"]
	r.must(all > 0 && answered >= 0.99*all, "reads of Redis answered %.0f of %.0f", answered, all)
	r.must(r.in.share(fresh) >= 0.95*r.before.share(fresh), "fresh answers %.1f %%, before %.1f %%", 100*r.in.share(fresh), 100*r.before.share(fresh))
	r.within(r.notes["written"] <= writesBack.Seconds(), "a new session in Redis after %.2f s, allowed 5", r.notes["written"])
}
