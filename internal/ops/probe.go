package ops

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// ProbeOptions are what a Probe shows.
type ProbeOptions struct {
	// SelfCall makes one call through the data listener, which journals and sends
	// nothing. Its error says that the data path does not answer. Required.
	SelfCall func(context.Context) error

	// Ready are the configured dependencies, for /readyz.
	Ready []Dependency

	// Metrics serves /metrics. Required.
	Metrics http.Handler

	// Log is where a failed self-call and errors of the listener go. Required.
	Log *slog.Logger
}

// Validate reports everything that is missing.
func (o ProbeOptions) Validate() error {
	var errs []error
	if o.SelfCall == nil {
		errs = append(errs, errors.New("the probes need a self-call"))
	}
	if o.Metrics == nil {
		errs = append(errs, errors.New("the probes need the metrics"))
	}
	if o.Log == nil {
		errs = append(errs, errors.New("the probes need a log"))
	}
	return errors.Join(errs...)
}

// Dependency is something the sidecar can do without for a while.
type Dependency struct {
	// Name is "redis", "api" or "platform".
	Name string
	// Check reports, from what is known already, whether it is there, and says in words
	// what there is to say. It must not call the dependency.
	Check func() (ok bool, detail string)
}

const (
	// A kubelet waits a second unless told otherwise; a later answer is none to it.
	selfCallTimeout = 900 * time.Millisecond
	// The pod's address is open to the cluster: however many ask, the data path is
	// called only so often.
	selfCallEvery = 100 * time.Millisecond
)

// Probe is the listener for the kubelet, Prometheus, and people asking what is wrong.
// It answers GET only and changes nothing.
type Probe struct {
	o      ProbeOptions
	server *http.Server

	started atomic.Bool // the data listener has answered once

	turn   chan struct{} // of one: taken during a self-call, whose result is for whoever comes meanwhile
	called time.Time
	err    error
}

// NewProbe returns a Probe, or what is wrong with the options.
func NewProbe(o ProbeOptions) (*Probe, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &Probe{o: o, turn: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/startupz": p.startup,
		"/livez":    p.live,
		"/readyz":   p.ready,
		"/metrics":  o.Metrics.ServeHTTP,
	} {
		mux.HandleFunc(path, only(http.MethodGet, h))
	}
	mux.HandleFunc("/", notFound)
	p.server = newServer(plainly(mux), o.Log)
	return p, nil
}

// Serve answers on l until ctx is done, and closes it. The error is nil if it was told to stop.
func (p *Probe) Serve(ctx context.Context, l net.Listener) error { return serve(ctx, p.server, l) }

// startup answers 200 from the first successful self-call on: the kubelet must not
// start a slow pod anew because of a hiccup later.
func (p *Probe) startup(w http.ResponseWriter, r *http.Request) {
	if p.started.Load() {
		ok(w)
		return
	}
	p.live(w, r)
}

func (p *Probe) live(w http.ResponseWriter, r *http.Request) {
	if err := p.selfCall(r.Context()); err != nil {
		refuse(w, http.StatusServiceUnavailable, "the data path does not answer: "+err.Error())
		return
	}
	ok(w)
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// selfCall calls the data path, or takes the result of a call just made.
func (p *Probe) selfCall(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if !p.called.IsZero() && time.Since(p.called) < selfCallEvery {
		return p.err
	}
	// The result is for others too, so it must not depend on this caller's patience.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), selfCallTimeout)
	defer cancel()
	if p.err = p.o.SelfCall(ctx); p.err != nil {
		p.o.Log.Error("the data path does not answer", "err", p.err)
	} else {
		p.started.Store(true)
	}
	p.called = time.Now()
	return p.err
}

// Readiness is the answer of /readyz.
type Readiness struct {
	Ready        bool                        `json:"ready"`
	Dependencies map[string]DependencyStatus `json:"dependencies"`
}

// DependencyStatus says whether a dependency is there.
type DependencyStatus struct {
	Ready  bool   `json:"ready"`
	Detail string `json:"detail,omitempty"`
}

func readiness(dependencies []Dependency) Readiness {
	all := Readiness{Ready: true, Dependencies: make(map[string]DependencyStatus, len(dependencies))}
	for _, d := range dependencies {
		ready, detail := d.Check()
		all.Dependencies[d.Name] = DependencyStatus{Ready: ready, Detail: detail}
		all.Ready = all.Ready && ready
	}
	return all
}

func (p *Probe) ready(w http.ResponseWriter, _ *http.Request) {
	now := readiness(p.o.Ready)
	status := http.StatusOK
	if !now.Ready {
		status = http.StatusServiceUnavailable
	}
	writeJSON(w, status, now)
}
