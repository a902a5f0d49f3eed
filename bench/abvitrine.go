package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/baseline"
	"vitrine/bench/rig"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// vitrineTarget is a sidecar with its own API and, if the work needs it, Redis.
type vitrineTarget struct {
	*httpTarget
	sidecar *rig.Sidecar
	redis   *rig.Redis // nil if there is none

	slow     func()       // lets the API take its time from now on
	upstream *wire.Client // to the API, if it is a process of its own
}

// openVitrine starts a sidecar and asks every question once, so that the answers are
// where the work wants them.
func openVitrine(ctx context.Context, w work, unix bool) (target, error) {
	t := &vitrineTarget{httpTarget: newHTTPTarget("", traffic.Path, w)}
	err := t.start(ctx, unix)
	if err == nil {
		err = t.warm(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, t.close())
	}
	if w.kind == "deliver" {
		return deliverer{t}, nil
	}
	return t, nil
}

// leastTier is the least memory a sidecar takes: about a thousand rankings of 24 ids.
const leastTier = "1MiB"

// start starts the sidecar, and Redis if the work needs it.
func (t *vitrineTarget) start(ctx context.Context, unix bool) (err error) {
	w := t.work
	o := rig.Options{Binary: w.binary, Token: "ab", Unix: unix, CPUs: w.cpus(), Env: map[string]string{
		"VITRINE_BUDGET": "5s", "VITRINE_CACHE_FRESH": "10h", "VITRINE_CACHE_FRESH_EVENTS": "0",
	}}
	if o.Upstream, err = t.startUpstream(ctx); err != nil {
		return err
	}
	if w.kind == "redis-hit" {
		o.Env["VITRINE_CACHE_MEMORY"] = leastTier
		o.Env["VITRINE_REDIS_BUDGET"] = "1s" // a closed loop waits for Redis, however long
		if t.redis, err = rig.StartRedis(ctx); err != nil {
			return err
		}
		t.closers = append(t.closers, t.redis.Close)
		o.Redis = t.redis.URL()
	}
	maps.Copy(o.Env, w.env)
	if o.Binary == "" {
		dir, err := os.MkdirTemp("", "vitrine-bench-")
		if err != nil {
			return err
		}
		t.closers = append(t.closers, func() error { return os.RemoveAll(dir) })
		if o.Binary, err = rig.Build(ctx, dir); err != nil {
			return err
		}
	}
	if t.sidecar, err = rig.StartSidecar(ctx, o); err != nil {
		return err
	}
	t.closers = append(t.closers, t.sidecar.Close)
	t.client, t.usage = wire.NewClient(t.sidecar.Addr(), false), t.sidecar.Usage
	return nil
}

// startUpstream starts the API, in a process of its own if it shall not disturb the
// measuring of a client. It answers at once while questions are asked for the first time.
func (t *vitrineTarget) startUpstream(ctx context.Context) (url string, err error) {
	if t.work.kind == "deliver" {
		child, err := startUpstream(ctx, t.work)
		if err != nil {
			return "", err
		}
		t.closers = append(t.closers, child.Close)
		t.upstream = wire.NewClient(child.Addr(), false)
		return "http://" + child.Addr(), nil
	}
	upstream, err := baseline.StartUpstream(ctx, t.work.ids)
	if err != nil {
		return "", err
	}
	t.closers = append(t.closers, upstream.Close)
	t.slow = func() { upstream.Delay(t.work.delay) }
	return upstream.URL(), nil
}

// warm brings the answers to where they should come from.
func (t *vitrineTarget) warm(ctx context.Context) error {
	if t.slow != nil {
		defer t.slow()
	}
	switch t.work.kind {
	case "native":
		t.source = "native"
		return t.sidecar.Override(ctx, "recommendation", "open", time.Hour)
	case "miss":
		t.source = "api"
		return nil
	}
	if err := t.prime(ctx); err != nil { // the first answer to each is the API's
		return err
	}
	t.asked.Store(0) // the share of others is of what is measured
	t.source = "cache"
	if t.work.kind == "redis-hit" {
		t.detail = "detail=redis"
	}
	return nil
}

func (t *vitrineTarget) collect(ctx context.Context) error { return t.sidecar.Collect(ctx) }

// notes say what the sidecar went through, which belongs to its figures.
func (t *vitrineTarget) notes(ctx context.Context, side string) []string {
	m, err := t.sidecar.Metrics(ctx)
	if err != nil {
		return []string{side + " does not tell how it went: " + err.Error()}
	}
	e := m.Events()
	said := []string{fmt.Sprintf("%s: %d events accepted, %d delivered, %d waiting, %d dropped; %.1f MiB of rankings in memory; %.0f collections",
		side, e.Accepted, e.Delivered, e.Pending, e.Dropped, m["vitrine_cache_bytes"]/(1<<20), m["go_gc_duration_seconds_count"])}
	if t.redis == nil {
		return said
	}
	client := redis.NewClient(&redis.Options{Addr: t.redis.Addr()})
	defer func() { _ = client.Close() }()
	clients, err := client.ClientList(ctx).Result()
	if err != nil {
		return append(said, side+": Redis does not tell its connections: "+err.Error())
	}
	return append(said, fmt.Sprintf("%s: %d connections to Redis", side, strings.Count(clients, "\n")-1)) // one is ours
}

// deliverer is a sidecar that is not asked but watched while it delivers.
type deliverer struct{ *vitrineTarget }

// watch lets it accept more than it can deliver in the time, and then delivers only.
func (t deliverer) watch(ctx context.Context, length time.Duration) (round, error) {
	most := int64(bulkhead * (length + time.Second).Seconds() / t.work.delay.Seconds())
	m, err := t.sidecar.Metrics(ctx)
	if err != nil {
		return round{}, err
	}
	if err := t.ask(ctx, int(max(0, most-m.Events().Pending))); err != nil {
		return round{}, err
	}
	sleep(ctx, 50*time.Millisecond) // what answered has come to rest
	before, err := eventsAt(t.upstream)
	if err != nil {
		return round{}, err
	}
	cpu, began := t.sidecar.Usage().CPU, time.Now()
	sleep(ctx, length)
	used, took := t.sidecar.Usage().CPU-cpu, time.Since(began)
	after, err := eventsAt(t.upstream)
	if err != nil {
		return round{}, err
	}
	n := float64(after - before)
	if n < 1 {
		return round{}, errors.New("the sidecar delivers nothing")
	}
	return round{rate: n / took.Seconds(), cpu: used.Seconds() / n}, nil
}
