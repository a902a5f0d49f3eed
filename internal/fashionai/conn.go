package fashionai

import (
	"bufio"
	"errors"
	"net"
	"syscall"
	"time"
)

const (
	// readBuffer bounds an answer's header, in bytes.
	readBuffer = 8 << 10
	// writeBuffer holds a usual request whole, so that it leaves in one piece.
	writeBuffer = 4 << 10
)

// conn is one connection with its buffers. It notes what fasthttp's errors do not tell.
type conn struct {
	net.Conn
	r *bufio.Reader
	w *bufio.Writer

	used  bool      // has carried a call before
	since time.Time // idle since
	got   int       // bytes of the answer read
	err   error     // last error of the connection itself

	raw  syscall.RawConn // nil if the connection is no socket
	peek func(fd uintptr) bool
	said bool // what peek found: bytes, or the end
}

func newConn(raw net.Conn) *conn {
	c := &conn{Conn: raw}
	c.r = bufio.NewReaderSize(c, readBuffer)
	c.w = bufio.NewWriterSize(c, writeBuffer)
	socket := raw
	if secure, ok := raw.(interface{ NetConn() net.Conn }); ok {
		socket = secure.NetConn()
	}
	if s, ok := socket.(syscall.Conn); ok {
		if c.raw, _ = s.SyscallConn(); c.raw != nil {
			c.peek = func(fd uintptr) bool {
				c.said = readable(fd)
				return true // do not wait
			}
		}
	}
	return c
}

// Read counts what is read.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.got += n
	if err != nil {
		c.err = err
	}
	return n, err
}

// Write notes the error.
func (c *conn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err != nil {
		c.err = err
	}
	return n, err
}

// quiet prepares an idle connection for a call, and tells whether it is as it should be:
// open, and silent. A server that has closed it, or said anything unasked, would not hear
// the next request; to find out before it is sent costs a system call and saves an
// ambiguity.
func (c *conn) quiet(deadline time.Time) bool {
	c.got, c.err, c.said = 0, nil, false
	if c.Conn.SetDeadline(deadline) != nil {
		return false
	}
	if c.raw == nil {
		return true
	}
	return c.raw.Read(c.peek) == nil && !c.said
}

// timedOut tells whether the connection's deadline ended it.
func (c *conn) timedOut() bool {
	var e net.Error
	return errors.As(c.err, &e) && e.Timeout()
}
