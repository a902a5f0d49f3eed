package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"vitrine/internal/config"
	"vitrine/internal/logs"
)

// cmdServe runs the sidecar until ctx ends.
func cmdServe(ctx context.Context, args, environ []string, stderr io.Writer) int {
	from := &origin{args: args, environ: environ, level: new(slog.LevelVar)}
	c, warnings, err := from.load()
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stderr, usage)
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	from.inForce.Store(&c)
	from.last.Store(time.Now().Unix())
	handler := logs.New(newLogHandler(c.Log, from.level, stderr))
	log := slog.New(handler)
	for _, warning := range warnings {
		log.Warn("configuration: " + warning)
	}
	s, err := newSidecar(ctx, c, log, handler, from)
	if err != nil {
		log.Error("cannot start", "error", err)
		return exitFailed
	}
	if err := s.run(ctx); err != nil {
		log.Error("stopped by a failure", "error", err)
		return exitFailed
	}
	return exitOK
}

func newLogHandler(o config.Log, level *slog.LevelVar, stderr io.Writer) slog.Handler {
	_ = level.UnmarshalText([]byte(o.Level)) // validated with the configuration
	options := &slog.HandlerOptions{Level: level}
	if o.Format == "text" || o.Format == "auto" && terminal(stderr) {
		return slog.NewTextHandler(stderr, options)
	}
	return slog.NewJSONHandler(stderr, options)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// How long stopping takes at most; the sum stays below ten seconds.
const (
	clientsGrace  = 3 * time.Second // for clients to go
	requestsGrace = time.Second     // for requests under way, once the listener is closed
	drainGrace    = 5 * time.Second // for what is undelivered
)

// run starts every part, lowest first, and stops them in the opposite order once ctx
// has ended or a part has failed. It returns the failure.
func (s *sidecar) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)

	base := start(fail, s.base...)
	delivery := start(fail, part{"delivery", s.delivery.Run})
	parking := start(fail, s.aside...)
	listeners := start(fail, s.listeners...)
	s.log.Info("ready", "data", s.data.Addr().String(), "probes", s.probes.Addr().String(), "admin", s.admins.Addr().String())
	data := make(chan error, 1)
	go func() { data <- s.proxy.Serve(s.data) }() // awaited below

	var failed error
	select {
	case <-ctx.Done():
	case failed = <-data:
		fail(failed)
	}
	failed = errors.Join(failed, causeOf(ctx))
	s.log.Info("stopping")

	stopping, cancel := context.WithTimeout(context.Background(), clientsGrace+requestsGrace)
	defer cancel()
	if err := s.proxy.Shutdown(stopping, clientsGrace); err != nil {
		s.log.Warn("requests were still under way", "error", err)
	}
	parking.stop()
	s.drain()
	s.api.Close() // a call that is still under way must not keep the process
	delivery.stop()
	listeners.stop()
	base.stop()
	s.close()
	s.log.Info("stopped")
	return failed
}

// causeOf returns why a part made ctx end, nil if it was told to.
func causeOf(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// drain gives what is undelivered its last chance in this process.
func (s *sidecar) drain() {
	ctx, cancel := context.WithTimeout(context.Background(), drainGrace)
	defer cancel()
	before := s.delivery.Stats().Parked
	s.delivery.Drain(ctx, s.parking)
	now := s.delivery.Stats()
	if parked := now.Parked - before; parked > 0 {
		s.log.Info("undelivered events are parked in Redis", "events", parked)
	}
	if left := now.Pending - now.InMemory; left > 0 {
		s.log.Warn("undelivered events are left in the outbox", "events", left, "outbox", s.outbox)
	}
	if now.InMemory > 0 {
		s.log.Error("undelivered events are lost: no disk holds them", "events", now.InMemory)
	}
}

// part is something that runs until its context ends.
type part struct {
	name string
	run  func(context.Context) error
}

// stage is parts that start and stop together.
type stage struct {
	cancel context.CancelFunc
	ended  chan struct{}
	parts  int
}

// start runs parts until stop. One that returns an error makes everything fail.
func start(fail context.CancelCauseFunc, parts ...part) *stage {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stage{cancel: cancel, ended: make(chan struct{}), parts: len(parts)}
	for _, p := range parts {
		go func() { // awaited by stop
			if err := p.run(ctx); err != nil && ctx.Err() == nil {
				fail(fmt.Errorf("%s: %w", p.name, err))
			}
			s.ended <- struct{}{}
		}()
	}
	return s
}

// stop tells the parts to end and waits until they have.
func (s *stage) stop() {
	s.cancel()
	for range s.parts {
		<-s.ended
	}
}
