// Package redistest runs a real redis-server for a test.
//
// A stand-in inside the process cannot be stopped in mid-reply, killed, or restarted
// empty, and does not do everything Redis does; those tests want the real one. It listens
// on loopback on a port of the kernel's choosing, keeps nothing on disk, and is gone when
// the test ends.
package redistest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds every wait for the server. It is a bound against hanging, not a
// measurement: a server that answers is used at once.
const patience = 20 * time.Second

// startAttempts is how often another port is tried when somebody takes the one that
// was free a moment ago.
const startAttempts = 5

// Server is a redis-server of a test's own. Its methods are for the test's goroutine.
type Server struct {
	// Addr is host:port on loopback; it stays the same over Kill and Start.
	Addr string

	tb        testing.TB
	dir       string
	arguments []string
	process   *exec.Cmd
	ended     chan struct{} // closed when process has been reaped
}

// Start starts a redis-server with the arguments given after our own
// ("--maxmemory", "1mb"), waits until it answers, and ends it when the test ends.
// It fails the test when redis-server is not installed.
func Start(tb testing.TB, arguments ...string) *Server {
	tb.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		tb.Fatal("redis-server is not installed: run the tests with `make test`, which sees to it")
	}
	s := &Server{tb: tb, dir: tb.TempDir(), arguments: arguments}
	tb.Cleanup(s.Kill)
	var err error
	for range startAttempts {
		s.Addr = freeAddr(tb)
		if err = s.start(); err == nil {
			return s
		}
	}
	tb.Fatalf("starting redis-server: %v", err)
	return nil
}

// URL is the server's address as the configuration takes it.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// Start starts the server again, empty, on its old port, after Kill.
func (s *Server) Start() {
	s.tb.Helper()
	if s.process != nil {
		s.tb.Fatal("redis-server is started while it runs")
	}
	if err := s.start(); err != nil {
		s.tb.Fatalf("starting redis-server again on %s: %v", s.Addr, err)
	}
}

// Kill ends the server at once, as a crash would, and waits until its port is free.
// Killing a dead server does nothing.
func (s *Server) Kill() {
	s.tb.Helper()
	if s.process == nil {
		return
	}
	// The process may have ended by itself; Wait, in start, reaps it either way.
	_ = s.process.Process.Kill()
	<-s.ended
	s.process = nil
}

// Pause stops the server with SIGSTOP: connections stay open and are even accepted,
// and nothing answers. It returns when the kernel has stopped it.
func (s *Server) Pause() {
	s.tb.Helper()
	s.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(patience); !s.stopped(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.tb.Fatalf("redis-server is not stopped %v after SIGSTOP", patience)
		}
	}
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.tb.Helper()
	s.signal(syscall.SIGCONT)
}

// Do sends one command over a connection of its own and returns the reply's first line
// without its type byte, or a bulk string's content. An error reply fails the test.
func (s *Server) Do(arguments ...string) string {
	s.tb.Helper()
	reply, err := s.do(arguments...)
	if err != nil {
		s.tb.Fatalf("redis %s: %v", strings.Join(arguments, " "), err)
	}
	return reply
}

func (s *Server) signal(signal syscall.Signal) {
	s.tb.Helper()
	if s.process == nil {
		s.tb.Fatalf("redis-server is sent %v while it does not run", signal)
	}
	if err := s.process.Process.Signal(signal); err != nil {
		s.tb.Fatalf("sending %v to redis-server: %v", signal, err)
	}
}

// stopped reports whether the kernel has stopped the server: a signal sent is not yet a
// signal taken. Where there is no /proc to ask, it says yes.
func (s *Server) stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.process.Process.Pid))
	if err != nil {
		return true
	}
	// pid (name) state …; the name is "redis-server", perhaps cut.
	return strings.Contains(string(stat), ") T ")
}

// start runs the server and waits until it answers; a server that ends before that is
// an error with its own words.
func (s *Server) start() error {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return fmt.Errorf("splitting its address: %w", err)
	}
	logPath := filepath.Join(s.dir, "redis.log")
	output, err := os.Create(logPath)
	if err != nil {
		return fmt.Errorf("creating its log: %w", err)
	}
	defer output.Close() // the child has its own descriptor

	arguments := append([]string{
		"--bind", host, "--port", port, "--dir", s.dir,
		"--save", "", "--appendonly", "no", "--daemonize", "no",
	}, s.arguments...)
	// Not bound to the test's context, which ends before its cleanup does.
	process := exec.Command("redis-server", arguments...)
	process.Stdout, process.Stderr = output, output
	if err := process.Start(); err != nil {
		return fmt.Errorf("running it: %w", err)
	}
	ended := make(chan struct{})
	go func() { // ends with the process; Kill waits for it
		defer close(ended)
		_ = process.Wait() // how it ended is in its log
	}()
	s.process, s.ended = process, ended

	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if _, err = s.do("PING"); err == nil {
			return nil
		}
		select {
		case <-ended:
			s.process = nil
			words, _ := os.ReadFile(logPath)
			return fmt.Errorf("it ended at once:\n%s", words)
		case <-time.After(5 * time.Millisecond):
		}
	}
	s.Kill()
	return fmt.Errorf("no answer to PING within %v: %w", patience, err)
}

func (s *Server) do(arguments ...string) (string, error) {
	connection, err := net.DialTimeout("tcp", s.Addr, patience)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(arguments))
	for _, argument := range arguments {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(argument), argument)
	}
	if _, err := connection.Write([]byte(request.String())); err != nil {
		return "", err
	}
	return readReply(bufio.NewReader(connection))
}

// readReply reads one reply of the Redis protocol (RESP2), whole only for simple and
// bulk strings and numbers.
func readReply(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", errors.New("an empty reply")
	}
	switch kind, rest := line[0], line[1:]; kind {
	case '-':
		return "", errors.New(rest)
	case '$':
		var size int
		if _, err := fmt.Sscan(rest, &size); err != nil {
			return "", fmt.Errorf("the length of a bulk string: %w", err)
		}
		if size < 0 {
			return "", nil
		}
		body := make([]byte, size)
		if _, err := io.ReadFull(r, body); err != nil {
			return "", err
		}
		return string(body), nil
	default:
		return rest, nil
	}
}

// freeAddr asks the kernel for a loopback port nobody uses now.
func freeAddr(tb testing.TB) string {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatalf("looking for a free port: %v", err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
