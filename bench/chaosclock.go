package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/check"
	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
)

// In the clock's row the API has nothing but empty lists for a moment four times, so that
// one can see what is still held: twice with the clock as it is, for each time leaves less
// held for the next than there was at first, then as the clock is set ahead, then back. At
// last it goes away; events wait for it as the clock is set right, and it stays away until
// nothing may be held any more.
const (
	clockFresh  = 15 * time.Second
	clockStale  = 10 * time.Second
	clockEmpty  = 4 * time.Second // the clock being set at the beginning
	clockBack   = 6 * time.Second // with an API that is well, until the next time
	clockWait   = 2 * time.Second // without it, until the clock is right
	clockMortal = clockWait + (clockFresh+clockStale)*11/10 + time.Second
	clockProof  = 5 * time.Second // beyond that
)

// clockJumps are what the clock is set ahead by, the second for comparison.
func clockJumps() []time.Duration { return []time.Duration{0, 0, time.Hour, -time.Hour} }

// clockLength is how long all that takes.
func clockLength() time.Duration {
	return time.Duration(len(clockJumps()))*(clockEmpty+clockBack) + clockMortal + clockProof
}

func clockFaults() []fault {
	return []fault{{
		number: 26, name: "clock an hour ahead, then an hour behind", needs: rig.CanJumpClock,
		during: clockLength(), after: 30 * time.Second,
		set: func(o *options) {
			o.clock, o.rate, o.settle = true, 200, 3*time.Minute
			o.env["VITRINE_CACHE_FRESH"], o.env["VITRINE_CACHE_STALE"] = clockFresh.String(), clockStale.String()
		},
		start: turnClock, judge: judgeClock,
	}}
}

// turnClock does all of the above, and notes when each part began.
func turnClock(ctx context.Context, b *battle) error {
	clock := b.pod().current()
	for i, ahead := range clockJumps() {
		was, _, err := b.redisLives(ctx)
		if err != nil {
			return err
		}
		b.notes[fmt.Sprint("empty", i)] = time.Since(b.trial.start).Seconds()
		if err := errors.Join(b.stage.api.Set(fakeapi.Fault{Answer: fakeapi.EmptyList}), clock.SetClock(ahead)); err != nil {
			return err
		}
		sleep(ctx, clockEmpty)
		is, longest, err := b.redisLives(ctx)
		if err != nil {
			return err
		}
		b.notes[fmt.Sprint("kept", i)] = float64(is) / float64(max(1, was))
		b.notes["longest"] = max(b.notes["longest"], longest.Seconds())
		b.stage.api.Clear()
		sleep(ctx, clockBack)
	}
	b.notes["mortal"] = time.Since(b.trial.start).Seconds()
	if err := b.stage.api.Set(fakeapi.Fault{Answer: fakeapi.Refuse}); err != nil {
		return err
	}
	sleep(ctx, clockWait)
	err := clock.SetClock(0)
	sleep(ctx, clockMortal+clockProof-clockWait)
	return err
}

// immortal is the life of a key that has no end.
const immortal = 1000 * time.Hour

// redisLives returns how many keys Redis holds and the longest life any has left.
func (b *battle) redisLives(ctx context.Context) (n int, longest time.Duration, err error) {
	err = withRedis(b, func(client *redis.Client) error {
		for cursor := uint64(0); ; {
			keys, next, err := client.Scan(ctx, cursor, "*", 1000).Result()
			if err != nil {
				return err
			}
			lives, err := livesOf(ctx, client, keys)
			if err != nil {
				return err
			}
			for _, life := range lives {
				n, longest = n+1, max(longest, life)
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
	return n, longest, err
}

// livesOf returns the lives left of those keys that are still there.
func livesOf(ctx context.Context, client *redis.Client, keys []string) (lives []time.Duration, err error) {
	replies := make([]*redis.DurationCmd, len(keys))
	_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, key := range keys {
			replies[i] = p.PTTL(ctx, key)
		}
		return nil
	})
	for _, r := range replies {
		switch left := r.Val(); left {
		case -2: // gone
		case -1:
			lives = append(lives, immortal)
		default:
			lives = append(lives, left)
		}
	}
	return lives, err
}

func judgeClock(r *outcome) {
	seconds := func(note string) time.Duration { return time.Duration(r.notes[note] * float64(time.Second)) }
	held := func(class string) bool { return class == check.Cache || class == check.Stale }
	shares := make([]float64, len(clockJumps()))
	var kept []string
	least := 1.0
	for i := range clockJumps() {
		from := seconds(fmt.Sprint("empty", i)) + 500*time.Millisecond // who asked before is answered well
		shares[i] = 100 * r.stretch(from, from+clockEmpty-500*time.Millisecond).share(held)
		least = min(least, r.notes[fmt.Sprint("kept", i)])
		kept = append(kept, fmt.Sprintf("%.2f", r.notes[fmt.Sprint("kept", i)]))
	}
	r.must(shares[2] >= shares[1]-10 && shares[3] >= shares[1]-10,
		"answers from what is held, the API having none: %.1f %%, %.1f %% with the clock right, %.1f %% ahead, %.1f %% behind, allowed 10 points of chance", shares[0], shares[1], shares[2], shares[3])
	r.must(least >= 0.9, "keys in Redis × %s meanwhile, want no fewer than × 0.9", strings.Join(kept, ", × "))
	r.must(r.run.Events.Expired == 0 && r.run.Events.Dropped == 0, "events expired %d, dropped %d, want 0", r.run.Events.Expired, r.run.Events.Dropped)
	over := r.stretch(seconds("mortal")+clockMortal, r.to)
	old := over.classes[check.Cache] + over.classes[check.Stale]
	r.must(over.n > 0 && old == 0, "answers from what is older than it may get: %d of %d, want 0", old, over.n)
	r.must(r.notes["longest"] < immortal.Seconds(), "longest life of a key in Redis %.0f s, none without an end", r.notes["longest"])
}
