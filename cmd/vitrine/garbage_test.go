package main

import (
	"context"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"
)

// Whatever is in use, what may gather before the next collection is about garbageRoom.
// Go's own rule would make it as much as is in use.
func TestGarbageHasOneRoomForAllHeaps(t *testing.T) {
	t.Setenv("GOGC", "")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- paceCollector(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for _, inUse := range []int{1 << 20, 64 << 20, 1 << 20} {
		held := make([]byte, inUse)
		got, want := room(), uint64(garbageRoom)
		for patience := time.Now().Add(time.Minute); got < want*3/4 || got > want*5/4; got = room() {
			if time.Now().After(patience) {
				t.Fatalf("got room for %d bytes of garbage with %d in use, want about %d", got, inUse, want)
			}
			runtime.GC()
		}
		runtime.KeepAlive(held)
	}
}

// room is how many bytes the next collection is away from what the last one left.
func room() uint64 {
	read := []metrics.Sample{{Name: "/gc/heap/goal:bytes"}, {Name: "/gc/heap/live:bytes"}}
	metrics.Read(read)
	return read[0].Value.Uint64() - read[1].Value.Uint64()
}

func TestAnOperatorsGOGCIsLeftAlone(t *testing.T) {
	t.Setenv("GOGC", "50")
	if err := paceCollector(t.Context()); err != nil {
		t.Errorf("got %v, want nothing done and no error", err)
	}
}

func TestGOGC(t *testing.T) {
	for _, test := range []struct {
		base uint64
		want int
	}{
		{0, 400}, {4 << 20, 400}, {16 << 20, 100}, {64 << 20, 25}, {1 << 30, leastGOGC},
	} {
		if got := gogc(test.base); got != test.want {
			t.Errorf("got %d %% of %d bytes, want %d %%", got, test.base, test.want)
		}
	}
}
