package redistest_test

import (
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"vitrine/internal/redistest"
)

func TestServerAnswers(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t, "--maxmemory", "3mb")
	if got, want := s.Do("SET", "k", "a\r\nb"), "OK"; got != want {
		t.Errorf("SET: got %q, want %q", got, want)
	}
	if got, want := s.Do("GET", "k"), "a\r\nb"; got != want {
		t.Errorf("GET: got %q, want %q", got, want)
	}
	if got, want := s.Do("INFO", "memory"), "maxmemory:3145728"; !strings.Contains(got, want) {
		t.Errorf("INFO: got %q, want it to hold %q", got, want)
	}
}

func TestKillAndStartForget(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Do("SET", "k", "v")
	addr := s.Addr
	s.Kill()
	if connection, err := net.Dial("tcp", addr); err == nil {
		connection.Close()
		t.Errorf("got a connection to a killed server, want none")
	}
	s.Start()
	if s.Addr != addr {
		t.Errorf("got address %s after the restart, want %s", s.Addr, addr)
	}
	if got := s.Do("GET", "k"); got != "" {
		t.Errorf("GET after a restart: got %q, want nothing", got)
	}
}

func TestPauseHoldsAnswersBack(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	s.Pause()
	connection, err := net.Dial("tcp", s.Addr) // the kernel accepts for it
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := connection.Write([]byte("*1\r\n$4\r\nPING\r\n")); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 7)
	connection.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := connection.Read(answer); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("while paused: got %q, %v, want a time-out", answer[:n], err)
	}
	s.Resume()
	connection.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := connection.Read(answer)
	if got, want := string(answer[:n]), "+PONG\r\n"; err != nil || got != want {
		t.Errorf("after resuming: got %q, %v, want %q", got, err, want)
	}
}
