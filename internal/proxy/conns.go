package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxConnections is how many clients may be there at once, if memory and the limit of
	// open files bear it.
	maxConnections = 16 << 10
	// waitingCost is what a client that waits costs in bytes: 8 KiB of stack, and what the
	// runtime and fasthttp know of it. Measured with 10 000 of them, after a collection.
	waitingCost = 10 << 10
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

// conns is the data listener. It makes clients that wait cheap, and when there are too
// many, closes those that have waited longest: a shop app opens a new connection for one that
// was closed while idle, but can do nothing about one it cannot open.
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
// the API; of the memory, a quarter is for clients that wait.
func room(files uint64, memory int64) int {
	return int(min(maxConnections, files/4*3, uint64(memory)/4/waitingCost)) //nolint:gosec // at most maxConnections
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
	if s, ok := nc.(syscall.Conn); ok {
		raw, err := s.SyscallConn()
		if err != nil {
			return nil, errors.Join(err, nc.Close())
		}
		c.raw, c.first, c.more = raw, c.readFirst, c.readMore
	}
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

// conn is a client's connection. While it waits for a request it holds no buffer: fasthttp
// with ReduceMemoryUsage gives all of its own back and asks for a single byte, and what
// comes in answer to that is read ahead into a chunk of ours, so that the single byte costs no system
// call of its own.
//
// One goroutine reads; others may close it.
type conn struct {
	net.Conn
	of  *conns
	raw syscall.RawConn // nil if the connection is none of the system's

	deadlines
	began atomic.Int64 // when it last began to wait, in nanoseconds since 1970
	idle  atomic.Int64 // the same while it waits for a request, else 0; evicted once it is being closed for others

	first, more func(fd uintptr) bool // readFirst and readMore, bound once
	chunk       *chunk                // nil if nothing is read ahead
	ahead       []byte                // of chunk, not yet asked for
	bare        bool                  // the request's first line ends without a carriage return

	// Of the call of raw.Read under way.
	into  []byte
	n     int
	err   error
	begun bool // it waits, and is among the slow ones
}

const evicted = -1

// A chunk takes what has come of a request, so it is as large as fasthttp's own buffer.
type chunk [maxHeaders]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }} //nolint:gochecknoglobals // a pool holds no state

// errBareLF is what reading fails with when a request's first line ends in a line feed
// alone. fasthttp would wait in vain for the carriage return, and others would not.
var errBareLF = errors.New("a line ends without a carriage return")

// Read reads what has come. A single byte is asked for by fasthttp alone, when it waits
// for the next request.
func (c *conn) Read(p []byte) (int, error) {
	switch {
	case len(p) == 0:
		return 0, nil
	case c.bare:
		return 0, errBareLF
	case c.chunk != nil:
		return c.take(p), nil
	}
	now, err := c.reading(c.Conn, len(p) == 1)
	if err != nil {
		return 0, err
	}
	c.began.Store(now.UnixNano())
	switch {
	case c.raw == nil:
		return c.Conn.Read(p) //nolint:wrapcheck // fasthttp looks at net's own errors
	case len(p) == 1:
		return c.await(p)
	}
	c.into, c.begun = p, false
	err = c.raw.Read(c.more)
	c.into = nil
	if c.begun {
		c.of.goOn(c)
	}
	if err != nil {
		return 0, err //nolint:wrapcheck // fasthttp looks at net's own errors
	}
	return c.n, c.err
}

// await waits for the first byte of a request, and reads ahead what comes with it.
func (c *conn) await(p []byte) (int, error) {
	since := c.began.Load()
	c.idle.Store(since)
	err := c.raw.Read(c.first)
	if !c.idle.CompareAndSwap(since, 0) {
		err = net.ErrClosed // chosen to go before this request came
	}
	switch {
	case err != nil:
		c.drop()
		return 0, err //nolint:wrapcheck // fasthttp looks at net's own errors
	case c.err != nil:
		return 0, c.err
	}
	end := bytes.IndexByte(c.ahead, '\n')
	bare := end == 0 || end > 0 && c.ahead[end-1] != '\r'
	n := c.take(p)
	c.bare = bare
	return n, nil
}

// take gives of what was read ahead.
func (c *conn) take(p []byte) int {
	n := copy(p, c.ahead)
	if c.ahead = c.ahead[n:]; len(c.ahead) == 0 {
		c.drop()
	}
	return n
}

func (c *conn) drop() {
	if c.chunk != nil {
		chunks.Put(c.chunk)
		c.chunk, c.ahead = nil, nil
	}
}

// readFirst is for RawConn.Read: it reports false if there is nothing yet, and then holds nothing.
func (c *conn) readFirst(fd uintptr) bool {
	chunk := chunks.Get().(*chunk) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	done := c.receive(fd, chunk[:])
	if !done || c.n == 0 {
		chunks.Put(chunk)
		return done
	}
	c.chunk, c.ahead = chunk, chunk[:c.n]
	return true
}

// readMore is for RawConn.Read, in the middle of a request.
func (c *conn) readMore(fd uintptr) bool {
	done := c.receive(fd, c.into)
	if !done && !c.begun {
		c.begun = true
		c.of.wait(c)
	}
	return done
}

// receive reads once. It reports false if there is nothing yet.
func (c *conn) receive(fd uintptr, p []byte) bool {
	for {
		n, err := syscall.Read(int(fd), p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return false
		case err != nil:
			c.n, c.err = 0, &net.OpError{Op: "read", Net: c.LocalAddr().Network(), Addr: c.RemoteAddr(), Err: os.NewSyscallError("read", err)}
		case n == 0:
			c.n, c.err = 0, io.EOF
		default:
			c.n, c.err = n, nil
		}
		return true
	}
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
