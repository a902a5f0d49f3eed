package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/ops"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// makeOps makes the probe and admin listeners' servers over everything below them.
func (s *sidecar) makeOps() error {
	version, commit := buildVersion()
	sources := s.sources()
	if err := s.metrics.Attach(sources); err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	probe, err := ops.NewProbe(ops.ProbeOptions{
		SelfCall: func(ctx context.Context) error { return s.proxy.SelfCall(ctx, s.data.Addr()) },
		Ready:    s.dependencies(),
		Metrics:  s.metrics.Handler(),
		Log:      s.log,
	})
	if err != nil {
		return err //nolint:wrapcheck // it names the part
	}
	configuration, reload := s.conf.Masked, (func(context.Context) (any, error))(nil)
	if s.origin != nil {
		configuration, reload = func() []byte { return s.origin.inForce.Load().Masked() }, s.reload
		s.listeners = append(s.listeners, part{"configuration", s.watchConfig})
	}
	admin, err := ops.NewAdmin(ops.AdminOptions{
		Metrics: s.metrics, Sources: sources, Version: version, Commit: commit,
		Ready: s.dependencies(), LastErrors: s.seen.Last, Log: s.log,
		Configuration: func() any { return string(configuration()) },
		EraseSession:  s.eraseSession, EraseProfile: s.profileEraser(), Hash: s.hashOf,
		Explain: s.explain, Outbox: s.showOutbox, Redrive: s.redrive, Reload: reload,
	})
	if err != nil {
		return err //nolint:wrapcheck // it names the part
	}
	s.listeners = append(s.listeners,
		part{"probe listener", func(ctx context.Context) error { return probe.Serve(ctx, s.probes) }},
		part{"admin listener", func(ctx context.Context) error { return admin.Serve(ctx, s.admins) }})
	return nil
}

func (s *sidecar) sources() ops.Sources {
	o := ops.Sources{
		Ledger: s.ledger,
		Cache: func() (bytes, entries int64) {
			stats := s.cache.Stats()
			return stats.Bytes, stats.Entries
		},
		Breakers: []ops.Breaker{s.breakers.recommendation, s.breakers.platform, s.breakers.redis, s.breakers.profile, s.breakers.sales, s.breakers.lists},
		Figures: []ops.Figure{
			{Name: "vitrine_panics_total", Help: "Panics recovered while answering.", Counter: true, Value: func() float64 { return float64(s.proxy.Stats().Panics) }},
			{Name: "vitrine_refused_requests_total", Help: "Requests refused: malformed, foreign or too large.", Counter: true, Value: func() float64 { return float64(s.proxy.Stats().Refused) }},
			{Name: "vitrine_connections", Help: "Open connections to the data listener.", Value: func() float64 { return float64(s.proxy.Stats().Connections) }},
			{Name: "vitrine_connections_evicted_total", Help: "Connections to the data listener closed while they waited, to make room for others.", Counter: true, Value: func() float64 { return float64(s.proxy.Stats().Evicted) }},
			{Name: "vitrine_upstream_certificates_refused_total", Help: "Connections to the API given up because its certificate is not to be trusted.", Counter: true, Value: func() float64 { return float64(s.api.Stats().CertificatesRefused) }},
		},
	}
	o.Figures = append(o.Figures, s.profileFigures()...)
	o.Figures = append(o.Figures, s.listFigures()...)
	o.Figures = append(o.Figures, s.traceFigures()...)
	if s.origin != nil {
		o.Figures = append(o.Figures, s.origin.figures()...)
	}
	if s.journal != nil {
		o.Journal = s.journalState
	}
	return o
}

// ledger translates delivery's ledger, which is of one instant, for the metrics.
func (s *sidecar) ledger() ops.Ledger {
	d := s.delivery.Stats()
	return ops.Ledger{
		Accepted: d.Accepted, Delivered: d.Delivered, Expired: d.Expired,
		Parked: d.Parked, Deduplicated: d.Deduplicated, Pending: uint64(d.Pending), //nolint:gosec // a count
		Dropped: ops.Dropped{
			Full: d.Dropped[delivery.Full], DeadLetter: d.Dropped[delivery.DeadLetter], Disk: d.Dropped[delivery.Disk],
		},
		Retried: ops.Retried{
			Unsent: d.Retried[delivery.Unsent], Ambiguous: d.Retried[delivery.Ambiguous],
			HTTP: d.Retried[delivery.HTTP], StaleConnection: d.Retried[delivery.StaleConnection],
		},
		OldestPending: s.delivery.OldestAge(),
	}
}

func (s *sidecar) journalState() ops.Journal {
	j := s.journal.Stats()
	return ops.Journal{
		Bytes: j.Bytes, Segments: j.Segments, Damaged: j.Damaged, Away: j.Unavailable || j.Full,
		Errors: j.PrepareErrors + j.SyncErrors + j.Faults,
	}
}

// dependencies are what the sidecar can do without for a while.
func (s *sidecar) dependencies() []ops.Dependency {
	all := []ops.Dependency{{Name: "api", Check: byBreaker(s.breakers.recommendation)}}
	if s.redis != nil {
		all = append(all, ops.Dependency{Name: "redis", Check: func() (bool, string) {
			if err := s.redis.Ready(); err != nil {
				return false, err.Error()
			}
			return true, ""
		}})
	}
	if s.conf.Platform.Kind != noPlatform {
		all = append(all, ops.Dependency{Name: "platform", Check: byBreaker(s.breakers.platform)})
	}
	return all
}

// byBreaker takes an upstream to be there while its breaker is closed.
func byBreaker(b *breaker.Breaker) func() (bool, string) {
	return func() (bool, string) {
		now := b.Snapshot()
		return now.State == breaker.Closed, now.Reason
	}
}

// observeRedis counts what Redis was used for.
func (s *sidecar) observeRedis(op redis.Op, outcome redis.Outcome, took time.Duration) {
	s.metrics.ObserveRedis(string(op), string(outcome), took)
}

// explain tells how a request would be answered now.
func (s *sidecar) explain(_ context.Context, req reco.Request) (any, error) {
	deadline := time.Now().Add(s.proxy.Budget(&req))
	return s.ladder.Explain(&req, s.breakers.recommendation.Snapshot(), deadline), nil
}

// overlapDepth is how many products of a list most shoppers look at.
const overlapDepth = 10

// shadowed measures how much of what the API would have shown was shown without it.
func (s *sidecar) shadowed(t reco.EventType, shown, instead reco.Ranking) {
	s.metrics.ObserveShadow(t, fallback.Overlap(shown, instead, overlapDepth))
}

// erasedSession is what this pod and Redis knew of a session.
type erasedSession struct {
	cache.Erased
	Similar int `json:"similar"` // lists of similar products
}

// eraseSession forgets a session everywhere.
func (s *sidecar) eraseSession(ctx context.Context, session string) (any, error) {
	s.delivery.Erase(session)
	rankings, err := s.cache.Erase(ctx, session)
	gone := erasedSession{Erased: rankings}
	if s.lists != nil {
		similar, errLists := s.lists.Erase(ctx, session)
		gone.Similar, err = similar, errors.Join(err, errLists)
	}
	return gone, err //nolint:wrapcheck // it says what is left
}

// maxShown bounds the dead letters an operator is shown at once.
const maxShown = 100

// outboxState is the undelivered events as GET /outbox shows them.
type outboxState struct {
	Where         string            `json:"where"`
	Pending       int               `json:"pending"`
	InFlight      int               `json:"inFlight"`
	Waiting       int               `json:"waiting"`
	OldestSeconds float64           `json:"oldestSeconds"`
	MemoryBytes   int64             `json:"memoryBytes"`
	Ledger        ops.Ledger        `json:"ledger"`
	Journal       *ops.Journal      `json:"journal,omitempty"`
	Parked        any               `json:"parked,omitempty"` // in Redis, by all pods
	DeadLetters   int               `json:"deadLetters"`
	Dead          []delivery.Letter `json:"dead"` // the first of them
}

func (s *sidecar) showOutbox(ctx context.Context) (any, error) {
	now := s.delivery.Stats()
	state := outboxState{
		Where: s.outbox, Pending: now.Pending, InFlight: now.InFlight, Waiting: now.Waiting,
		OldestSeconds: s.delivery.OldestAge().Seconds(), MemoryBytes: now.MemoryBytes, Ledger: s.ledger(),
	}
	if s.journal != nil {
		j := s.journalState()
		state.Journal = &j
	}
	if s.parking != nil {
		if parked, err := s.parking.Contents(ctx); err != nil {
			state.Parked = err.Error()
		} else {
			state.Parked = parked
		}
	}
	var err error
	state.Dead, state.DeadLetters, err = s.delivery.DeadLetters(maxShown)
	if state.Dead == nil {
		state.Dead = []delivery.Letter{} // none is a list too
	}
	return state, err //nolint:wrapcheck // it names the file
}

// redrive sends the dead letters again, this pod's and those in Redis.
func (s *sidecar) redrive(ctx context.Context) (int, error) {
	n, err := s.delivery.Redrive()
	if s.parking == nil {
		return n, err //nolint:wrapcheck // it says what it does
	}
	parked, errParked := s.parking.Redrive(ctx)
	return n + parked, errors.Join(err, errParked)
}
