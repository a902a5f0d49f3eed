//go:build !race

package redis_test

import (
	"testing"
	"time"

	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// A look-up that travels alone leaves behind what the driver makes of its three commands
// and of their replies, and the trip's own room: nothing else.
func TestPipeAllocatesLittle(t *testing.T) {
	const most = 24
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	if _, err := pipe(c, "k", command("hset", "k", "field", "body")); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	batch := redis.Batch{
		Op: redis.OpLookup, Key: "k", Done: func(_ []any, err error) { done <- err },
		Commands: []redis.Command{
			command("hincrby", "k", "n", 1), command("pexpire", "k", time.Minute.Milliseconds()), command("hmget", "k", "field", "n", "e"),
		},
	}
	if got := testing.AllocsPerRun(1000, func() {
		if err := c.Pipe(batch); err != nil {
			t.Error(err)
		} else if err := <-done; err != nil {
			t.Error(err)
		}
	}); got > most {
		t.Errorf("got %v allocations, want at most %d", got, most)
	} else {
		t.Logf("%v allocations", got)
	}
}
