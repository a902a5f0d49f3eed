package wire_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// echo serves on a listener, and answers with what it was sent.
func echo(t *testing.T, l net.Listener, answer http.HandlerFunc) {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
}

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), network, addr)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestLineAsksAgainAndAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	over := map[string]net.Listener{"unix:" + path: listen(t, "unix", path)}
	tcp := listen(t, "tcp", "127.0.0.1:0")
	over[tcp.Addr().String()] = tcp
	for addr, l := range over {
		opened := map[string]bool{}
		echo(t, l, func(w http.ResponseWriter, r *http.Request) {
			opened[r.RemoteAddr] = true
			body, _ := io.ReadAll(r.Body)
			w.Header().Set("Content-Length", r.Header.Get("Content-Length"))
			_, _ = w.Write(body)
		})
		line, err := wire.DialLine(addr, 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var a wire.Answer
		for _, want := range []string{"a", strings.Repeat("long", 50_000), "b"} {
			if err := line.Do(traffic.AppendPost(nil, "/", []byte(want)), &a); err != nil {
				t.Fatalf("%s: %v", addr, err)
			}
			if got := string(a.Body); got != want {
				t.Errorf("%s: got %d bytes back, want %d", addr, len(got), len(want))
			}
		}
		if err := line.Close(); err != nil {
			t.Error(err)
		}
		if len(opened) != 1 {
			t.Errorf("%s: got %d connections, want 1", addr, len(opened))
		}
	}
}

func TestLineDoesNotWaitForEver(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0") // accepts by itself, and says nothing
	defer func() { _ = l.Close() }()
	line, err := wire.DialLine(l.Addr().String(), 20*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = line.Close() }()
	var a wire.Answer
	if err := line.Do(traffic.AppendPost(nil, "/", nil), &a); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want that the time is over", err)
	}
}

func TestLineTellsThatTheServerLeaves(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	echo(t, l, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Length", "0")
	})
	line, err := wire.DialLine(l.Addr().String(), 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = line.Close() }()
	var a wire.Answer
	if err := line.Do(traffic.AppendPost(nil, "/", nil), &a); err == nil {
		t.Error("got no error, want one: it cannot be asked again")
	}
}
