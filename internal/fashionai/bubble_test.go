package fashionai_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
)

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
			o.Dial = func(ctx context.Context, _, address string) (net.Conn, error) {
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
