package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// maxConnections is how many clients may be there at once, if memory and the limit of
	// open files bear it.
	maxConnections = 2048
	// connectionCost is what a client costs in bytes, whether it waits or not: its buffers,
	// a stack, and what the runtime and fasthttp know of it. Measured with 2000 of them.
	//
	// fasthttp could give the buffers back between requests (ReduceMemoryUsage), which
	// makes a client that waits three times cheaper, and every hit a twentieth dearer.
	connectionCost = 44 << 10
	// spareConnections come on top: whoever makes room takes a moment to go, and if
	// nobody waits, nobody is sent away. Beyond them fasthttp answers 503.
	spareConnections = 256
	// maxSlow is how many requests may have begun and be waited for longer than slowGrace:
	// for each we hold up to 20 KiB and the body it has announced, 128 KiB at most. Many
	// clients send a head and its body apart, so for a moment it may be slowBurst times
	// as many.
	maxSlow   = 128
	slowBurst = 4
	slowGrace = time.Second
)

// conns is the data listener. When there are too many clients, it closes those that have
// waited longest: a shop app opens a new connection for one that was closed while idle, but
// can do nothing about one it cannot open.
type conns struct {
	net.Listener
	local         bool // a unix socket
	most, maxSlow int
	grace         time.Duration // slowGrace

	evicted atomic.Uint64

	mu   sync.Mutex
	open map[*conn]struct{}
	slow map[*conn]struct{} // of them, those whose request has begun and is waited for
}

// newConns wraps l.
func newConns(l net.Listener) (*conns, error) {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return nil, fmt.Errorf("asking how many files may be open: %w", err)
	}
	return &conns{
		Listener: l, local: l.Addr().Network() == "unix",
		most: room(files.Cur, debug.SetMemoryLimit(-1)), maxSlow: maxSlow, grace: slowGrace,
		open: make(map[*conn]struct{}), slow: make(map[*conn]struct{}),
	}, nil
}

// room returns how many connections may be open with so many files and so much memory
// (GOMEMLIMIT). A quarter of the files is for everything else, the journal, Redis and
// the API; of the memory, a quarter is for clients.
func room(files uint64, memory int64) int {
	return int(min(maxConnections, files/4*3, uint64(memory)/4/connectionCost)) //nolint:gosec // at most maxConnections
}

// acceptPause is how long a listener out of descriptors waits for one.
const acceptPause = 10 * time.Millisecond

// Accept returns the next connection, and makes room for it if there is none left.
func (l *conns) Accept() (net.Conn, error) {
	for {
		nc, err := l.Listener.Accept()
		switch {
		case err == nil:
			return l.admit(nc)
		case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOBUFS), errors.Is(err, syscall.ENOMEM):
			l.makeRoom() // to fasthttp every error is the end of the listener
			time.Sleep(acceptPause)
		default:
			return nil, err //nolint:wrapcheck // fasthttp looks at net's own errors
		}
	}
}

func (l *conns) admit(nc net.Conn) (net.Conn, error) {
	c := &conn{Conn: nc, of: l}
	l.mu.Lock()
	l.open[c] = struct{}{}
	full := len(l.open) > l.most
	l.mu.Unlock()
	if full {
		l.makeRoom()
	}
	return c, nil
}

// sample is how many connections are looked at for one to close. The one that has waited
// longest of so many is, nearly always, of those that have waited longest of all.
const sample = 64

// makeRoom closes a connection that waits for its next request.
func (l *conns) makeRoom() {
	var oldest *conn
	var since int64
	l.mu.Lock()
	looked := 0
	for c := range l.open { // begins anywhere
		if w := c.idle.Load(); w > 0 && (oldest == nil || w < since) {
			oldest, since = c, w
		}
		if looked++; looked == sample {
			break
		}
	}
	l.mu.Unlock()
	if oldest != nil && oldest.idle.CompareAndSwap(since, evicted) {
		l.evicted.Add(1)
		_ = oldest.Close() // there is nothing to be done about it
	}
}

// wait notes a connection whose request has begun and does not go on, and closes the one
// that has waited longest if there are too many.
func (l *conns) wait(c *conn) {
	var oldest *conn
	l.mu.Lock()
	l.slow[c] = struct{}{}
	if len(l.slow) > l.maxSlow {
		for other := range l.slow {
			if oldest == nil || other.began.Load() < oldest.began.Load() {
				oldest = other
			}
		}
		if len(l.slow) <= slowBurst*l.maxSlow && c.began.Load()-oldest.began.Load() < int64(l.grace) {
			oldest = nil
		} else {
			delete(l.slow, oldest)
		}
	}
	l.mu.Unlock()
	if oldest != nil {
		l.evicted.Add(1)
		_ = oldest.Close() // there is nothing to be done about it
	}
}

func (l *conns) goOn(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.slow, c)
}

func (l *conns) forget(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.open, c)
	delete(l.slow, c)
}

// conn is a client's connection. It knows whether its next request has begun, and keeps
// its deadlines.
//
// One goroutine reads; others may close it.
type conn struct {
	net.Conn
	of *conns

	deadlines
	kept  bool         // it has had an answer
	begun bool         // something of its request has come
	bare  bool         // whose first line ends without a carriage return
	began atomic.Int64 // when it last began to wait, in nanoseconds since 1970
	idle  atomic.Int64 // the same while it waits for a request, else 0; evicted once it is being closed for others
}

const evicted = -1

// errBareLF is what reading fails with when a request's first line ends in a line feed
// alone, which fasthttp takes or waits for more of, and others take for something else.
var errBareLF = errors.New("a line ends without a carriage return")

// noteState is told by fasthttp what becomes of a connection: idle after an answer, and
// active when there is something of the next request, which may have come with the one
// before. Only the first request is called active before anything of it is there.
func noteState(nc net.Conn, is fasthttp.ConnState) {
	c, ok := nc.(*conn)
	switch {
	case !ok:
	case is == fasthttp.StateIdle:
		c.kept, c.begun = true, false
	case is == fasthttp.StateActive:
		c.begun = c.begun || c.kept
	}
}

// Read reads what has come.
func (c *conn) Read(p []byte) (int, error) {
	if c.bare {
		return 0, errBareLF
	}
	now, err := c.reading(c.Conn, !c.begun)
	if err != nil {
		return 0, err
	}
	c.began.Store(now.UnixNano())
	if !c.begun {
		return c.await(p)
	}
	c.of.wait(c)
	defer c.of.goOn(c)
	return c.Conn.Read(p) //nolint:wrapcheck // fasthttp looks at net's own errors
}

// await waits for the next request.
func (c *conn) await(p []byte) (int, error) {
	since := c.began.Load()
	c.idle.Store(since)
	n, err := c.Conn.Read(p)
	if !c.idle.CompareAndSwap(since, 0) {
		return 0, net.ErrClosed // chosen to go before this request came
	}
	if n > 0 {
		c.begun = true
		end := bytes.IndexByte(p[:n], '\n')
		if c.bare = end == 0 || end > 0 && p[end-1] != '\r'; c.bare {
			n = 1 // so that fasthttp asks for more, and says what it is told then
		}
	}
	return n, err //nolint:wrapcheck // fasthttp looks at net's own errors
}

// Write writes an answer, or a part of one.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.writing(c.Conn); err != nil {
		return 0, err
	}
	return c.Conn.Write(p) //nolint:wrapcheck // fasthttp looks at net's own errors
}

// Close closes the connection; whoever reads from it gets an error.
func (c *conn) Close() error {
	c.of.forget(c)
	return c.Conn.Close() //nolint:wrapcheck // fasthttp looks at net's own errors
}
