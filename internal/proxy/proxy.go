// Package proxy is the data listener: the shop app's way in.
//
// journey.go is a request's whole way, guard.go what may not come in, answer.go and
// problem.go what goes out, page.go, stock.go, profile.go and lists.go the
// other endpoints.
package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/internal/delivery"
	"vitrine/internal/lists"
	"vitrine/internal/profile"
	"vitrine/internal/reco"
)

// Rankings is the memory tier of the cache. [cache.Cache] is one.
type Rankings interface {
	Peek(e reco.Event, now time.Time) cache.Found
}

// Lists are the vendor's read-only lists. [lists.Lists] is one.
type Lists interface {
	// Serves returns the list at a path, escaped, and the method it is asked by.
	Serves(path string) (kind lists.Kind, method string, ok bool)
	Answer(kind lists.Kind, r lists.Request) lists.Answer
}

// Options configure a Proxy.
type Options struct {
	Rankings Rankings
	Delivery *delivery.Delivery
	Ladder   *fallback.Ladder
	Log      *slog.Logger

	// Budgets is the longest a shopper waits, by event type; PageBudget by page.
	Budgets    [reco.CustomShelf + 1]time.Duration
	PageBudget time.Duration

	// Observe is told of every answered event.
	Observe func(t reco.EventType, a *reco.Answer, took time.Duration)

	// Tracer makes the requests' spans. Nil makes none.
	Tracer Tracer

	// Stock takes what a shop says of its stock, which then holds, and tells the other
	// pods as long as the context lasts. Nil answers 404: nothing would heed it.
	Stock func(context.Context, []reco.Stock)

	// Profile answers the profile path: kind and value as they stand in it, escaped.
	// forced says that the caller wants nothing from a cache. Nil answers 404.
	Profile func(kind, value string, forced bool) profile.Answer

	// Lists answer at the vendor's own paths. Nil answers 404.
	Lists Lists

	Security Security
}

// Security says which requests a guard lets through that it would refuse.
type Security struct {
	AllowedOrigins []string // values of Origin
	AllowedHosts   []string // names in Host, beside those of loopback
	AllowForwarded bool     // X-Forwarded-For and Forwarded are fine
	AppToken       []byte   // if set, Vitrine-Token must hold it
}

// Validate reports everything that is wrong with o.
func (o *Options) Validate() error {
	var errs []error
	if o.Rankings == nil || o.Delivery == nil || o.Ladder == nil || o.Log == nil || o.Observe == nil {
		errs = append(errs, errors.New("proxy: Rankings, Delivery, Ladder, Log and Observe are required"))
	}
	for _, t := range reco.EventTypes {
		if o.Budgets[t] <= 0 {
			errs = append(errs, fmt.Errorf("proxy: the budget of %s must be positive", t))
		}
	}
	if o.PageBudget <= 0 {
		errs = append(errs, errors.New("proxy: PageBudget must be positive"))
	}
	return errors.Join(errs...)
}

const (
	maxBody    = 128 << 10 // bytes; more is a 413
	maxHeaders = 16 << 10  // bytes; more is a 431

	// writeBuffer holds an answer of two hundred ids with its headers, so that it leaves
	// in one system call; with fasthttp's own it is two.
	writeBuffer = 8 << 10
)

// Proxy answers the shop app. It is safe for concurrent use.
type Proxy struct {
	opt      Options
	guard    guard
	server   *fasthttp.Server
	self     string                // the header value of our own self-call
	clients  atomic.Pointer[conns] // nil until Serve
	budgets  atomic.Pointer[budgets]
	panics   atomic.Uint64
	refusals atomic.Uint64
}

// budgets are the longest a shopper waits, by event type, and for a page.
type budgets struct {
	events [reco.CustomShelf + 1]time.Duration
	page   time.Duration
}

// SetBudgets changes the budgets of Options, from the next request on. All must be positive.
func (p *Proxy) SetBudgets(events [reco.CustomShelf + 1]time.Duration, page time.Duration) {
	p.budgets.Store(&budgets{events, page})
}

// New returns a Proxy that serves nothing yet, or what is wrong with its options.
func New(o Options) (*Proxy, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	p := &Proxy{opt: o, guard: newGuard(o.Security), self: newSelfKey()}
	p.SetBudgets(o.Budgets, o.PageBudget)
	p.server = &fasthttp.Server{
		Handler:               p.handle,
		ErrorHandler:          p.unreadable,
		Logger:                quiet{},
		Concurrency:           maxConnections + spareConnections,
		ConnState:             noteState,
		ReadBufferSize:        maxHeaders,
		WriteBufferSize:       writeBuffer,
		MaxRequestBodySize:    maxBody,
		TCPKeepalive:          true,
		SecureErrorLogMessage: true,
		NoDefaultServerHeader: true,
		CloseOnShutdown:       true,

		DisablePreParseMultipartForm: true, // a form is refused, not read into files first
	}
	return p, nil
}

// quiet drops fasthttp's own log, which repeats what refused clients have sent.
type quiet struct{}

// Printf drops the line.
func (quiet) Printf(string, ...any) {}

// Handler is the data path without a listener.
func (p *Proxy) Handler() fasthttp.RequestHandler { return p.handle }

// Serve answers on l until Shutdown.
func (p *Proxy) Serve(l net.Listener) error {
	clients, err := newConns(l)
	if err != nil {
		return err
	}
	p.clients.Store(clients)
	if err := p.server.Serve(clients); err != nil {
		return fmt.Errorf("serving the data listener: %w", err)
	}
	return nil
}

// Shutdown goes on answering until the clients have gone, at most for grace. Then
// it closes the listener, answers the requests under way, and returns; at the latest
// when ctx ends.
func (p *Proxy) Shutdown(ctx context.Context, grace time.Duration) error {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	over := time.NewTimer(grace)
	defer over.Stop()
	for p.server.GetOpenConnectionsCount() > 0 {
		select {
		case <-look.C:
			continue
		case <-over.C:
		case <-ctx.Done():
		}
		break
	}
	if err := p.server.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("closing the data listener: %w", err)
	}
	return nil
}

// Stats counts what the proxy did beside answering.
type Stats struct {
	Refused     uint64 // requests
	Panics      uint64 // recovered
	Connections int    // open now
	Evicted     uint64 // connections closed while they waited, for want of room
}

// Stats returns the counts.
func (p *Proxy) Stats() Stats {
	s := Stats{
		Refused:     p.refusals.Load(),
		Panics:      p.panics.Load(),
		Connections: int(p.server.GetOpenConnectionsCount()),
	}
	if clients := p.clients.Load(); clients != nil {
		s.Evicted = clients.evicted.Load()
	}
	return s
}

const (
	pathRecommendation = "/api/v1/products/protected/recommendation"
	pathStock          = "/v1/stock"
	pathPage           = "/v1/page"
	pathProfile        = "/api/v1/crm/protected/profile/"
)

// handle guards and routes. A panic anywhere below costs that request alone.
func (p *Proxy) handle(rc *fasthttp.RequestCtx) {
	defer func() {
		if cause := recover(); cause != nil {
			p.panicked(cause)
			rc.Response.Reset()
			p.refuse(rc, &problem{status: fasthttp.StatusInternalServerError, detail: "this request met a bug in the sidecar"})
		}
	}()
	seen := survey(rc.Request.Header.RawHeaders())
	if refused := p.guard.check(rc, seen); refused != nil {
		p.refuse(rc, refused)
		return
	}
	path := rc.Request.URI().PathOriginal()
	switch {
	case string(path) == pathRecommendation:
		p.post(rc, func(rc *fasthttp.RequestCtx) { p.recommend(rc, contextOf(rc, seen)) })
	case string(path) == pathPage:
		p.post(rc, func(rc *fasthttp.RequestCtx) { p.page(rc, contextOf(rc, seen)) })
	case string(path) == pathStock && p.opt.Stock != nil:
		p.post(rc, p.stock)
	case p.opt.Profile != nil && len(path) > len(pathProfile) && string(path[:len(pathProfile)]) == pathProfile:
		p.profile(rc, string(path[len(pathProfile):]))
	default:
		p.other(rc, string(path))
	}
}

// other answers at the paths of the vendor's lists, as far as they are on.
func (p *Proxy) other(rc *fasthttp.RequestCtx, path string) {
	if p.opt.Lists != nil {
		if kind, method, ok := p.opt.Lists.Serves(path); ok {
			p.list(rc, kind, method)
			return
		}
	}
	p.refuse(rc, &problem{status: fasthttp.StatusNotFound, detail: "there is nothing at this path"})
}

func (p *Proxy) post(rc *fasthttp.RequestCtx, then func(*fasthttp.RequestCtx)) {
	if !rc.IsPost() {
		p.refuse(rc, &problem{status: fasthttp.StatusMethodNotAllowed, detail: "only POST is answered here", allow: "POST"})
		return
	}
	then(rc)
}

// panicked counts and logs a recovered panic, without its value's text: that may hold anything.
func (p *Proxy) panicked(cause any) {
	p.panics.Add(1)
	p.opt.Log.Error("recovered from a panic while answering", "kind", fmt.Sprintf("%T", cause), "stack", string(debug.Stack()))
}

// observed counts an answer, and tells its trace, unless it is that of our own self-call.
func (p *Proxy) observed(rc *fasthttp.RequestCtx, v *visit, took time.Duration) {
	if v.req.Bot && string(rc.Request.Header.Peek(selfHeader)) == p.self {
		return
	}
	p.opt.Observe(v.req.Type, &v.answer, took)
	v.tell()
}
