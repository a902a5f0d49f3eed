package rig

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// Self is what this process uses now.
func Self() Usage { return usageOf(os.Getpid()) }

// scheduled adds up how long the scheduler has let each thread run, in nanoseconds:
// the ticks of /proc/PID/stat are too coarse for rounds of a quarter of a second. Go
// keeps its threads, so none takes its time away with it. 0 where the kernel does not tell.
func scheduled(dir string) (sum time.Duration) {
	threads, err := os.ReadDir(dir + "/task")
	if err != nil {
		return 0
	}
	for _, thread := range threads {
		text, err := os.ReadFile(dir + "/task/" + thread.Name() + "/schedstat")
		if err != nil {
			continue // it has just ended
		}
		ran, _, _ := strings.Cut(string(text), " ")
		ns, _ := strconv.ParseInt(ran, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}
