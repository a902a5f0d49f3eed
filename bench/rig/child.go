package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Child is this program itself in another role and process, so that a baseline uses no
// CPU of the generator's.
type Child struct {
	p    *process
	addr string
}

// StartChild runs this program with the arguments and waits for it to write a line
// "listening ADDRESS". With cpus it may use only those processors.
func StartChild(ctx context.Context, cpus string, args ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name := self
	if cpus != "" {
		name, args = "taskset", append([]string{"-c", cpus, self}, args...)
	}
	ready := make(chan string, 1)
	p, err := startProcess(exec.Command(name, args...), func(line string) { //nolint:noctx // ended by Close, with a grace
		if addr, ok := strings.CutPrefix(line, "listening "); ok {
			select {
			case ready <- addr:
			default:
			}
		}
	})
	if err != nil {
		return nil, err
	}
	select {
	case addr := <-ready:
		return &Child{p, addr}, nil
	case <-p.done:
		err = errors.New("the child ended at once")
	case <-time.After(startGrace):
		err = errors.New("the child does not listen")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = p.stop(0)
	return nil, fmt.Errorf("%w:\n%s", err, p.log)
}

// Addr is the address it serves.
func (c *Child) Addr() string { return c.addr }

// Usage is what it uses now.
func (c *Child) Usage() Usage { return usageOf(c.p.cmd.Process.Pid) }

// Pause stops it in the middle of whatever it does, until Resume.
func (c *Child) Pause() error { return c.p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (c *Child) Resume() error { return c.p.signal(syscall.SIGCONT) }

// Close ends it.
func (c *Child) Close() error { return c.p.stop(10 * time.Second) }
