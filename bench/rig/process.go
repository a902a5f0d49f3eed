// Package rig starts what a run needs on this machine and takes it down again: the
// built sidecar, a real redis-server, and files in a folder of its own. Everything
// listens on loopback only.
package rig

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child that cannot outlive us for long: it is killed at stop, and by
// the kernel when we die.
type process struct {
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it has ended
	err  error         // how, once done is closed
}

// startProcess starts a command. Lines it writes to standard error are kept, and told
// to watch, which may be nil.
func startProcess(cmd *exec.Cmd, watch func(line string)) (*process, error) {
	p := &process{cmd: cmd, log: &tail{watch: watch}, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = childAttr()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", filepath.Base(cmd.Path), err)
	}
	go func() { // ends with the process, which stop awaits
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop asks the process to end, kills it after grace, and waits.
func (p *process) stop(grace time.Duration) error {
	_ = p.signal(syscall.SIGCONT) // one that is stopped hears nothing
	_ = p.signal(syscall.SIGTERM)
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
	}
	_ = p.signal(syscall.SIGKILL)
	<-p.done
	return fmt.Errorf("%s did not end within %v", filepath.Base(p.cmd.Path), grace)
}

func (p *process) signal(s os.Signal) error { return p.cmd.Process.Signal(s) }

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// tail keeps the last lines that were written.
type tail struct {
	watch func(string)

	mu      sync.Mutex
	partial []byte
	lines   []string
}

const tailLines = 200

// Write takes a piece of the log.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.partial = append(t.partial, b...)
	for {
		line, rest, ok := bytes.Cut(t.partial, []byte("\n"))
		if !ok {
			return len(b), nil
		}
		text := string(line)
		t.partial = rest
		if t.lines = append(t.lines, text); len(t.lines) > tailLines {
			t.lines = t.lines[1:]
		}
		if t.watch != nil {
			t.watch(text)
		}
	}
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// Build builds the sidecar of the module in the working folder and returns its path.
func Build(ctx context.Context, dir string) (string, error) {
	return build(ctx, filepath.Join(dir, "vitrine"))
}

func build(ctx context.Context, path string, flags ...string) (string, error) {
	args := append(append([]string{"build", "-o", path}, flags...), "vitrine/cmd/vitrine")
	if out, err := exec.CommandContext(ctx, "go", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the sidecar (run the harness inside the module, or name a binary): %w\n%s", err, out)
	}
	return path, nil
}

// Usage is what the operating system says of a process.
type Usage struct {
	CPU      time.Duration // user and system, of all threads that live
	Resident int64         // bytes
	Files    int           // open descriptors
}

// usageOf reads /proc. It returns zeros where there is none.
func usageOf(pid int) Usage {
	var u Usage
	dir := "/proc/" + strconv.Itoa(pid)
	if u.CPU = scheduled(dir); u.CPU == 0 {
		if stat, err := os.ReadFile(dir + "/stat"); err == nil {
			u.CPU = cpuOf(string(stat))
		}
	}
	if f, err := os.Open(dir + "/status"); err == nil {
		u.Resident = residentOf(f)
		_ = f.Close()
	}
	if names, err := os.ReadDir(dir + "/fd"); err == nil {
		u.Files = len(names)
	}
	return u
}

// cpuOf reads utime and stime of /proc/PID/stat, in hundredths of a second on every
// Linux that Go runs on. The command's name before them may hold anything.
func cpuOf(stat string) time.Duration {
	_, rest, _ := strings.Cut(stat[strings.LastIndexByte(stat, ')')+1:], " ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	if errors.Join(err1, err2) != nil {
		return 0
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

func residentOf(r io.Reader) int64 {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		if v, ok := strings.CutPrefix(lines.Text(), "VmRSS:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(v)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
