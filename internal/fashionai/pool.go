package fashionai

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

var (
	errClosed = errors.New("the client is closed")
	errLate   = errors.New("the deadline had passed before the call")
	errBusy   = errors.New("all connections to the API were busy until the deadline")
)

// pool holds the connections. A call takes one, and gives it back or discards it.
//
// The idle ones are a stack: the warmest is used next, and those a quiet hour does not need
// grow old at the bottom. So all below a connection are older than it, and if it is too
// old, or turns out to have been closed by the server, they are too.
type pool struct {
	dialer  *dialer
	maxIdle time.Duration
	slots   chan struct{} // one for each connection that may be in use

	mu     sync.Mutex
	idle   []*conn
	inUse  map[*conn]struct{}
	closed bool
}

// take returns a connection whose reads and writes fail after deadline. Unless a fresh one
// is wanted, it is the last one used that is still good, if there is any.
func (p *pool) take(deadline time.Time, fresh bool) (*conn, error) {
	if err := p.enter(deadline); err != nil {
		return nil, err
	}
	if time.Until(deadline) <= 0 {
		<-p.slots
		return nil, errLate
	}
	if !fresh {
		if c := p.pop(); c != nil {
			if c.quiet(deadline) {
				return c, nil
			}
			p.forget(c)
			p.dropIdle(0)
		}
	}
	c, err := p.open(deadline)
	if err != nil {
		<-p.slots
		return nil, err
	}
	return c, nil
}

// enter waits for a slot.
func (p *pool) enter(deadline time.Time) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return errBusy
	}
}

// pop moves the warmest idle connection to those in use; nil if there is none.
func (p *pool) pop() *conn {
	p.dropIdle(p.maxIdle)
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	p.inUse[c] = struct{}{}
	return c
}

func (p *pool) open(deadline time.Time) (*conn, error) {
	raw, err := p.dialer.dial(deadline)
	if err != nil {
		return nil, err
	}
	if err := raw.SetDeadline(deadline); err != nil {
		_ = raw.Close()
		return nil, fmt.Errorf("setting the deadline: %w", err)
	}
	c := newConn(raw)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = raw.Close()
		return nil, errClosed
	}
	p.inUse[c] = struct{}{}
	return c, nil
}

// give takes back a connection that is ready for another call.
func (p *pool) give(c *conn) {
	c.used = true
	c.since = time.Now()
	p.mu.Lock()
	delete(p.inUse, c)
	keep := !p.closed && len(p.inUse)+len(p.idle) < cap(p.slots)
	if keep {
		p.idle = append(p.idle, c)
	}
	p.mu.Unlock()
	if !keep {
		_ = c.Conn.Close()
	}
	<-p.slots
}

// discard closes a connection that is not.
func (p *pool) discard(c *conn) {
	p.forget(c)
	<-p.slots
}

func (p *pool) forget(c *conn) {
	p.mu.Lock()
	delete(p.inUse, c)
	p.mu.Unlock()
	_ = c.Conn.Close()
}

// dropIdle closes the connections idle for at least age.
func (p *pool) dropIdle(age time.Duration) {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= age {
		n++
	}
	var old []*conn
	if n > 0 {
		old = append(old, p.idle[:n]...)
		kept := copy(p.idle, p.idle[n:])
		clear(p.idle[kept:])
		p.idle = p.idle[:kept]
	}
	p.mu.Unlock()
	for _, c := range old {
		_ = c.Conn.Close()
	}
}

// close closes every connection, also under a call, and lets none be opened.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for c := range p.inUse {
		_ = c.Conn.Close()
	}
	p.mu.Unlock()
	p.dropIdle(0)
}

// size returns how many connections are in use and idle.
func (p *pool) size() (inUse, idle int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.inUse), len(p.idle)
}
