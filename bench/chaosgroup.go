package main

import (
	"context"
	"time"

	"vitrine/bench/rig"
)

// groupFaults are Redis servers that change their parts, and one that only knows those it
// has met.
func groupFaults() []fault {
	return []fault{
		{
			number: 19, name: "Redis with TLS and a user of its own: killed, and back empty",
			set:   func(o *options) { o.topology = "secure" },
			start: func(_ context.Context, b *battle) error { return b.stage.redis.Kill() },
			stop:  func(ctx context.Context, b *battle) error { return b.stage.redis.Start(ctx) },
			judge: redisBreakerOpened,
		},
		{
			number: 19, name: "Redis absent at start", set: func(o *options) { o.pods = 2 },
			start: func(ctx context.Context, b *battle) error {
				if err := b.stage.redis.Kill(); err != nil {
					return err
				}
				return b.pod().restart(ctx)
			},
			stop:  func(ctx context.Context, b *battle) error { return b.stage.redis.Start(ctx) },
			waive: func(mark string) bool { return mark == "growth" }, // a new process starts small
			judge: func(r *outcome) {
				r.must(r.run.Ledger.Unanswered == 0, "requests without an answer %d, want 0", r.run.Ledger.Unanswered)
				redisBreakerOpened(r)
			},
		},
		{
			number: 19, name: "Redis killed beside 4 sidecars: how they come back",
			set:   func(o *options) { o.pods, o.relay = herd, true },
			start: func(_ context.Context, b *battle) error { return b.stage.redis.Kill() },
			stop: func(ctx context.Context, b *battle) error {
				b.noteAttempts()
				return b.stage.redis.Start(ctx)
			},
			judge: func(r *outcome) {
				redisBreakerOpened(r)
				r.must(r.notes["attempts"] > 0, "connections tried in the second half %.1f a second by each", r.notes["attempts"])
				r.must(r.notes["attempts"] <= maxAttempts, "of which allowed %d: no pile-up", maxAttempts)
				r.must(r.notes["together"] <= herdTogether, "those within %v of each other are %.2f on average, of the %d of %d sidecars in step, allowed %d", herdWithin, r.notes["together"], 2*herd, herd, herdTogether)
			},
		},
		failover("Sentinel told to fail over: READONLY", "sentinel", func(ctx context.Context, b *battle) (*rig.Redis, error) {
			former, err := b.stage.sentinels.Primary(ctx)
			if err != nil {
				return nil, err
			}
			if err := b.stage.sentinels.Demote(ctx); err != nil {
				return nil, err
			}
			return b.stage.sentinels.Successor(ctx, former)
		}),
		failover("Sentinel fails over: the primary killed", "sentinel", func(ctx context.Context, b *battle) (*rig.Redis, error) {
			former, err := b.stage.sentinels.Primary(ctx)
			if err != nil {
				return nil, err
			}
			if err := former.Kill(); err != nil {
				return nil, err
			}
			return b.stage.sentinels.Successor(ctx, former)
		}),
		failover("Cluster: slots change their server: MOVED", "cluster", func(ctx context.Context, b *battle) (*rig.Redis, error) {
			_, replica := b.stage.cluster.Pair(0)
			if err := b.stage.cluster.Promote(ctx, replica); err != nil {
				return nil, err
			}
			return replica, b.stage.cluster.AwaitPrimary(ctx, replica)
		}),
		failover("Cluster: a primary killed", "cluster", func(ctx context.Context, b *battle) (*rig.Redis, error) {
			primary, replica := b.stage.cluster.Pair(0)
			if err := primary.Kill(); err != nil {
				return nil, err
			}
			return replica, b.stage.cluster.AwaitPrimary(ctx, replica)
		}),
	}
}

// failover is a row in which another server takes over, which it names once that takes
// writes.
func failover(name, topology string, begin func(context.Context, *battle) (*rig.Redis, error)) fault {
	return fault{
		number: 20, name: name, set: func(o *options) { o.topology = topology },
		start: func(ctx context.Context, b *battle) error {
			began := time.Now()
			successor, err := begin(ctx, b)
			if err != nil {
				return err
			}
			b.notes["promoted"] = time.Since(began).Seconds()
			was, err := successor.Keys(ctx)
			if err != nil {
				return err
			}
			promoted := time.Now()
			if err := successor.AwaitKey(ctx, 2*writesBack, was); err != nil && ctx.Err() == nil {
				b.notes["never"] = 1
			}
			b.notes["written"] = time.Since(promoted).Seconds()
			sleep(ctx, writesBack-time.Since(promoted))
			return b.noteLookups(ctx, -1)
		},
		stop: func(ctx context.Context, b *battle) error {
			if err := b.noteLookups(ctx, 1); err != nil {
				return err
			}
			if b.stage.sentinels != nil {
				return b.stage.sentinels.Revive(ctx)
			}
			return b.stage.cluster.Revive(ctx)
		},
		judge: func(r *outcome) {
			all, answered := r.notes["lookups"], r.notes["answered"]
			r.must(all > 0 && answered >= 0.99*all, "reads of Redis answered, from 5 s after the promotion: %.0f of %.0f", answered, all)
			r.must(r.in.share(fresh) >= 0.95*r.before.share(fresh), "fresh answers %.1f %%, before %.1f %%", 100*r.in.share(fresh), 100*r.before.share(fresh))
			r.must(r.notes["never"] == 0, "a new session in the Redis that took over, %.2f s after the fault began", r.notes["promoted"])
			r.within(r.notes["written"] <= writesBack.Seconds(), "%.2f s after it did, allowed 5", r.notes["written"])
		},
	}
}

const (
	herd         = 4 // sidecars
	herdWithin   = 20 * time.Millisecond
	herdTogether = herd // half as many as in step, for a sidecar's try is two connections, mostly
	maxAttempts  = 10   // connections a second by each sidecar to a Redis that is away
)

// noteAttempts notes how the sidecars have tried to reach Redis since half-way through the
// fault.
func (b *battle) noteAttempts() {
	since := time.Now().Add(-b.phases.during / 2)
	var late []time.Time
	for _, at := range b.stage.relay.Asked() {
		if at.After(since) {
			late = append(late, at)
		}
	}
	b.notes["attempts"] = float64(len(late)) / time.Since(since).Seconds() / herd
	b.notes["together"] = together(late, herdWithin)
}

// together is how many instants, which are in order, there are on average in a group
// without a longer gap than within: 1 if they keep apart.
func together(at []time.Time, within time.Duration) float64 {
	groups := 0
	for i := range at {
		if i == 0 || at[i].Sub(at[i-1]) > within {
			groups++
		}
	}
	return float64(len(at)) / float64(max(1, groups))
}
