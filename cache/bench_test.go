package cache_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
	"vitrine/internal/redistest"
)

// BenchmarkHit is what the journey asks of the cache for a page seen before.
func BenchmarkHit(b *testing.B) {
	c := memory(b, func(o *cache.Options) { o.Memory = 64 << 20 })
	events := make([]reco.Event, 4096)
	for i := range events {
		events[i] = view(fmt.Sprintf("session-%016x", i*7919), fmt.Sprintf("product-%d", i))
		learn(b, c, events[i], ranking("p1", "p2"))
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			e := events[i%len(events)]
			c.Accept(e)
			if c.Peek(e, time.Now()).Status != cache.Fresh {
				b.Error("not a fresh hit")
			}
		}
	})
}

// BenchmarkLookup is a hit in Redis, from a memory too small to help.
func BenchmarkLookup(b *testing.B) {
	server := redistest.Start(b)
	shared := connect(b, server.URL())
	here := pod(b, shared, func(o *cache.Options) { o.Memory = 64 << 20 })
	there := pod(b, shared, func(o *cache.Options) { o.Memory = 64 << 10 })
	events := make([]reco.Event, 1024)
	for i := range events {
		events[i] = view(fmt.Sprintf("session-%016x", i*7919), fmt.Sprintf("product-%d", i))
		learn(b, here, events[i], ranking(strings.Repeat("x", 600)))
		ask(here, view(events[i].Session, "other")) // its turn comes after the ranking's
	}
	deadline := time.Now().Add(time.Hour)
	b.ReportAllocs()
	b.Run("sequential", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if there.Lookup(events[i%len(events)], deadline, nil).Status != cache.Fresh {
				b.Fatal("not a fresh hit")
			}
		}
	})
	b.Run("64", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for i := 0; pb.Next(); i++ {
				if there.Lookup(events[i%len(events)], deadline, nil).Status != cache.Fresh {
					b.Error("not a fresh hit")
				}
			}
		})
	})
}

// BenchmarkResident reports what memory the process really has for each byte of the
// bodies it holds, and for each byte the cache thinks it holds.
func BenchmarkResident(b *testing.B) {
	for b.Loop() {
		before := heap()
		c := memory(b, func(o *cache.Options) { o.Memory = 64 << 20 })
		bodies := 0
		for i := range 100_000 {
			e := view(fmt.Sprintf("session-%016x", i/3), fmt.Sprintf("product-%d", i))
			body := ranking(fmt.Sprintf("p%07d", i), strings.Repeat("x", 600-len(`{"products":["p1234567",""]}`)))
			bodies = len(body.JSON())
			learn(b, c, e, body)
		}
		stats := c.Stats()
		used := float64(heap() - before)
		b.ReportMetric(used/float64(stats.Entries*int64(bodies)), "resident/body")
		b.ReportMetric(used/float64(stats.Bytes), "resident/counted")
		b.ReportMetric(float64(stats.Entries), "entries")
		runtime.KeepAlive(c)
	}
}

func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	time.Sleep(10 * time.Millisecond) // otter's maintenance, if any is left
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
