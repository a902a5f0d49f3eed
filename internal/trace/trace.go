// Package trace carries W3C trace contexts, and sends spans to an OpenTelemetry collector.
//
// It speaks OTLP over HTTP, in protobuf, and reads the environment that OpenTelemetry's own libraries
// read, but is not made of them. A request that is not sampled, nearly every one, costs their SDK (v1.47.0)
// six allocations, where all else of a memory hit makes one; here it costs a look at the header. And its HTTP
// exporter brings gRPC, with which the linker can leave out little: a program of 19 MiB grows by 13, by 0.3
// with the SDK alone, by 0.1 with this package. The tests decode what is sent with the types that
// OpenTelemetry publishes, and sample what its SDK samples.
//
// context.go is what travels, span.go what is noted, encode.go and export.go how it leaves,
// environment.go how it is turned on.
package trace

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Options configure a Tracer. [FromEnvironment] fills those that have a variable.
type Options struct {
	// URL is where spans are posted, the path included; http or https.
	URL string
	// Headers are sent with every post. They may be secrets.
	Headers map[string]string
	// Timeout bounds one post, its answer included; 10 s, OpenTelemetry's default, if zero.
	Timeout time.Duration
	// Resource is what is said of this process, by OpenTelemetry's names.
	Resource map[string]string
	// Sampler decides which traces are kept.
	Sampler Sampler

	// Version is the program's.
	Version string
	// Transport makes the posts; nil is one of the Tracer's own.
	Transport http.RoundTripper
	Log       *slog.Logger
}

// Validate reports everything that is wrong with o.
func (o *Options) Validate() error {
	var errs []error
	if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		errs = append(errs, errors.New("trace: the collector's address must be an http or https URL")) // err would quote it
	}
	if o.Timeout < 0 {
		errs = append(errs, errors.New("trace: Timeout must not be negative"))
	}
	if o.Log == nil {
		errs = append(errs, errors.New("trace: Log is required"))
	}
	return errors.Join(errs...)
}

const (
	defaultTimeout = 10 * time.Second
	// maxQueue and maxBatch are spans, about 400 bytes each; these, and batchEvery, are the
	// defaults of OpenTelemetry's batch processor.
	maxQueue   = 2048
	maxBatch   = 512
	batchEvery = 5 * time.Second
)

// Tracer makes spans and sends them. It is safe for concurrent use, and keeps nobody waiting: a
// span that finds the queue full is dropped, and counted.
type Tracer struct {
	opt      Options
	client   *http.Client
	queue    chan *Span
	exported atomic.Uint64
	dropped  atomic.Uint64
}

// New returns a Tracer that sends what it is given once it is run.
func New(o Options) (*Tracer, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Transport == nil { // with the client's time-out over all it does
		o.Transport = &http.Transport{Proxy: http.ProxyFromEnvironment, MaxConnsPerHost: 1, IdleConnTimeout: time.Minute}
	}
	return &Tracer{
		opt: o,
		client: &http.Client{
			Transport: o.Transport, Timeout: o.Timeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // the headers are for nobody else
		},
		queue: make(chan *Span, maxQueue),
	}, nil
}

// Server begins the span of a request that has been under way since began, and came with a
// context, the zero one if it came with none: then the trace begins here. It returns nil, and
// allocates nothing, if the trace is not kept.
func (t *Tracer) Server(name string, parent Context, began time.Time) *Span {
	if parent.IsZero() {
		first := Context{Trace: newTraceID()}
		if !t.opt.Sampler.keeps(Context{}, first.Trace) {
			return nil
		}
		return newSpan(t, Server, name, first, began)
	}
	if !t.opt.Sampler.keeps(parent, parent.Trace) {
		return nil
	}
	return newSpan(t, Server, name, parent, began)
}

// Client begins the span of a call that is a part of that. It returns nil if the trace is not kept, or there is none:
// a call begins no trace.
func (t *Tracer) Client(name string, parent Context) *Span {
	if parent.IsZero() || !t.opt.Sampler.keeps(parent, parent.Trace) {
		return nil
	}
	return newSpan(t, Client, name, parent, time.Now())
}

// Stats count what became of the spans that have ended, but for those still queued.
type Stats struct {
	Exported uint64 // taken by the collector
	Dropped  uint64 // given up: the queue was full, or the collector did not take them
}

// Stats returns the counts.
func (t *Tracer) Stats() Stats {
	return Stats{Exported: t.exported.Load(), Dropped: t.dropped.Load()}
}
