package fallback_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/fallback"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// The same with a real Redis as with the fake of the other tests: one fetch, and
// every pod has the list.
func TestPodsShareARealRedis(t *testing.T) {
	server := redistest.Start(t)
	shop := &shopFake{takes: 50 * time.Millisecond}
	var pods []*fallback.Natives
	for range 3 {
		pods = append(pods, start(t, fallback.NativeOptions{
			Platform: shop, Shared: newRedis(t, server.URL()),
			Patience: 10 * time.Second, // this is about what is shared, not when
		}))
	}
	var askers sync.WaitGroup
	for i, pod := range pods {
		askers.Go(func() {
			if got := ask(pod, view("c"), 10*time.Second); fmt.Sprint(got.ids) != "[c1 c2]" {
				t.Errorf("pod %d: got %+v", i, got)
			}
		})
	}
	askers.Wait()
	if got := shop.asked(); len(got) != 1 {
		t.Errorf("got fetches %q, want one", got)
	}
	deadline := time.Now().Add(10 * time.Second)
	for server.Do("DBSIZE") != "1" {
		if time.Now().After(deadline) {
			t.Fatalf("got %s keys, want the list's alone, without its lease", server.Do("DBSIZE"))
		}
		time.Sleep(time.Millisecond)
	}
}

func newRedis(t *testing.T, url string) *redis.Client {
	t.Helper()
	guard, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	c, err := redis.New(redis.Options{URL: url, Budget: 5 * time.Millisecond, Breaker: guard, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:usetesting // it outlives the test's own, by its pods
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}
