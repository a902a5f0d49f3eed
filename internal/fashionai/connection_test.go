package fashionai_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
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

// network is one in memory: every connection is served by the script.
func network(script func(net.Conn, *bufio.Reader), dials *atomic.Int32) func(context.Context, string, string) (net.Conn, error) {
	return func(context.Context, string, string) (net.Conn, error) {
		dials.Add(1)
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			script(theirs, bufio.NewReader(theirs))
		}()
		return ours, nil
	}
}

// inBubble returns a client of an API in memory, with a time-out of 2 s.
func inBubble(t *testing.T, dials *atomic.Int32, script func(net.Conn, *bufio.Reader)) *fashionai.Client {
	t.Helper()
	return client(t, "http://192.0.2.1", timeout(2*time.Second), func(o *fashionai.Options) {
		o.Dial = network(script, dials)
		o.DialTimeout = time.Second
	})
}

func TestSlowAnswerIsCutAtTheDeadline(t *testing.T) {
	drip := func(text string) func(net.Conn, *bufio.Reader) {
		return func(conn net.Conn, r *bufio.Reader) {
			hear(r)
			for i := range len(text) {
				time.Sleep(50 * time.Millisecond)
				if _, err := io.WriteString(conn, text[i:i+1]); err != nil {
					return
				}
			}
		}
	}
	for name, c := range map[string]struct {
		script func(net.Conn, *bufio.Reader)
		status int
	}{
		"header":  {drip("HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100)), 0},
		"body":    {drip("HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat(" ", 100)), 200},
		"chunks":  {drip("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\n \r\n", 100)), 0},
		"hints":   {drip(strings.Repeat("HTTP/1.1 103 \r\n\r\n", 5)), 0},
		"silence": {func(_ net.Conn, r *bufio.Reader) { hear(r); hear(r) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var dials atomic.Int32
				api := inBubble(t, &dials, c.script)
				start := time.Now()
				out := recommend(api)
				if took := time.Since(start); took != 2*time.Second || out.Took != took {
					t.Errorf("took %s, says %s, want 2s", took, out.Took)
				}
				if out.Class != fashionai.Timeout || !out.Sent || out.Status != c.status || out.Code() != "timeout" {
					t.Errorf("got %+v (%v), want a time-out, sent", out, out.Err)
				}
				if s := api.Stats(); s.InUse != 0 || s.Idle != 0 || dials.Load() != 1 {
					t.Errorf("got %+v, %d dials, want the connection gone, and no other", s, dials.Load())
				}
				time.Sleep(time.Minute) // lets the server end
			})
		})
	}
}

func TestCallersDeadlineIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		c := inBubble(t, &dials, func(_ net.Conn, r *bufio.Reader) { hear(r); hear(r) })
		start := time.Now()
		out := c.Recommend(fashionai.Call{Body: []byte(event), Deadline: start.Add(300 * time.Millisecond)})
		if took := time.Since(start); took != 300*time.Millisecond || out.Class != fashionai.Timeout {
			t.Errorf("got %+v after %s, want a time-out after 300ms", out, took)
		}
	})
}

// A call that comes too late is not made, and costs no connection.
func TestDeadlineInThePast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials, heard atomic.Int32
		c := inBubble(t, &dials, keepAlive(10, &heard))
		recommend(c)
		out := c.Recommend(fashionai.Call{Body: []byte(event), Deadline: time.Now()})
		if s := c.Stats(); out.Class != fashionai.Unreachable || out.Sent || heard.Load() != 1 || s.Idle != 1 {
			t.Errorf("got %+v, %+v, want unreachable, not sent, the connection kept", out, s)
		}
	})
}

// A server that does not read has not got the event.
func TestRequestThatCannotBeSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		c := inBubble(t, &dials, func(conn net.Conn, _ *bufio.Reader) {
			conn.Read(make([]byte, 10))
			time.Sleep(time.Minute)
		})
		sent := false
		out := c.Recommend(fashionai.Call{Body: []byte(event), Sent: func() { sent = true }})
		if out.Class != fashionai.Unreachable || out.Sent || sent || out.Took != 2*time.Second {
			t.Errorf("got %+v (%v), want unreachable, not sent, after 2s", out, out.Err)
		}
		time.Sleep(time.Minute) // lets the server end
	})
}

func TestNoPileUpOfDials(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var under, most atomic.Int32
		c := client(t, "http://192.0.2.1", timeout(3*time.Second), func(o *fashionai.Options) {
			o.MaxConns = 4
			o.DialTimeout = time.Second
			o.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
				most.Store(max(most.Load(), under.Add(1)))
				defer under.Add(-1)
				<-ctx.Done() // a SYN nobody answers
				return nil, ctx.Err()
			}
		})
		start := time.Now()
		var callers sync.WaitGroup
		for range 40 {
			callers.Go(func() {
				if out := recommend(c); out.Class != fashionai.Unreachable || out.Sent {
					t.Errorf("got %+v, want unreachable, not sent", out)
				}
			})
		}
		callers.Wait()
		if took := time.Since(start); took != 3*time.Second {
			t.Errorf("the last call ended after %s, want 3s", took)
		}
		if got := most.Load(); got != 4 {
			t.Errorf("dials at once: got %d, want 4", got)
		}
	})
}

func TestIdleConnectionsGrowOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials, heard atomic.Int32
		c := inBubble(t, &dials, keepAlive(100, &heard))
		recommend(c)
		time.Sleep(4*time.Second - 1)
		recommend(c)
		if got := dials.Load(); got != 1 {
			t.Errorf("dials within the idle time: got %d, want 1", got)
		}
		time.Sleep(4 * time.Second)
		recommend(c)
		if got := dials.Load(); got != 2 {
			t.Errorf("dials after it: got %d, want 2", got)
		}

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(8 * time.Second)
		synctest.Wait()
		if s := c.Stats(); s.Idle != 0 {
			t.Errorf("got %+v, want none idle", s)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// names is a resolver that can fail.
type names struct {
	lookups int
	found   []netip.Addr
	wait    time.Duration
}

func (n *names) lookup(ctx context.Context, _ string) ([]netip.Addr, error) {
	n.lookups++
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(n.wait):
	}
	if n.found == nil {
		return nil, errors.New("no such host")
	}
	return n.found, nil
}

func TestAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v6, v4 := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("::ffff:192.0.2.2")
		dns := &names{found: []netip.Addr{v6, v4}}
		var dialled []string
		dead := "[2001:db8::1]:80"
		c := client(t, "http://api.example", timeout(2*time.Second), func(o *fashionai.Options) {
			o.DialTimeout = time.Second
			o.Lookup = dns.lookup
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled = append(dialled, address)
				if address == dead {
					<-ctx.Done()
					return nil, ctx.Err()
				}
				ours, theirs := net.Pipe()
				go say("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 19\r\n\r\n"+ranked)(theirs, bufio.NewReader(theirs))
				return ours, nil
			}
		})
		check := func(what string, took time.Duration, lookups int, want ...string) {
			t.Helper()
			dialled = nil
			out := recommend(c)
			if out.Class != fashionai.OK || out.Took != took || dns.lookups != lookups || strings.Join(dialled, " ") != strings.Join(want, " ") {
				t.Errorf("%s: got %+v (%v), %d lookups, dialled %q, want ok in %s, %d, %q",
					what, out, out.Err, dns.lookups, dialled, took, lookups, want)
			}
		}
		check("first", 500*time.Millisecond, 1, dead, "192.0.2.2:80")
		check("what worked comes first", 0, 1, "192.0.2.2:80")
		time.Sleep(30 * time.Second)
		dns.found = nil
		check("DNS fails", 0, 2, "192.0.2.2:80")
		check("and is left alone", 0, 2, "192.0.2.2:80")
		time.Sleep(30 * time.Second)
		dns.wait = time.Hour
		check("DNS hangs", 250*time.Millisecond, 3, "192.0.2.2:80")
		time.Sleep(30 * time.Second)
		dns.wait, dns.found = 0, []netip.Addr{netip.MustParseAddr("192.0.2.3")}
		check("DNS is back", 0, 4, "192.0.2.3:80")
	})
}

func TestUnknownHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dns := &names{wait: time.Hour}
		c := client(t, "http://api.example", func(o *fashionai.Options) { o.Lookup, o.DialTimeout = dns.lookup, time.Second })
		out := recommend(c)
		if out.Class != fashionai.Unreachable || out.Sent || out.Took != time.Second || out.Err == nil || !strings.Contains(out.Err.Error(), "api.example") {
			t.Errorf("got %+v (%v), want unreachable after 1s, and which host", out, out.Err)
		}
	})
}
