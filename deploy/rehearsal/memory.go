package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// group is a cgroup with the manifest's memory limit. Its zero value is none.
type group struct {
	dir  string
	peak string // file with the most that was used
}

// newGroup makes a cgroup below our own, by whichever version of them the kernel has.
func newGroup(limit int64) (group, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return group{}, err //nolint:wrapcheck // it names the file
	}
	for line := range strings.Lines(string(own)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) < 3 {
			continue
		}
		var g group
		var setting string
		switch {
		case fields[1] == "memory": // version 1
			g.dir, g.peak, setting = "/sys/fs/cgroup/memory"+fields[2], "memory.max_usage_in_bytes", "memory.limit_in_bytes"
		case fields[0] == "0": // version 2
			g.dir, g.peak, setting = "/sys/fs/cgroup"+fields[2], "memory.peak", "memory.max"
		default:
			continue
		}
		g.dir = filepath.Join(g.dir, "vitrine-rehearsal-"+strconv.Itoa(os.Getpid()))
		if os.Mkdir(g.dir, 0o755) != nil { //nolint:gosec // as its siblings
			continue
		}
		if os.WriteFile(filepath.Join(g.dir, setting), []byte(strconv.FormatInt(limit, 10)), 0o600) == nil {
			return g, nil
		}
		g.remove()
	}
	return group{}, fmt.Errorf("no cgroup of %d bytes may be made", limit)
}

// add puts a process under the limit. What it took before, in its first moments, is not counted.
func (g group) add(pid int) error {
	return os.WriteFile(filepath.Join(g.dir, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o600) //nolint:wrapcheck // it names the file
}

// most is the most memory that was in use, pages of files included; 0 if it is not known.
func (g group) most() int64 {
	text, err := os.ReadFile(filepath.Join(g.dir, g.peak))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}

// remove removes the group, which must be empty.
func (g group) remove() {
	if g.dir != "" {
		_ = os.Remove(g.dir) // nothing depends on it
	}
}

// resident is the memory of a process, 0 if it is not known.
func resident(pid int) int64 {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kib, _ := strconv.ParseInt(number, 10, 64)
	return kib << 10
}
