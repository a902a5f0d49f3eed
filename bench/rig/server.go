package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Server is a program of somebody else's that serves an address.
type Server struct{ p *process }

// StartServer starts a command that is to serve addr, host:port, and waits until it
// does. With cpus it may use only those processors.
func StartServer(ctx context.Context, cpus, addr string, command ...string) (*Server, error) {
	if _, err := exec.LookPath(command[0]); err != nil {
		return nil, fmt.Errorf("%s is not installed: %w", command[0], err)
	}
	if cpus != "" {
		command = append([]string{"taskset", "-c", cpus}, command...)
	}
	p, err := startProcess(exec.Command(command[0], command[1:]...), nil) //nolint:noctx // ended by Close, with a grace
	if err != nil {
		return nil, err
	}
	err = poll(ctx, func() bool { return !p.running() || accepts(ctx, addr) })
	if err == nil && p.running() {
		return &Server{p}, nil
	}
	_ = p.stop(0)
	return nil, fmt.Errorf("nobody serves %s: %w\n%s", addr, errors.Join(err, p.err), p.log)
}

func accepts(ctx context.Context, addr string) bool {
	c, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// Usage is what it and the processes it has started use now.
func (s *Server) Usage() Usage { return familyUsage(s.p.cmd.Process.Pid) }

func familyUsage(pid int) Usage {
	sum := usageOf(pid)
	threads, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
	for _, thread := range threads {
		text, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/task/" + thread.Name() + "/children")
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			u := familyUsage(child)
			sum.CPU += u.CPU
			sum.Resident += u.Resident
			sum.Files += u.Files
		}
	}
	return sum
}

// Close ends it.
func (s *Server) Close() error { return s.p.stop(5 * time.Second) }

// FreeAddress returns a loopback address nobody listens on. Somebody else may take it
// before the caller does; the caller's start then fails and says so.
func FreeAddress(ctx context.Context) (string, error) {
	port, err := freePort(ctx)
	if err != nil {
		return "", err
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), nil
}
