package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/check"
	"vitrine/bench/report"
)

const soakHelp = `Offers a steady load for long, with new sessions all the time, and shows what grows:
the sidecars' memory, goroutines and files, the journal, Redis. A figure passes if its
trend over the measured time is flat; saw teeth and a peak are no trend. Every key in
Redis must have a life.

What is remembered is forgotten or full within the warm-up here (cache.stale is 90 s,
not 30 minutes, and cache.memory 8 MiB, not 64, of which the states of sessions fill
an eighth), so that what still grows afterwards has no bound.
`

// soakDefaults come before the flags, which may change them.
func soakDefaults() []string {
	return []string{"-dur=30m", "-warm=10m", "-rate=150", "-set=VITRINE_CACHE_STALE=90s", "-set=VITRINE_CACHE_MEMORY=8MiB"}
}

// cmdSoak runs a scenario and judges what grows.
func cmdSoak(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	sc, o, code, done := scenarioFlags("soak", soakHelp, append(soakDefaults(), args...), stdout, stderr)
	if done {
		return code
	}
	run := &report.Run{Title: "soak, " + o.describe(sc.name), Command: "go run ./bench soak " + strings.Join(args, " ")}
	sponge := newSponge()
	err := onStage(ctx, o, run, func(t *trial) error {
		beside := func(ctx context.Context) error { return sponge.watch(ctx, t.stage, o.length) }
		return t.offer(ctx, o.plan(sc.rate(o), t.stage.catalogue), beside, run, newProgress(stderr, os.Getenv))
	})
	if err != nil {
		return failed(stderr, err)
	}
	run.Trends = sponge.judge()
	if sponge.immortal != "" {
		run.Violations = append(run.Violations, check.Finding{Kind: check.Immortal, Count: 1, Example: sponge.immortal})
	}
	code = deliver(run, o, stdout, stderr)
	if grows := slices.ContainsFunc(run.Trends, func(t *report.Trend) bool { return !t.Pass }); grows && (code == exitOK || code == exitLimited) {
		return exitObjective
	}
	return code
}

// figure is something that must not grow: by its trend, at most by a share, or by so
// many units if that is more.
type figure struct {
	name, unit   string
	share, units float64
}

// figures are the bounds. Half an hour of growth by a twentieth is two and a half times the size in a
// day: more than noise and less than anybody would bear.
func figures() []figure {
	const mega = 1 << 20
	return []figure{
		{"memory", "B", 0.05, 4 * mega},
		{"goroutines", "", 0.05, 8},
		{"open files", "", 0.05, 8},
		{"journal files", "", 0.05, 2},
		{"journal bytes", "B", 0.05, 4 * mega},
		{"events pending", "", 0.05, 20},
		{"cache bytes", "B", 0.05, mega},
		{"keys in Redis", "", 0.05, 200},
		{"memory of Redis", "B", 0.05, mega},
	}
}

// sponge looks at everything that may grow.
type sponge struct {
	trends   map[string]*report.Trend
	immortal string // a key without a life, "" if none was seen
}

func newSponge() *sponge {
	s := &sponge{trends: make(map[string]*report.Trend)}
	for _, f := range figures() {
		s.trends[f.name] = &report.Trend{Name: f.name, Unit: f.unit}
	}
	return s
}

// watch looks every so often, until the run is over or ctx ends.
func (s *sponge) watch(ctx context.Context, on *stage, length time.Duration) error {
	var client *redis.Client
	if on.redis != nil {
		client = redis.NewClient(&redis.Options{Addr: on.redis.Addr()})
		defer client.Close()
	}
	pause := min(5*time.Second, length/20)
	for began := time.Now(); sleep(ctx, pause); {
		at := time.Since(began).Seconds()
		if err := s.lookAtPods(ctx, on, at); err != nil && ctx.Err() == nil {
			return err
		}
		if client != nil {
			if err := s.lookAtRedis(ctx, client, at); err != nil && ctx.Err() == nil {
				return err
			}
		}
	}
	return nil
}

func (s *sponge) lookAtPods(ctx context.Context, on *stage, at float64) error {
	sum := make(map[string]float64)
	for _, p := range on.pods {
		sidecar := p.current()
		m, err := sidecar.Metrics(ctx)
		if err != nil {
			return err
		}
		files, size, err := weigh(sidecar.Outbox())
		if err != nil {
			return err
		}
		u := sidecar.Usage()
		sum["memory"] += float64(u.Resident)
		sum["open files"] += float64(u.Files)
		sum["goroutines"] += m["go_goroutines"]
		sum["events pending"] += float64(m.Events().Pending)
		sum["cache bytes"] += m.Sum("vitrine_cache_bytes")
		sum["journal files"] += float64(files)
		sum["journal bytes"] += float64(size)
	}
	for name, v := range sum {
		s.note(name, at, v)
	}
	return nil
}

// weigh adds up a folder's files, as far as they are there: they come and go meanwhile.
func weigh(folder string) (files int, size int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return gone(err)
		}
		info, err := entry.Info()
		if err != nil {
			return gone(err)
		}
		files++
		size += info.Size()
		return nil
	})
	return files, size, gone(err)
}

func gone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// lookAtRedis counts the keys, and looks at the life of each.
func (s *sponge) lookAtRedis(ctx context.Context, client *redis.Client, at float64) error {
	keys, err := client.DBSize(ctx).Result()
	if err != nil {
		return fmt.Errorf("counting keys: %w", err)
	}
	s.note("keys in Redis", at, float64(keys))
	info, err := client.InfoMap(ctx, "memory").Result()
	if err != nil {
		return fmt.Errorf("asking for the memory: %w", err)
	}
	if used, err := strconv.ParseFloat(info["Memory"]["used_memory"], 64); err == nil {
		s.note("memory of Redis", at, used)
	}
	if s.immortal == "" {
		s.immortal, err = keyWithoutLife(ctx, client)
	}
	return err
}

// keyWithoutLife returns a key that has no life, "" if every one has.
func keyWithoutLife(ctx context.Context, client *redis.Client) (string, error) {
	for cursor := uint64(0); ; {
		keys, next, err := client.Scan(ctx, cursor, "*", 1000).Result()
		if err != nil {
			return "", fmt.Errorf("listing keys: %w", err)
		}
		lives := make([]*redis.DurationCmd, len(keys))
		_, err = client.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, key := range keys {
				lives[i] = p.PTTL(ctx, key)
			}
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("asking for lives: %w", err)
		}
		for i, life := range lives {
			if life.Val() == -1 { // -2 is one that has just gone
				return keys[i], nil
			}
		}
		if cursor = next; cursor == 0 {
			return "", nil
		}
	}
}

func (s *sponge) note(name string, at, value float64) {
	t := s.trends[name]
	t.At, t.Values = append(t.At, at), append(t.Values, value)
}

// judge returns the trends that were looked at, in the order of the figures.
func (s *sponge) judge() (trends []*report.Trend) {
	for _, f := range figures() {
		if t := s.trends[f.name]; len(t.Values) > 0 {
			t.Flat(f.share, f.units)
			trends = append(trends, t)
		}
	}
	return slices.Clip(trends)
}
