// Package fashionai calls Fashion.AI's API.
//
// It says of every call not only how it ended but whether the request left: the call is the
// event, and whether one may be sent again depends on it. That is why fasthttp's client is
// not used here, only its reading and writing of messages: the connections are our own. A
// call is bounded by one instant, from waiting for a connection to the last byte of the
// answer, and nothing is ever sent twice but to replace a request that an idle connection,
// closed by the server, swallowed, or one refused for a token that has been rotated.
package fashionai

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/reco"
)

const (
	recommendationPath = "/api/v1/products/protected/recommendation"
	tokenHeader        = "X-FashionAI-APP-Token" //nolint:gosec // the name of a header
)

// Client calls the API. It is safe for concurrent use.
type Client struct {
	opt    Options
	host   string // Host header
	prefix string // of every path
	pool   *pool

	staleRetries atomic.Uint64
}

// New returns a client, or what is wrong with the options. It opens no connection.
func New(o Options) (*Client, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("reading the API's URL: %w", err)
	}
	d := &dialer{opt: o, host: u.Hostname(), port: or(u.Port(), "80")}
	if u.Scheme == "https" {
		d.port = or(u.Port(), "443")
		d.config = o.tlsConfig(d.host)
	}
	return &Client{
		opt:    o,
		host:   u.Host,
		prefix: strings.TrimSuffix(u.EscapedPath(), "/"),
		pool: &pool{
			dialer:  d,
			maxIdle: o.MaxIdle,
			slots:   make(chan struct{}, o.MaxConns),
			inUse:   make(map[*conn]struct{}, o.MaxConns),
		},
	}, nil
}

// Call is a recommendation to ask for.
type Call struct {
	// Body is the event as JSON. It is not changed, and not kept.
	Body []byte
	// Deadline is when the call must be over; Options.Timeout from now if that is sooner,
	// or if zero.
	Deadline time.Time
	// Sent, if not nil, is called when the whole request has been handed to the kernel,
	// once, before the answer is waited for.
	Sent func()
	// Traceparent is sent on as the W3C header of that name, unless empty.
	Traceparent string
}

// Recommend posts an event and returns the ranking that answers it.
func (c *Client) Recommend(call Call) Outcome {
	x := c.begin(fasthttp.MethodPost, recommendationPath, call.Deadline, call.Traceparent)
	defer x.release()
	x.req.SetBodyRaw(call.Body)
	x.onSent = call.Sent
	c.run(x)
	out := Outcome{Result: c.result(x)}
	if out.Class != OK {
		return out
	}
	switch ranking, err := reco.ParseRanking(x.resp.Body()); {
	case err != nil:
		out.Class, out.Err = BadAnswer, errNoList
	case ranking.Empty():
		out.Class = Empty
	default:
		out.Ranking = ranking
	}
	return out
}

// errNoList stands for reco's error, whose detail may quote the answer.
var errNoList = errors.New("the answer is not a list of products")

// Fetch gets a path of the API, given escaped, with an optional traceparent, until a
// deadline as that of a Call.
func (c *Client) Fetch(path string, deadline time.Time, traceparent string) Reply {
	return c.reply(c.begin(fasthttp.MethodGet, path, deadline, traceparent))
}

// Post is Fetch for what the API wants to be posted although it is no event. The body is
// not changed, and not kept.
func (c *Client) Post(path string, body []byte, deadline time.Time, traceparent string) Reply {
	x := c.begin(fasthttp.MethodPost, path, deadline, traceparent)
	x.req.SetBodyRaw(body)
	return c.reply(x)
}

// reply makes the exchange and takes what it has brought.
func (c *Client) reply(x *exchange) Reply {
	defer x.release()
	c.run(x)
	reply := Reply{Result: c.result(x)}
	if x.complete {
		reply.Body = append([]byte(nil), x.resp.Body()...)
	}
	return reply
}

// begin prepares a request.
func (c *Client) begin(method, path string, deadline time.Time, traceparent string) *exchange {
	x := &exchange{req: fasthttp.AcquireRequest(), resp: fasthttp.AcquireResponse(), start: time.Now(), token: c.opt.Token.Secret()}
	x.deadline = x.start.Add(c.opt.Timeout)
	if !deadline.IsZero() && deadline.Before(x.deadline) {
		x.deadline = deadline
	}
	h := &x.req.Header
	h.DisableNormalizing() // the vendor spells it APP
	h.SetMethod(method)
	if c.prefix != "" {
		path = c.prefix + path
	}
	h.SetRequestURI(path)
	h.SetHost(c.host)
	h.SetUserAgent(c.opt.UserAgent)
	h.SetContentType("application/json") // demanded on GET too
	h.Set("Accept", "application/json")
	h.Set(tokenHeader, x.token)
	if traceparent != "" {
		h.Set("traceparent", traceparent)
	}
	return x
}

// run makes the exchange. If the API refuses the token and there is another by now, as in
// the middle of a rotation, it makes it once more with that: what was refused has not been
// received.
func (c *Client) run(x *exchange) {
	c.exchange(x)
	if !x.answered || classOf(x.resp.StatusCode()) != Unauthorized {
		return
	}
	renewed, err := c.opt.Token.Refused(x.token)
	if !renewed {
		x.err = errors.Join(x.err, err)
		return
	}
	x.renew(c.opt.Token.Secret())
	c.exchange(x)
}

// exchange makes the exchange, a second time if the connection turns out to be stale.
func (c *Client) exchange(x *exchange) {
	for {
		conn, err := c.pool.take(x.deadline, x.stale > 0)
		if err != nil {
			x.flushed, x.err = false, err
			return
		}
		x.over(conn, c.opt.MaxBody)
		if x.reusable(conn) {
			c.pool.give(conn)
		} else {
			c.pool.discard(conn)
		}
		// EOF or a reset instead of the first byte of an answer, on a connection that was
		// idle: the server closed it while the request was on its way. The next one is new,
		// so this happens once.
		stale := x.err != nil && conn.used && conn.got == 0 && conn.err != nil && !conn.timedOut()
		if !stale {
			return
		}
		x.stale++
		c.staleRetries.Add(1)
		c.pool.dropIdle(0)
	}
}

// result classifies an exchange, as far as the answer need not be understood for it.
func (c *Client) result(x *exchange) Result {
	now := time.Now()
	r := Result{Sent: x.sent, StaleRetries: x.stale, Renewed: x.renewed, Took: now.Sub(x.start)}
	switch {
	case x.answered:
		r.Status = x.resp.StatusCode()
		r.Class = x.class(r.Status)
		if header := x.resp.Header.Peek("Retry-After"); len(header) > 0 {
			r.RetryAfter, _ = ParseRetryAfter(string(header), now)
		}
		if r.Class == RateLimited && r.RetryAfter == 0 {
			r.RetryAfter = DefaultRetryAfter
		}
	case !x.flushed:
		r.Class = Unreachable
	case x.timedOut:
		r.Class = Timeout
	default:
		r.Class = Broken
	}
	r.Err = x.err
	return r
}

// Run closes connections that have been idle for too long, until ctx ends. It then returns
// nil, and the client goes on working.
func (c *Client) Run(ctx context.Context) error {
	tick := time.NewTicker(c.opt.MaxIdle)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			c.pool.dropIdle(c.opt.MaxIdle)
		}
	}
}

// Close closes all connections. Calls under way end, later ones are Unreachable.
func (c *Client) Close() { c.pool.close() }

// Stats are figures of a Client.
type Stats struct {
	// InUse and Idle are the connections there are now.
	InUse, Idle int
	// StaleRetries counts requests sent again after a stale connection swallowed them.
	StaleRetries uint64
	// CertificatesRefused counts connections given up because of an ErrCertificate.
	CertificatesRefused uint64
}

// Stats returns the present figures.
func (c *Client) Stats() Stats {
	s := Stats{StaleRetries: c.staleRetries.Load(), CertificatesRefused: c.pool.dialer.distrusted.Load()}
	s.InUse, s.Idle = c.pool.size()
	return s
}
