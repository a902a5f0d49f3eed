package fakeapi

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// lines numbers the connections, closes those a fault wants closed, and knows when
// the last one is done with.
type lines struct {
	director *director
	serving  sync.WaitGroup // one for each connection

	mu       sync.Mutex
	open     map[net.Conn]*line
	accepted uint64 // since the start: the number of the last line
	before   uint64 // of these, before the last reset
}

// line is one connection.
type line struct {
	all      *lines
	id       uint64
	conn     net.Conn
	calls    atomic.Uint64
	hijacked bool // only its handler's goroutine asks

	idle  bool        // guarded by lines.mu
	close *time.Timer // guarded by lines.mu; closes it if it stays idle
}

type lineKey struct{}

func newLines(d *director) *lines { return &lines{director: d, open: make(map[net.Conn]*line)} }

// context is an http.Server's ConnContext.
func (ls *lines) context(ctx context.Context, conn net.Conn) context.Context {
	ls.serving.Add(1)
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.accepted++
	l := &line{all: ls, id: ls.accepted, conn: conn}
	ls.open[conn] = l
	return context.WithValue(ctx, lineKey{}, l)
}

// state is an http.Server's ConnState. A hijacked connection ends with its handler.
func (ls *lines) state(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateActive:
		ls.setIdle(conn, false)
	case http.StateIdle:
		ls.setIdle(conn, true)
	case http.StateClosed:
		ls.remove(conn)
	case http.StateNew, http.StateHijacked:
	}
}

func (ls *lines) setIdle(conn net.Conn, idle bool) {
	p, _ := ls.director.posture()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l, ok := ls.open[conn]; ok {
		l.idle = idle
		l.armLocked(p)
	}
}

// rearm applies a changed posture to the connections that are idle already.
func (ls *lines) rearm() {
	p, _ := ls.director.posture()
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.open {
		l.armLocked(p)
	}
}

// armLocked closes an idle line now, later or not at all, as the posture wants.
func (l *line) armLocked(p posture) {
	if l.close != nil {
		l.close.Stop()
		l.close = nil
	}
	switch {
	case !l.idle:
	case p.closeAfter > 0 && l.calls.Load() >= uint64(p.closeAfter):
		_ = l.conn.Close()
	case p.idleClose > 0:
		l.close = time.AfterFunc(p.idleClose, l.closeIfIdle)
	}
}

func (l *line) closeIfIdle() {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	if l.idle {
		_ = l.conn.Close()
	}
}

func (ls *lines) remove(conn net.Conn) {
	ls.mu.Lock()
	l, ok := ls.open[conn]
	if ok {
		l.idle = false
		l.armLocked(posture{})
		delete(ls.open, conn)
	}
	ls.mu.Unlock()
	if ok {
		ls.serving.Done()
	}
}

// closeAll closes every connection at once.
func (ls *lines) closeAll() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for conn := range ls.open {
		_ = conn.Close()
	}
}

// wait returns when no connection is served any more. The listener must be closed.
func (ls *lines) wait() { ls.serving.Wait() }

func (ls *lines) count() (accepted uint64, open int) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.accepted - ls.before, len(ls.open)
}

func (ls *lines) reset() {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.before = ls.accepted
}

// lineOf returns the connection a request came on; nil if nobody keeps count.
func lineOf(ctx context.Context) *line {
	l, _ := ctx.Value(lineKey{}).(*line)
	return l
}

// begin counts a call and returns its number on this line.
func (l *line) begin() uint64 {
	if l == nil {
		return 0
	}
	return l.calls.Add(1)
}

// end is told that the call's handler is done.
func (l *line) end() {
	if l != nil && l.hijacked {
		l.all.remove(l.conn)
	}
}

func (l *line) number() uint64 {
	if l == nil {
		return 0
	}
	return l.id
}

// abort resets the connection: the peer gets an RST, not the end of a stream.
// Where the connection cannot be had, the handler is aborted.
func abort(w http.ResponseWriter, l *line) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if l != nil {
		l.hijacked = true
	}
	if secured, ok := conn.(*tls.Conn); ok {
		conn = secured.NetConn() // a TLS close would say goodbye first
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
