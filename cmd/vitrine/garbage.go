package main

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// garbageRoom is how many bytes of garbage may gather between two collections. Go's own
// rule, as much as is in use, makes a small process collect dozens of times a second
// under load, and one whose cache is full take twice the cache.
const garbageRoom = 16 << 20

// leastGOGC bounds how much collecting a large heap may cost, in per cent of it.
const leastGOGC = 20

// paceCollector keeps the room for garbage at garbageRoom, however much is in use, until
// ctx ends. An operator's GOGC is left alone; GOMEMLIMIT goes before both.
func paceCollector(ctx context.Context) error {
	if os.Getenv("GOGC") != "" {
		return nil
	}
	collected := make(chan struct{}, 1)
	percent := 100
	defer debug.SetGCPercent(percent)
	for {
		afterCollection(collected)
		if want := gogc(scanned()); want < percent*15/16 || want > percent*17/16 { // setting it stops the world
			debug.SetGCPercent(want)
			percent = want
		}
		select {
		case <-collected:
		case <-ctx.Done():
			return nil
		}
	}
}

// afterCollection sends to collected, which must have room, once the next collection is over.
func afterCollection(collected chan<- struct{}) {
	sentinel := new([64]byte) // unreachable at once; large enough not to share its block
	runtime.AddCleanup(sentinel, func(c chan<- struct{}) { c <- struct{}{} }, collected)
}

// gogc is the percentage of base that garbageRoom is. Go's least heap, of 4 MiB, is
// scaled by it too.
func gogc(base uint64) int {
	return int(max(garbageRoom*100/max(base, 4<<20), leastGOGC)) //nolint:gosec // base is at least 4 MiB
}

// scanned is what GOGC is a percentage of: the heap in use after the last collection, in
// bytes, with the stacks and global variables.
func scanned() uint64 {
	read := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(read)
	sum := uint64(0)
	for _, s := range read {
		sum += min(s.Value.Uint64(), math.MaxInt64)
	}
	return sum
}
