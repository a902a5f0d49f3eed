package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitrine/internal/proxy"
)

const patience = 20 * time.Second

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := proxy.Listen(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestListenOnASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "v.sock")
	l := listen(t, "unix:"+path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != os.ModeSocket|0o660 {
		t.Errorf("got mode %v, want a socket of 0660", got)
	}
	if _, err := proxy.Listen(t.Context(), "unix:"+path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got %v for a socket somebody listens on, want an error", err)
	}

	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a kill -9
	l.Close()
	listen(t, "unix:"+path)

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := proxy.Listen(t.Context(), "unix:"+file); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("got %v for a file, want an error", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Errorf("got %v, want the file left alone", err)
	}
	if _, err := proxy.Listen(t.Context(), "unix:"+filepath.Join(file, "v.sock")); err == nil {
		t.Error("got a socket within a file, want an error")
	}
}

// serve serves a rig on l, and returns a function that waits for it to end.
func serve(t *testing.T, r *rig, l net.Listener) (ended func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- r.Serve(l) }() // awaited by ended
	return func() {
		t.Helper()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Serve: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Fatal("Serve goes on")
		}
	}
}

type client struct {
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, l net.Listener) *client {
	t.Helper()
	conn, err := net.Dial(l.Addr().Network(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{conn, bufio.NewReader(conn)}
}

// ask posts a question over the connection and returns the status.
func (c *client) ask(host string) (int, error) {
	req, err := http.NewRequest(http.MethodPost, "http://"+host+pathRecommendation, strings.NewReader(first))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := req.Write(c); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.in, req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

func TestShutdownWaitsForClientsToGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := listen(t, "127.0.0.1:0")
	ended := serve(t, r, l)
	c := dial(t, l)
	if status, err := c.ask("localhost"); status != 200 || err != nil {
		t.Fatalf("got %d, %v, want 200", status, err)
	}
	down := make(chan error, 1)
	go func() { down <- r.Shutdown(t.Context(), time.Hour) }() // awaited below
	for range 10 {                                             // whenever it has begun: who is there is answered
		if status, err := c.ask("localhost"); status != 200 || err != nil {
			t.Fatalf("while shutting down: got %d, %v, want 200", status, err)
		}
	}
	late := dial(t, l) // so is who comes
	if status, err := late.ask("localhost"); status != 200 || err != nil {
		t.Fatalf("a late client: got %d, %v, want 200", status, err)
	}
	c.Close()
	late.Close()
	select {
	case err := <-down:
		if err != nil {
			t.Errorf("got %v, want nil", err)
		}
	case <-time.After(patience):
		t.Fatal("Shutdown goes on without clients")
	}
	ended()
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("got a connection after the shutdown, want none")
	}
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	l := listen(t, "127.0.0.1:0")
	ended := serve(t, r, l)
	c := dial(t, l)
	if status, err := c.ask("localhost"); status != 200 || err != nil {
		t.Fatalf("got %d, %v, want 200", status, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_ = r.Shutdown(ctx, time.Millisecond) // whether an idle client counts is fasthttp's
	ended()
}

func TestSelfCall(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"127.0.0.1:0", "unix:" + filepath.Join(t.TempDir(), "v.sock")} {
		r := newRig(t, func(_ *rig, o *proxy.Options) { o.Security.AppToken = []byte("sesame") })
		l := listen(t, address)
		if err := r.SelfCall(deadline(t, 50*time.Millisecond), l.Addr()); err == nil {
			t.Errorf("%s: got no error while nobody serves", address)
		}
		ended := serve(t, r, l)
		if err := r.SelfCall(deadline(t, patience), l.Addr()); err != nil {
			t.Errorf("%s: got %v, want nil", address, err)
		}
		if status, _ := dial(t, l).ask("localhost"); status != 403 {
			t.Errorf("%s: got %d without the token, want 403", address, status)
		}
		if len(r.seen) != 0 || len(r.api.posted()) != 0 || r.delivery.Stats().Accepted != 0 {
			t.Errorf("%s: got %+v seen of a self-call, want nothing", address, r.seen)
		}
		// Only we can mark a call as our own.
		r.send("POST", pathRecommendation, `{"sessionId":"s","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true}}`,
			"Vitrine-Token", "sesame", "Vitrine-Self", "guessed")
		if len(r.seen) != 1 {
			t.Errorf("%s: got %+v seen, want the foreign call counted", address, r.seen)
		}
		if err := r.Shutdown(deadline(t, patience), 0); err != nil {
			t.Errorf("%s: got %v, want nil", address, err)
		}
		ended()
		if err := r.SelfCall(deadline(t, patience), l.Addr()); err == nil {
			t.Errorf("%s: got no error of a closed listener", address)
		}
	}
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), d)
	t.Cleanup(cancel)
	return ctx
}
