// Package wire is the harness's HTTP/1.1 client: kept connections, one request at a
// time on each, nothing allocated in between. It exists because a client that costs
// more than the server under test measures itself.
package wire

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxIdle is how long a connection may lie unused and still be trusted. It is well
// below what servers allow, so that none is closed in our hand.
const maxIdle = 5 * time.Second

// errMalformed means that what came is no HTTP answer.
var errMalformed = errors.New("malformed answer")

// Client sends requests to one address. It may be used concurrently.
type Client struct {
	network, addr string
	fresh         bool // a connection for each request

	opened atomic.Int64
	mu     sync.Mutex
	idle   []*conn // the most lately used last
}

type conn struct {
	net.Conn
	r    *bufio.Reader
	used time.Time
	till time.Time // the deadline it has
	past int       // answers so far
}

// NewClient returns a client of addr: host:port, or unix:PATH. If fresh is set, every
// request opens a connection of its own.
func NewClient(addr string, fresh bool) *Client {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return &Client{network: "unix", addr: path, fresh: fresh}
	}
	return &Client{network: "tcp", addr: addr, fresh: fresh}
}

// Addr is what the client was made with.
func (c *Client) Addr() string {
	if c.network == "unix" {
		return "unix:" + c.addr
	}
	return c.addr
}

// Opened is how many connections were opened so far.
func (c *Client) Opened() int64 { return c.opened.Load() }

// Close closes the idle connections.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, k := range c.idle {
		_ = k.Close()
	}
	c.idle = nil
}

// Do sends a whole request and reads the answer into a, whose memory it uses again.
// An error names what failed. The request is never sent twice.
func (c *Client) Do(request []byte, a *Answer, deadline time.Time) error {
	k, err := c.take(deadline)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	keep, err := k.exchange(request, a, deadline)
	if err != nil || !keep || c.fresh {
		return errors.Join(err, k.Close())
	}
	c.give(k)
	return nil
}

// HangUp sends a request, waits and closes the connection without reading.
func (c *Client) HangUp(request []byte, after time.Duration, deadline time.Time) error {
	k, err := c.take(deadline)
	if err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	_, err = k.Write(request)
	if err == nil {
		time.Sleep(after)
	}
	return errors.Join(err, k.Close())
}

func (c *Client) take(deadline time.Time) (*conn, error) {
	if k := c.lastIdle(); k != nil {
		return k, nil
	}
	dialer := net.Dialer{Deadline: deadline}
	nc, err := dialer.DialContext(context.Background(), c.network, c.addr)
	if err != nil {
		return nil, err
	}
	c.opened.Add(1)
	return &conn{Conn: nc, r: bufio.NewReaderSize(nc, 16<<10)}, nil
}

func (c *Client) lastIdle() *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.idle)
	if n == 0 {
		return nil
	}
	k := c.idle[n-1]
	if time.Since(k.used) < maxIdle {
		c.idle = c.idle[:n-1]
		return k
	}
	for _, old := range c.idle { // all others were used before this one
		_ = old.Close()
	}
	c.idle = nil
	return nil
}

func (c *Client) give(k *conn) {
	k.used = time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = append(c.idle, k)
}

// bound gives the connection the deadline. One that ends up to an eighth of the time
// earlier will do: setting it costs a twentieth of a request.
func (k *conn) bound(deadline time.Time) error {
	early := deadline.Sub(k.till)
	if early >= 0 && early < time.Until(deadline)/8 {
		return nil
	}
	k.till = deadline
	return k.SetDeadline(deadline)
}

// exchange reports whether the connection is good for another request.
func (k *conn) exchange(request []byte, a *Answer, deadline time.Time) (bool, error) {
	if err := k.bound(deadline); err != nil {
		return false, err
	}
	if _, err := k.Write(request); err != nil {
		return false, fmt.Errorf("writing: %w", err)
	}
	if err := a.read(k.r); err != nil {
		return false, fmt.Errorf("reading: %w", err)
	}
	k.past++
	return a.keep, nil
}

// Answer is what came back. Its memory is used again by the next Do.
type Answer struct {
	Status int
	Body   []byte

	head []byte // the lines after the first
	keep bool
}

// Header returns a header's value, "" if there is none. The name is given in lower case.
func (a *Answer) Header(name string) string {
	v, _ := a.header(name)
	return string(v)
}

func (a *Answer) header(name string) ([]byte, bool) {
	for rest := a.head; len(rest) > 0; {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:]), true
		}
	}
	return nil, false
}

func (a *Answer) read(r *bufio.Reader) error {
	a.Status, a.head, a.Body = 0, a.head[:0], a.Body[:0]
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return errMalformed
	}
	if a.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return errMalformed
	}
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
		a.head = append(a.head, line...)
	}
	length := 0
	if v, ok := a.header("content-length"); ok {
		if length, err = strconv.Atoi(string(v)); err != nil || length < 0 {
			return errMalformed
		}
	} else if a.Status != 204 {
		return fmt.Errorf("%w: no Content-Length", errMalformed)
	}
	v, _ := a.header("connection")
	a.keep = !bytes.EqualFold(v, []byte("close"))
	a.Body = slices.Grow(a.Body, length)[:length]
	_, err = io.ReadFull(r, a.Body)
	return err
}
