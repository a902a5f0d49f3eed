package rig

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Relay carries connections to an address and can make the answers late: a distant
// server, or one that is slow, in front of a near one.
type Relay struct {
	target   string
	listener net.Listener
	late     atomic.Int64 // nanoseconds
	group    sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
	asked []time.Time
}

// StartRelay starts one on a free port, which adds nothing until Delay is called.
func StartRelay(ctx context.Context, target string) (*Relay, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("starting a relay: %w", err)
	}
	r := &Relay{target: target, listener: l, conns: make(map[net.Conn]struct{})}
	r.group.Go(r.accept) // ends with the listener, which Close awaits
	return r, nil
}

// Addr is its host:port.
func (r *Relay) Addr() string { return r.listener.Addr().String() }

// Delay makes everything that the target says from now on late by d.
func (r *Relay) Delay(d time.Duration) { r.late.Store(int64(d)) }

// Asked are the instants at which connections were opened to it, whether or not the target
// was there.
func (r *Relay) Asked() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.asked)
}

// Close ends every connection and waits.
func (r *Relay) Close() error {
	err := r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		_ = c.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.group.Wait()
	return err
}

func (r *Relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.mu.Lock()
		r.asked = append(r.asked, time.Now())
		r.mu.Unlock()
		r.group.Go(func() { r.carry(near) })
	}
}

// carry ends when either end does, or Close.
func (r *Relay) carry(near net.Conn) {
	defer near.Close()
	far, err := net.DialTimeout("tcp", r.target, time.Second) //nolint:noctx // the target is on this machine
	if err != nil {
		return
	}
	defer far.Close()
	if !r.keep(near, far) {
		return
	}
	defer r.forget(near, far)
	var ways sync.WaitGroup
	ways.Go(func() { _, _ = io.Copy(far, near); _ = far.Close() })
	r.pump(near, far)
	_ = near.Close()
	ways.Wait()
}

func (r *Relay) keep(conns ...net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		if r.conns == nil {
			return false
		}
		r.conns[c] = struct{}{}
	}
	return true
}

func (r *Relay) forget(conns ...net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range conns {
		delete(r.conns, c)
	}
}

// piece is some bytes and when they may be passed on.
type piece struct {
	due   time.Time
	bytes []byte
}

// inTransit bounds the pieces of a connection that are on their way; when there are
// more, the sender waits, as on any long line.
const inTransit = 1024

// pump passes on what src says, late, until src ends or dst does. Pieces do not wait for
// each other: a delay is not a smaller bandwidth.
func (r *Relay) pump(dst io.Writer, src io.Reader) {
	line := make(chan piece, inTransit)
	var writer sync.WaitGroup
	writer.Go(func() {
		var err error
		for p := range line {
			if err == nil {
				time.Sleep(time.Until(p.due))
				_, err = dst.Write(p.bytes)
			}
		}
	})
	for {
		buffer := make([]byte, 16<<10)
		n, err := src.Read(buffer)
		if n > 0 {
			line <- piece{time.Now().Add(time.Duration(r.late.Load())), buffer[:n]}
		}
		if err != nil {
			break
		}
	}
	close(line)
	writer.Wait()
}
