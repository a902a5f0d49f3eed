package fakeshop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// headerTimeout bounds how long a client may take for the headers of a request.
const headerTimeout = 30 * time.Second

// Server is a shop on an address of its own.
type Server struct {
	*Shop

	srv         *http.Server
	url         string
	done        chan struct{} // closed when Serve has returned
	connections sync.WaitGroup
}

// Start makes a shop and serves it. The caller closes it.
func Start(opts Options) (*Server, error) {
	addr := opts.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("opening the shop: %w", err)
	}
	s := &Server{Shop: New(opts), url: "http://" + listener.Addr().String(), done: make(chan struct{})}
	s.srv = &http.Server{
		Handler:           s.Shop,
		ConnState:         s.count,
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError), // broken connections are its trade
	}
	go func() {
		defer close(s.done)
		_ = s.srv.Serve(listener) // always http.ErrServerClosed, after Close
	}()
	return s, nil
}

// URL is where the shop is, without a slash at the end.
func (s *Server) URL() string { return s.url }

// Close stops the shop and waits for everything it started.
func (s *Server) Close() error {
	err := s.srv.Close()
	<-s.done
	err = errors.Join(err, s.srv.Close()) // a connection accepted at the last moment escapes the first
	s.connections.Wait()
	return err
}

func (s *Server) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		s.connections.Add(1)
	case http.StateClosed:
		s.connections.Done()
	case http.StateActive, http.StateIdle, http.StateHijacked: // nothing here hijacks
	}
}
