package fakeapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// headerTimeout bounds how long a client may take for the headers of a call.
const headerTimeout = 30 * time.Second

// Server is the stand-in API on an address of its own, which stays the same when it
// is stopped and started again.
type Server struct {
	*API

	addr       string
	authority  *authority // nil without TLS
	control    *listening
	reserved   io.Closer
	changed    chan struct{} // holds one when a script was set
	end        context.CancelFunc
	background sync.WaitGroup

	mu          sync.Mutex
	stopped     bool        // by Stop, until Start
	closed      bool        // by Close, for ever
	data        *listening  // nil while connections are refused
	certificate Certificate // shown at the last look
	phase       string      // the last one logged
}

// listening is an http.Server at work.
type listening struct {
	srv   *http.Server
	lines *lines
	addr  string
	done  chan struct{} // closed when Serve has returned
}

// Start makes an API and serves it. The caller closes it.
func Start(opts Options) (*Server, error) {
	api, err := New(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{API: api, changed: make(chan struct{}, 1)}
	api.onScript = s.scriptSet
	if opts.TLS {
		if s.authority, err = newAuthority(time.Now()); err != nil {
			return nil, err
		}
	}
	if s.addr = opts.Listen; s.addr == "" {
		if s.reserved, s.addr, err = reserve(); err != nil {
			return nil, fmt.Errorf("reserving a port: %w", err)
		}
	}
	if err := s.open(opts.ControlListen); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// open starts the listeners and the one goroutine that lets scripts pass over them.
func (s *Server) open(controlAddr string) (err error) {
	if controlAddr == "" {
		controlAddr = "127.0.0.1:0"
	}
	if s.control, err = listen(s.Control(), newLines(newDirector(0)), controlAddr, nil); err != nil {
		return fmt.Errorf("opening the control address: %w", err)
	}
	if err = s.reconcile(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.background.Go(func() { s.direct(ctx) })
	return nil
}

// URL is where the API is, without a slash at the end.
func (s *Server) URL() string {
	if s.authority != nil {
		return "https://" + s.addr
	}
	return "http://" + s.addr
}

// ControlURL is where the control endpoints are, without a slash at the end.
func (s *Server) ControlURL() string { return "http://" + s.control.addr }

// Addr is the API's host:port.
func (s *Server) Addr() string { return s.addr }

// CAPEM returns the certificate of the authority that signed the API's own, as PEM;
// nil without TLS.
func (s *Server) CAPEM() []byte {
	if s.authority == nil {
		return nil
	}
	return s.authority.pem
}

// CertPool returns the same authority as a pool to trust; nil without TLS.
func (s *Server) CertPool() *x509.CertPool {
	if s.authority == nil {
		return nil
	}
	return s.authority.pool
}

// Stop closes the listener and every connection, so that new ones are refused, and
// waits for the calls under way. Ledger and counts stay.
func (s *Server) Stop() error {
	s.setStopped(true)
	return s.reconcile()
}

// Start listens again, on the same address, unless a fault refuses connections.
func (s *Server) Start() error {
	s.setStopped(false)
	return s.reconcile()
}

// Close stops the server for ever and waits for everything it started.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.end != nil {
		s.end()
	}
	s.background.Wait()
	err := s.reconcile()
	if s.control != nil {
		err = errors.Join(err, s.control.close())
	}
	if s.reserved != nil {
		err = errors.Join(err, s.reserved.Close())
		s.reserved = nil
	}
	return err
}

func (s *Server) setStopped(stopped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = stopped
}

// scriptSet makes a new script hold at once, and wakes direct to time what follows.
func (s *Server) scriptSet() {
	s.follow()
	select {
	case s.changed <- struct{}{}:
	default: // it is about to look anyway
	}
}

// direct applies the script to the listener and the connections as time passes.
func (s *Server) direct(ctx context.Context) {
	for {
		_, next := s.director.posture()
		var due <-chan time.Time
		if next > 0 {
			due = time.After(next)
		}
		select {
		case <-ctx.Done():
			return
		case <-s.changed:
		case <-due:
			s.lines.rearm()
			s.follow()
		}
	}
}

// follow makes the phase that has begun hold. It logs what it cannot do, because a
// script has nobody to return an error to.
func (s *Server) follow() {
	if phase := s.director.phase(); s.enter(phase) {
		s.opts.Logger.Info("phase", "name", phase)
	}
	if err := s.reconcile(); err != nil {
		s.opts.Logger.Error("the listener does not follow the script", "error", err)
	}
}

// enter notes the phase and reports whether it is another than before.
func (s *Server) enter(phase string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	another := phase != s.phase
	s.phase = phase
	return another
}

// reconcile opens or closes the listener, and closes the connections that were
// opened with another certificate, as Stop, Close and the script want it now.
func (s *Server) reconcile() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, _ := s.director.posture()
	if p.certificate != s.certificate {
		s.certificate = p.certificate
		s.lines.closeAll()
	}
	up := !s.closed && !s.stopped && !p.refuse
	switch {
	case up && s.data == nil:
		var config *tls.Config
		if s.authority != nil {
			config = s.authority.config(s.director)
		}
		data, err := listen(s.API, s.lines, s.addr, config)
		if err != nil {
			return fmt.Errorf("listening on %s: %w", s.addr, err)
		}
		s.data = data
		if s.addr != data.addr { // only the first time: the address was left to the system
			s.addr = data.addr
		}
	case !up && s.data != nil:
		err := s.data.close()
		s.data = nil
		return err
	}
	return nil
}

// listen serves on an address until close.
func listen(handler http.Handler, lines *lines, addr string, config *tls.Config) (*listening, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	l := &listening{lines: lines, addr: listener.Addr().String(), done: make(chan struct{})}
	l.srv = &http.Server{
		Handler:           handler,
		ConnContext:       lines.context,
		ConnState:         lines.state,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // broken connections are what this server is for
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	go func() {
		defer close(l.done)
		_ = l.srv.Serve(listener) // always http.ErrServerClosed, after close
	}()
	return l, nil
}

// close closes the listener and every connection, and waits for their handlers.
func (l *listening) close() error {
	err := l.srv.Close()
	<-l.done
	l.lines.closeAll() // one accepted at the last moment escapes http.Server.Close
	l.lines.wait()
	return err
}
