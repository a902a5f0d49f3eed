package redis_test

import (
	"strings"
	"testing"
	"time"

	driver "github.com/redis/go-redis/v9"

	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// BenchmarkPipe compares what a request pays for one value of 600 bytes with go-redis
// as it comes: one caller after the other, and 64 at once.
func BenchmarkPipe(b *testing.B) {
	server := redistest.Start(b)
	server.Do("SET", "k", strings.Repeat("x", 600))
	c, _ := connect(b, server.URL(), patient)
	bare := driver.NewClient(&driver.Options{Addr: server.Addr})
	b.Cleanup(func() { _ = bare.Close() })

	ways := map[string]func() error{
		"bare": func() error { return bare.Get(b.Context(), "k").Err() },
		"pipe": func() error {
			done := make(chan error, 1)
			err := c.Pipe(redis.Batch{
				Op: redis.OpLookup, Key: "k", Commands: []redis.Command{command("get", "k")},
				Done: func(_ []any, err error) { done <- err },
			})
			if err != nil {
				return err
			}
			timer := time.NewTimer(time.Second)
			defer timer.Stop()
			select {
			case err = <-done:
			case <-timer.C:
			}
			return err
		},
	}
	for _, name := range []string{"bare", "pipe"} {
		b.Run(name+"/sequential", func(b *testing.B) {
			for b.Loop() {
				if err := ways[name](); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/64", func(b *testing.B) {
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := ways[name](); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
