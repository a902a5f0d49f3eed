package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// Environment is where a run was made. Figures from different machines, or from one
// machine at different loads, must not be compared; ratios within a run may.
type Environment struct {
	CPU        string     `json:"cpu"`
	Cores      int        `json:"cores"`
	GOMAXPROCS int        `json:"gomaxprocs"` // of the generator
	Kernel     string     `json:"kernel"`
	Go         string     `json:"go"`
	Commit     string     `json:"commit"` // a + means that files were changed since
	LoadBefore [3]float64 `json:"load_before"`
	LoadAfter  [3]float64 `json:"load_after"`
	Throttled  string     `json:"throttled"` // by a quota of the container, or by the host
	stolen     int64
	throttled  int64
	at         time.Time
}

// Survey looks at the machine before a run.
func Survey(ctx context.Context) Environment {
	e := Environment{
		CPU: cpuModel(), Cores: runtime.NumCPU(), GOMAXPROCS: runtime.GOMAXPROCS(0), Kernel: kernel(),
		Go: runtime.Version(), Commit: commit(ctx), LoadBefore: loadAverage(), at: time.Now(),
	}
	e.stolen, e.throttled = stolen(), throttledTime()
	return e
}

// Done looks again after it.
func (e *Environment) Done() {
	e.LoadAfter = loadAverage()
	var said []string
	if now := throttledTime(); now >= 0 {
		said = append(said, fmt.Sprintf("%.1f s by quota", float64(now-e.throttled)/1e6))
	}
	if now := stolen(); now >= 0 {
		share := float64(now-e.stolen) / 100 / time.Since(e.at).Seconds() / float64(e.Cores)
		said = append(said, fmt.Sprintf("%.1f %% of the time taken by the host", 100*share))
	}
	e.Throttled = strings.Join(said, ", ")
	if e.Throttled == "" {
		e.Throttled = "unknown"
	}
}

// Busy reports whether others were using the machine when the run began.
func (e *Environment) Busy() bool { return e.LoadBefore[0] > 0.5*float64(e.Cores) }

// Write writes the environment for people.
func (e *Environment) Write(w io.Writer) error {
	fmt.Fprintf(w, "machine  %s, %d cores, GOMAXPROCS %d, %s, %s, commit %s\n", e.CPU, e.Cores, e.GOMAXPROCS, e.Kernel, e.Go, e.Commit)
	fmt.Fprintf(w, "         load %.2f before, %.2f after; throttled: %s\n", e.LoadBefore[0], e.LoadAfter[0], e.Throttled)
	if e.Busy() {
		fmt.Fprintf(w, "         THE MACHINE WAS BUSY WITH OTHER WORK: these latencies are not the sidecar's own\n")
	}
	_, err := fmt.Fprintf(w, "         Ratios within a run count. Absolute figures are this machine's.\n")
	return err
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}

func kernel() string {
	text, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return runtime.GOOS
	}
	return runtime.GOOS + " " + strings.TrimSpace(string(text))
}

func commit(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	id := strings.TrimSpace(string(out))
	if changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(changed) > 0 {
		id += "+"
	}
	return id
}

func loadAverage() (load [3]float64) {
	text, _ := os.ReadFile("/proc/loadavg")
	for i, field := range strings.Fields(string(text)) {
		if i < len(load) {
			load[i], _ = strconv.ParseFloat(field, 64)
		}
	}
	return load
}

// stolen is the time the host gave to others, in hundredths of a second over all
// cores, -1 if unknown.
func stolen() int64 {
	text, err := os.ReadFile("/proc/stat")
	fields := strings.Fields(string(text))
	const steal = 8 // "cpu", then user nice system idle iowait irq softirq steal
	if err != nil || len(fields) <= steal {
		return -1
	}
	n, err := strconv.ParseInt(fields[steal], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// throttledTime is how long a CPU quota has held this container back, in
// microseconds, -1 if there is no telling.
func throttledTime() int64 {
	text, err := os.ReadFile("/sys/fs/cgroup/cpu.stat")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		if v, ok := strings.CutPrefix(line, "throttled_usec "); ok {
			if n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64); err == nil {
				return n
			}
		}
	}
	return -1
}
