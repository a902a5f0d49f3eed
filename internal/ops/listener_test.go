package ops_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/ops"
)

// pipes is a listener without a socket, so that the time-outs of its connections are
// those of a synctest bubble.
type pipes struct {
	incoming chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newPipes() *pipes { return &pipes{incoming: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.incoming:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	select {
	case p.incoming <- server:
	case <-p.closed:
		t.Fatal("the listener is closed")
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// ask sends a request as it stands and returns the answer's status line.
func ask(t *testing.T, c net.Conn, request string) string {
	t.Helper()
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

const livez = "GET /livez HTTP/1.1\r\nHost: pod\r\n\r\n"

// served runs a probe in the bubble and returns how to reach and to stop it.
func served(t *testing.T, selfCall func(context.Context) error) (l *pipes, stop func() error) {
	t.Helper()
	p := newProbe(t, ops.ProbeOptions{SelfCall: selfCall})
	l = newPipes()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Serve(ctx, l) }()
	return l, func() error {
		cancel()
		return <-ended
	}
}

func newProbe(t *testing.T, o ops.ProbeOptions) *ops.Probe {
	t.Helper()
	if o.SelfCall == nil {
		o.SelfCall = well
	}
	if o.Metrics == nil {
		o.Metrics = newMetrics().Handler()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, err := ops.NewProbe(o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func well(context.Context) error { return nil }

func TestSlowSendersAreCutOff(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"nothing at all":  "",
		"half a line":     "GET /live",
		"half the header": "GET /livez HTTP/1.1\r\nHost: pod\r\nX-Slow: ",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, stop := served(t, well)
				c, start := l.dial(t), time.Now()
				var sender sync.WaitGroup
				sender.Go(func() {
					_, _ = io.WriteString(c, first)
					for { // a byte a second keeps an idle time-out from ever coming
						time.Sleep(time.Second)
						if _, err := io.WriteString(c, "x"); err != nil {
							return
						}
					}
				})
				_, _ = io.Copy(io.Discard, c)
				if got := time.Since(start); got != 5*time.Second {
					t.Errorf("cut off after %v, want 5 s", got)
				}
				_ = c.Close()
				sender.Wait()
				if err := stop(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, well)
		c := l.dial(t)
		if got := ask(t, c, livez); got != "HTTP/1.1 200 OK" {
			t.Errorf("got %s", got)
		}
		start := time.Now()
		_, _ = io.Copy(io.Discard, c)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("closed after %v, want a minute", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestHeadersAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, well)
		c := l.dial(t)
		go func() {
			_, _ = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: pod\r\nX-Long: "+strings.Repeat("x", 100_000))
		}()
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil || !strings.Contains(line, " 431 ") {
			t.Errorf("got %q, %v, want 431", line, err)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestRequestsWithoutAPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, well)
		for _, line := range []string{"OPTIONS *", "GET *", "CONNECT pod:8378", "GET http://pod", "GET http://pod//livez"} {
			c := l.dial(t)
			if got := ask(t, c, line+" HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n"); got != "HTTP/1.1 404 Not Found" {
				t.Errorf("%s: got %s, want 404", line, got)
			}
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, well)
		held := make([]net.Conn, 128)
		for i := range held {
			held[i] = l.dial(t)
		}
		start := time.Now()
		_, err := l.dial(t).Read(make([]byte, 1))
		if took := time.Since(start); !errors.Is(err, io.EOF) || took != 0 {
			t.Errorf("one too many: got %v after %v, want it closed at once", err, took)
		}
		_ = held[7].Close()
		synctest.Wait()
		if got := ask(t, l.dial(t), livez); got != "HTTP/1.1 200 OK" {
			t.Errorf("once there is room: got %s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, func(context.Context) error {
			time.Sleep(500 * time.Millisecond)
			return nil
		})
		c, start := l.dial(t), time.Now()
		answered := make(chan string, 1)
		go func() { answered <- ask(t, c, livez) }()
		synctest.Wait()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := <-answered; got != "HTTP/1.1 200 OK" {
			t.Errorf("got %s", got)
		}
		if got := time.Since(start); got < 500*time.Millisecond || got > time.Second {
			t.Errorf("stopped after %v, want once the request had ended", got)
		}
	})
}

func TestStopDoesNotWaitForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		l, stop := served(t, func(context.Context) error {
			<-release
			return nil
		})
		c := l.dial(t)
		go func() {
			_, _ = io.WriteString(c, livez)
			_, _ = io.Copy(io.Discard, c)
		}()
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil {
			t.Error(err)
		}
		if got := time.Since(start); got != time.Second {
			t.Errorf("stopped after %v, want 1 s", got)
		}
		close(release)
	})
}

func TestServeReportsALostListener(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := newProbe(t, ops.ProbeOptions{}).Serve(t.Context(), l); err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
		t.Errorf("got %v, want an error that names the address", err)
	}
}

// client asks a handler served on a real socket, where net/http's own reading of
// requests is part of what is tested.
type client struct {
	t    *testing.T
	addr string
}

func serveReal(t *testing.T, serve func(context.Context, net.Listener) error) client {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serving: %v", err)
		}
	})
	return client{t, l.Addr().String()}
}

type reply struct {
	status int
	header http.Header
	body   string
}

// do sends a request; headers come in pairs.
func (c client) do(method, target, body string, headers ...string) reply {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, "http://"+c.addr+target, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		} else {
			r.Header.Add(headers[i], headers[i+1])
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	answer, err := transport.RoundTrip(r) // which follows no redirect
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	read, err := io.ReadAll(answer.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return reply{answer.StatusCode, answer.Header, string(read)}
}
