package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// Redis is a real redis-server that keeps nothing on disk.
type Redis struct {
	addr string
	url  string
	dir  string
	args []string
	p    *process
}

// StartRedis starts redis-server from the PATH with further arguments, on a free port.
func StartRedis(ctx context.Context, args ...string) (*Redis, error) {
	return startRedis(ctx, func(r *Redis, port string) error {
		r.url = "redis://" + r.addr
		r.args = append([]string{"--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir}, args...)
		return nil
	})
}

// startRedis starts what configure makes of a server on a free port with a folder.
func startRedis(ctx context.Context, configure func(r *Redis, port string) error) (*Redis, error) {
	dir, err := os.MkdirTemp("", "vitrine-bench-redis-")
	if err != nil {
		return nil, err
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	r := &Redis{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dir: dir}
	if err = configure(r, strconv.Itoa(port)); err == nil {
		err = r.Start(ctx)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return r, nil
}

// Start starts it again on the same port, empty.
func (r *Redis) Start(ctx context.Context) error {
	p, err := startProcess(exec.Command("redis-server", r.args...), nil) //nolint:noctx // ended by Close, with a grace
	if err != nil {
		return fmt.Errorf("%w (install redis-server, or use the embedded one)", err)
	}
	r.p = p
	err = poll(ctx, func() bool {
		if !p.running() {
			return true
		}
		c, err := new(net.Dialer).DialContext(ctx, "tcp", r.addr)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	if err != nil || !p.running() {
		_ = p.stop(0)
		return fmt.Errorf("redis-server did not come up on %s:\n%s", r.addr, p.log)
	}
	return nil
}

// Addr is its host:port.
func (r *Redis) Addr() string { return r.addr }

// URL is what the sidecar is to know as redis.url.
func (r *Redis) URL() string { return r.url }

// Kill ends it at once; what it held is gone.
func (r *Redis) Kill() error {
	err := r.p.signal(syscall.SIGKILL)
	<-r.p.done
	return err
}

// Pause stops it in the middle of whatever it does, connections open, until Resume.
func (r *Redis) Pause() error { return r.p.signal(syscall.SIGSTOP) }

// Resume lets it go on.
func (r *Redis) Resume() error { return r.p.signal(syscall.SIGCONT) }

// Usage is what it uses now.
func (r *Redis) Usage() Usage { return usageOf(r.p.cmd.Process.Pid) }

// Running reports whether the process is there.
func (r *Redis) Running() bool { return r.p.running() }

// Close ends it and removes its folder.
func (r *Redis) Close() error {
	err := r.p.stop(5 * time.Second)
	_ = os.RemoveAll(r.dir)
	return err
}

// freePort asks the system for a port. Somebody else may take it before we do; the
// caller's start then fails and says so.
func freePort(ctx context.Context) (int, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	defer l.Close()
	_, text, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// startGrace is how long a process may take until it serves, on a busy machine.
const startGrace = 15 * time.Second

// poll asks every few milliseconds until done, and returns why it gave up.
func poll(ctx context.Context, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startGrace)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
