package main

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// runUntilEnd runs a part as long as the test, with what is below it still there.
func runUntilEnd(t *testing.T, run func(context.Context) error) {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
}

func newStockStore(t *testing.T, url string) stockStore {
	t.Helper()
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	client, err := redis.New(redis.Options{URL: url, Budget: time.Second, Breaker: b, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	runUntilEnd(t, client.Run)
	return stockStore{client, "v1:stock:shop"}
}

// stockPod is the catalogue of one of several pods.
func stockPod(t *testing.T, s stockStore) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(catalog.Defaults(), s, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	runUntilEnd(t, c.Run)
	return c
}

func pushTo(t *testing.T, c *catalog.Catalog, stock ...reco.Stock) {
	t.Helper()
	if err := c.Push(t.Context(), stock); err != nil {
		t.Fatal(err)
	}
}

// waitUntil polls, since a real Redis takes real time.
func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestStockIsSharedThroughRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStockStore(t, server.URL())
	here, there := stockPod(t, store), stockPod(t, newStockStore(t, server.URL()))
	waitUntil(t, "both listen", func() bool { return server.Do("PUBLISH", store.name, "[]") == "2" })

	pushTo(t, here, reco.Stock{ID: "a", Quantity: 0}, reco.Stock{ID: "b", Quantity: 7})
	waitUntil(t, "the other pod knows", func() bool {
		return there.Stock("a") == catalog.Stock{SoldOut: true} && there.Stock("b") == catalog.Stock{Quantity: 7}
	})
	pushTo(t, there, reco.Stock{ID: "a", Quantity: 3})
	waitUntil(t, "the first pod knows the later level", func() bool { return here.Stock("a").Quantity == 3 })

	// A pod that was not there when it was published reads it.
	late := stockPod(t, newStockStore(t, server.URL()))
	waitUntil(t, "the new pod knows", func() bool { return late.Stock("a").Quantity == 3 && late.Stock("b").Quantity == 7 })
	for _, id := range []string{"a", "b"} {
		if life, err := strconv.Atoi(server.Do("PTTL", store.key(stockShard(id)))); err != nil || life <= 0 {
			t.Errorf("%s: got a life of %d ms, want one that ends", id, life)
		}
	}
}

// A message that was missed is caught up with: here nobody was told at all.
func TestMissedStockIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newStockStore(t, "embedded")
		time.Sleep(time.Second)
		c := stockPod(t, store)
		time.Sleep(time.Second)
		level := catalog.Level{ID: "a", Quantity: 0, At: time.Now()}
		if _, err := store.keep(t.Context(), store.key(stockShard("a")), []catalog.Level{level}, time.Hour); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := c.Stock("a"); got.SoldOut {
			t.Errorf("got %+v at once, though nobody was told", got)
		}
		time.Sleep(70 * time.Second)
		synctest.Wait()
		if got := c.Stock("a"); !got.SoldOut {
			t.Errorf("got %+v after a minute, want it sold out", got)
		}
	})
}

// Redis away holds up nothing, and gets what it missed when it is back, empty.
func TestStockOutlivesRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStockStore(t, server.URL())
	c := stockPod(t, store)
	pushTo(t, c, reco.Stock{ID: "a", Quantity: 4})
	server.Kill()
	if err := c.Push(t.Context(), []reco.Stock{{ID: "a", Quantity: 0}}); err == nil {
		t.Error("got no error, want the push not shared")
	}
	if !c.Stock("a").SoldOut {
		t.Error("the push does not hold here")
	}
	server.Start()
	levels := []catalog.Level{{ID: "a", Quantity: 0, At: time.Now()}}
	waitUntil(t, "it is saved again", func() bool { return store.Save(t.Context(), levels, time.Hour) == nil })
	got, err := store.Load(t.Context())
	if err != nil || len(got) != 1 || got[0].ID != "a" || got[0].Quantity != 0 {
		t.Errorf("got %+v, %v, want the level", got, err)
	}
}

func TestSaveKeepsTheNewest(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStockStore(t, server.URL())
	key := store.key(stockShard("a"))
	now := time.Now().Truncate(time.Millisecond)
	level := func(quantity int, after time.Duration) catalog.Level {
		return catalog.Level{ID: "a", Quantity: quantity, At: now.Add(after)}
	}
	for _, c := range []struct {
		what  string
		level catalog.Level
		fresh bool
		kept  int
	}{
		{"the first", level(5, 0), true, 5},
		{"the same again", level(5, 0), false, 5},
		{"an older one", level(9, -time.Second), false, 5},
		{"more in the same moment", level(6, 0), false, 5},
		{"less in the same moment", level(4, 0), true, 4},
		{"a newer one", level(8, time.Second), true, 8},
		{"one from the future", level(1, time.Hour), false, 8},
	} {
		waitUntil(t, "redis answers", func() bool { return store.redis.Ready() == nil })
		fresh, err := store.keep(t.Context(), key, []catalog.Level{c.level}, time.Hour)
		if err != nil || len(fresh) == 1 != c.fresh {
			t.Errorf("%s: got %v new, %v, want %t", c.what, fresh, err, c.fresh)
		}
		if got, want := server.Do("HGET", key, "a"), fmt.Sprint(" ", c.kept); !strings.HasSuffix(got, want) {
			t.Errorf("%s: got %q kept, want %d", c.what, got, c.kept)
		}
	}
}

// What is in Redis may be anything.
func TestHostileStock(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStockStore(t, server.URL())
	c := stockPod(t, store)
	waitUntil(t, "it listens", func() bool { return server.Do("PUBLISH", store.name, "[]") == "1" })
	now := time.Now().UnixMilli()
	for _, message := range []string{
		"", "{", "[", "null", `[{"id":1}]`, `{"id":"a"}`, strings.Repeat("[", 5000),
		fmt.Sprintf(`[{"id":"far","quantity":0,"at":%d},{"id":"%s","quantity":0,"at":%d}]`, now+1e9, strings.Repeat("x", 300), now),
		fmt.Sprintf(`[{"id":"minus","quantity":-1,"at":%d},{"id":"sound","quantity":0,"at":%d}]`, now, now),
	} {
		server.Do("PUBLISH", store.name, message)
	}
	waitUntil(t, "the sound one of them holds", func() bool { return c.Stock("sound").SoldOut })
	if got := c.Stats().Pushed; got != 1 {
		t.Errorf("got %d levels, want the sound one", got)
	}

	key := store.key(stockShard("a"))
	for _, value := range []string{"", "x", "1", "1 ", " 1", "-1 2", fmt.Sprint(now+1e9, " 0"), "99999999999999999999 1", "0x10 1"} {
		server.Do("HSET", key, "a", value)
		level := catalog.Level{ID: "a", Quantity: 2, At: time.UnixMilli(now)}
		fresh, err := store.keep(t.Context(), key, []catalog.Level{level}, time.Hour)
		if err != nil || len(fresh) != 1 {
			t.Errorf("%q: got %v, %v, want it to give way", value, fresh, err)
		}
		server.Do("HSET", key, "b", value)
		if _, err := store.Load(t.Context()); err != nil {
			t.Errorf("%q: loading: %v", value, err)
		}
	}
	server.Do("SET", store.key(0), "not a hash")
	if _, err := store.Load(t.Context()); err != nil {
		t.Errorf("a key that is no hash: %v", err)
	}
	if fresh, err := store.keep(t.Context(), store.key(0), []catalog.Level{{ID: "z", At: time.UnixMilli(now)}}, time.Hour); err != nil || len(fresh) != 1 {
		t.Errorf("into a key that is no hash: got %v, %v, want it to give way", fresh, err)
	}
}

func TestStockInRedisIsBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	store := newStockStore(t, server.URL())
	waitUntil(t, "redis answers", func() bool { return store.redis.Ready() == nil })
	key, start := store.key(3), time.Now().Add(-time.Hour)
	for from := 0; from <= mostStock; from += stockBatch {
		batch := make([]catalog.Level, stockBatch)
		for i := range batch {
			batch[i] = catalog.Level{ID: "p" + strconv.Itoa(from+i), At: start.Add(time.Duration(from+i) * time.Millisecond)}
		}
		if _, err := store.keep(t.Context(), key, batch, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.Do("HLEN", key); got != strconv.Itoa(keptStock) {
		t.Errorf("got %s fields, want the newest %d", got, keptStock)
	}
	if server.Do("HEXISTS", key, "p0") != "0" || server.Do("HEXISTS", key, "p"+strconv.Itoa(mostStock)) != "1" {
		t.Error("the oldest should have gone, and the newest stayed")
	}
}
