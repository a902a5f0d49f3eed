package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// diskCalls are the system calls that wait for a disk: making things durable, and changing
// folders. Reads and writes wait for memory.
const diskCalls = "fsync,fdatasync,ftruncate,rename,renameat,renameat2,unlink,unlinkat"

// CanSlowDisk returns nil if the disk of a sidecar can be made slow, which takes strace and
// the right to trace, or why it cannot.
func CanSlowDisk(ctx context.Context) error {
	if out, err := exec.CommandContext(ctx, "strace", "-o", os.DevNull, "-e", "inject=fsync:delay_enter=1", "true").CombinedOutput(); err != nil {
		return fmt.Errorf("a disk is made slow by strace: %w %s", err, out)
	}
	return nil
}

// SlowDisk makes each system call of the sidecar's that waits for a disk wait so much
// longer, until the function it returns is called, which tells how many there were. All its
// other calls are a little slower meanwhile, being looked at.
func (s *Sidecar) SlowDisk(ctx context.Context, by time.Duration) (restore func() (delayed int, err error), err error) {
	pid := s.p.cmd.Process.Pid
	file := filepath.Join(s.dir, "slow.strace")
	inject := fmt.Sprintf("inject=%s:delay_enter=%d", diskCalls, by.Microseconds())
	tracer, err := startProcess(exec.Command("strace", "-f", "-q", "-o", file, "-e", "trace="+diskCalls, "-e", inject, "-p", strconv.Itoa(pid)), nil) //nolint:noctx // ended by restore
	if err != nil {
		return nil, err
	}
	err = poll(ctx, func() bool { return traced(pid) || !tracer.running() })
	if err == nil && !tracer.running() {
		err = errors.New("strace ended at once")
	}
	if err != nil {
		_ = tracer.stop(time.Second)
		return nil, fmt.Errorf("making the disk slow: %w: %s", err, tracer.log)
	}
	return func() (int, error) {
		stopped := tracer.stop(10 * time.Second)
		seen, err := os.ReadFile(file)
		return strings.Count(string(seen), "(DELAYED)"), errors.Join(stopped, err)
	}, nil
}

// traced reports whether a process is being traced.
func traced(pid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	return err == nil && strings.Contains(string(status), "\nTracerPid:\t") && !strings.Contains(string(status), "\nTracerPid:\t0\n")
}
