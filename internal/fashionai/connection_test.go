package fashionai_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
)

const ranked = `{"products":["p1"]}`

// keepAlive answers n requests, then hangs up.
func keepAlive(n int, heard *atomic.Int32) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		for range n {
			if _, err := hear(r); err != nil {
				return
			}
			heard.Add(1)
			io.WriteString(conn, list(ranked))
		}
	}
}

// reset hangs up with a RST, after hearing a request if told to.
func reset(listen bool) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		if listen {
			hear(r)
		}
		conn.(*net.TCPConn).SetLinger(0)
	}
}

func wantOK(t *testing.T, out fashionai.Outcome, stale int) {
	t.Helper()
	if out.Class != fashionai.OK || out.StaleRetries != stale {
		t.Fatalf("got %+v (%v), want ok after %d stale retries", out, out.Err, stale)
	}
}

func TestConnectionsAreReused(t *testing.T) {
	var heard atomic.Int32
	url, accepted := speak(t, keepAlive(100, &heard))
	c := client(t, url)
	for range 10 {
		wantOK(t, recommend(c), 0)
	}
	if got := accepted.Load(); got != 1 {
		t.Errorf("connections: got %d, want 1", got)
	}
	if s := c.Stats(); s.Idle != 1 || s.InUse != 0 {
		t.Errorf("got %+v, want one idle", s)
	}
}

func TestConnectionsThatMustNotBeReused(t *testing.T) {
	for name, answer := range map[string]string{
		"close":      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\n" + ranked,
		"close list": "HTTP/1.1 200 OK\r\nConnection: Keep-Alive, Close\r\nContent-Length: 19\r\n\r\n" + ranked,
		"excess":     list(ranked) + "HTTP/1.1 200 OK\r\n",
		"upgrade":    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nContent-Length: 0\r\n\r\n",
		"cut":        "HTTP/1.1 500 Oops\r\nContent-Length: 10000000\r\n\r\n",
	} {
		url, _ := speak(t, func(conn net.Conn, r *bufio.Reader) {
			hear(r)
			io.WriteString(conn, answer)
			hear(r) // keeps it open
		})
		c := client(t, url)
		recommend(c)
		if s := c.Stats(); s.Idle != 0 || s.InUse != 0 {
			t.Errorf("%s: got %+v, want the connection gone", name, s)
		}
	}
}

// A server that closes an idle connection is noticed before the next event is sent on it.
func TestClosedIdleConnectionIsNotUsed(t *testing.T) {
	var heard atomic.Int32
	closed := make(chan struct{}, 1)
	url, _ := speak(t,
		func(conn net.Conn, r *bufio.Reader) {
			keepAlive(1, &heard)(conn, r)
			conn.Close()
			closed <- struct{}{}
		},
		keepAlive(1, &heard))
	c := client(t, url)
	wantOK(t, recommend(c), 0)
	<-closed
	wantOK(t, recommend(c), 0)
	if got := heard.Load(); got != 2 {
		t.Errorf("events heard: got %d, want 2", got)
	}
}

// One that closes just as the event is on its way has not acted on it: it is sent again, once.
func TestStaleConnectionIsRetriedOnce(t *testing.T) {
	for name, hangUp := range map[string]func(net.Conn, *bufio.Reader){
		"end":   func(_ net.Conn, r *bufio.Reader) { hear(r) },
		"reset": reset(true),
	} {
		t.Run(name, func(t *testing.T) {
			var heard atomic.Int32
			stale := func(conn net.Conn, r *bufio.Reader) {
				keepAlive(1, &heard)(conn, r)
				hangUp(conn, r)
			}
			url, _ := speak(t, stale, keepAlive(1, &heard))
			c := client(t, url)
			wantOK(t, recommend(c), 0)
			sent := 0
			out := c.Recommend(fashionai.Call{Body: []byte(event), Sent: func() { sent++ }})
			wantOK(t, out, 1)
			if sent != 1 || heard.Load() != 2 || c.Stats().StaleRetries != 1 {
				t.Errorf("got sent told %d times, %d answered, %+v, want 1, 2, 1 stale retry", sent, heard.Load(), c.Stats())
			}
		})
	}
}

func TestStaleRetryIsTheLast(t *testing.T) {
	var heard atomic.Int32
	url, accepted := speak(t, func(conn net.Conn, r *bufio.Reader) {
		keepAlive(1, &heard)(conn, r)
		hear(r)
	}, reset(true))
	c := client(t, url)
	wantOK(t, recommend(c), 0)
	out := recommend(c)
	if out.Class != fashionai.Broken || !out.Sent || out.StaleRetries != 1 || accepted.Load() != 2 {
		t.Errorf("got %+v over %d connections, want broken, sent, after 1 stale retry, over 2", out, accepted.Load())
	}
}

// Once a byte of the answer has come, the event has been received, and is not sent again.
func TestNoRetryAfterAByteOfTheAnswer(t *testing.T) {
	var heard atomic.Int32
	url, accepted := speak(t, func(conn net.Conn, r *bufio.Reader) {
		keepAlive(1, &heard)(conn, r)
		hear(r)
		io.WriteString(conn, "H")
	})
	c := client(t, url)
	wantOK(t, recommend(c), 0)
	out := recommend(c)
	if out.Class != fashionai.Broken || !out.Sent || out.StaleRetries != 0 || accepted.Load() != 1 {
		t.Errorf("got %+v over %d connections, want broken, sent, not again", out, accepted.Load())
	}
}

func TestNoRetryOnANewConnection(t *testing.T) {
	url, accepted := speak(t, reset(true))
	out := recommend(client(t, url))
	if out.Class != fashionai.Broken || !out.Sent || accepted.Load() != 1 || out.Code() != "unreachable" {
		t.Errorf("got %+v over %d connections, want broken, sent, not again", out, accepted.Load())
	}
}

// The API went away with our idle connection: the call ends unreachable, but says that bytes have left.
func TestStaleThenRefused(t *testing.T) {
	var heard atomic.Int32
	url, _ := speak(t, func(conn net.Conn, r *bufio.Reader) {
		keepAlive(1, &heard)(conn, r)
		hear(r)
	})
	refuse := false
	c := client(t, url, func(o *fashionai.Options) {
		o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if refuse {
				return nil, errors.New("refused")
			}
			return new(net.Dialer).DialContext(ctx, network, address)
		}
	})
	wantOK(t, recommend(c), 0)
	refuse = true
	if out := recommend(c); out.Class != fashionai.Unreachable || !out.Sent || out.StaleRetries != 1 {
		t.Errorf("got %+v, want unreachable, sent, after a stale retry", out)
	}
}

// The second connection fails before the request is whole: whatever the first swallowed, this one was not sent.
func TestStaleThenCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials, heard atomic.Int32
		c := inBubble(t, &dials, func(conn net.Conn, r *bufio.Reader) {
			if dials.Load() == 1 {
				keepAlive(1, &heard)(conn, r)
				hear(r)
			}
		})
		wantOK(t, recommend(c), 0)
		if out := recommend(c); out.Class != fashionai.Unreachable || !out.Sent || out.StaleRetries != 1 {
			t.Errorf("got %+v, want unreachable, sent, after a stale retry", out)
		}
	})
}

// All connections idle for longer than a stale one are stale too.
func TestStaleConnectionTakesTheOlderWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		c := inBubble(t, &dials, func(conn net.Conn, r *bufio.Reader) {
			hear(r)
			time.Sleep(time.Second)
			io.WriteString(conn, list(ranked))
			hear(r)
		})
		var callers sync.WaitGroup
		for range 3 {
			callers.Go(func() {
				if out := recommend(c); out.Class != fashionai.OK {
					t.Errorf("got %+v, want ok", out)
				}
			})
		}
		callers.Wait()
		wantOK(t, recommend(c), 1)
		if s := c.Stats(); s.Idle != 1 || dials.Load() != 4 {
			t.Errorf("got %+v after %d dials, want only the new one, the fourth", s, dials.Load())
		}
	})
}

// A time-out is none of a connection's age.
func TestTimeoutOnAUsedConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials, heard atomic.Int32
		c := inBubble(t, &dials, func(conn net.Conn, r *bufio.Reader) {
			keepAlive(1, &heard)(conn, r)
			hear(r)
			hear(r)
		})
		wantOK(t, recommend(c), 0)
		if out := recommend(c); out.Class != fashionai.Timeout || !out.Sent || out.StaleRetries != 0 || dials.Load() != 1 {
			t.Errorf("got %+v (%v) after %d dials, want a time-out, sent, after 1", out, out.Err, dials.Load())
		}
	})
}

func TestRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	out := recommend(client(t, "http://"+l.Addr().String()))
	if out.Class != fashionai.Unreachable || out.Sent || out.Code() != "unreachable" || out.Err == nil {
		t.Errorf("got %+v, want unreachable, not sent", out)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	var under, most atomic.Int32
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		now := under.Add(1)
		defer under.Add(-1)
		for {
			old := most.Load()
			if now <= old || most.CompareAndSwap(old, now) {
				break
			}
		}
		io.WriteString(w, ranked)
	})
	c := client(t, url, func(o *fashionai.Options) { o.MaxConns = 3 })
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			for range 20 {
				if out := recommend(c); out.Class != fashionai.OK {
					t.Errorf("got %+v, want ok", out)
				}
				if s := c.Stats(); s.InUse+s.Idle > 3 {
					t.Errorf("got %+v, want at most 3 connections", s)
				}
			}
		})
	}
	callers.Wait()
	if got := most.Load(); got > 3 {
		t.Errorf("calls under way: got %d, want at most 3", got)
	}
}

func TestClose(t *testing.T) {
	reached := make(chan struct{}, 1)
	url, _ := speak(t, func(_ net.Conn, r *bufio.Reader) {
		if _, err := hear(r); err != nil {
			return
		}
		reached <- struct{}{}
		hear(r) // until the client hangs up
	})
	c := client(t, url)
	ended := make(chan fashionai.Outcome)
	go func() { ended <- recommend(c) }()
	<-reached
	c.Close()
	if out := <-ended; out.Class != fashionai.Broken || !out.Sent {
		t.Errorf("the call under way: got %+v, want broken", out)
	}
	if out := recommend(c); out.Class != fashionai.Unreachable || out.Sent {
		t.Errorf("a later call: got %+v, want unreachable", out)
	}
	if s := c.Stats(); s.InUse != 0 || s.Idle != 0 {
		t.Errorf("got %+v, want no connection", s)
	}
}
