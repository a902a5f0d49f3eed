// Package redis is the only one that speaks to Redis.
//
// It keeps two kinds of callers apart. Requests use [Client.Pipe]: it never waits, its
// commands travel together with those of other requests over a few connections, and
// whoever needs the answer waits for it no longer than it likes, while the answer, late
// or not, still arrives. Everything in the background uses the other methods, which
// take a context and may take seconds.
//
// While the breaker is open nothing is sent but the probe, a PING by [Client.Run].
// Errors of the library underneath do not leave the package: what does is a [ReplyError],
// [ErrUnavailable] or the context's.
package redis

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	driver "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"vitrine/breaker"
)

// Client speaks to one Redis: a server, a Cluster, one that Sentinel watches, or the
// one embedded here. It is safe for concurrent use.
type Client struct {
	opt      Options
	lanes    []chan Batch // a batch goes by its key, so that batches of one key keep their order
	seed     maphash.Seed
	fast     driver.UniversalClient // for lanes and PING
	slow     driver.UniversalClient // for everything in the background
	embedded *embedded              // nil unless it is that

	health atomic.Pointer[health]

	made   time.Time
	looked atomic.Int64 // when a Cluster was last asked for its slots, in nanoseconds since made
}

// health is the outcome of the last PING.
type health struct{ err error }

// ErrUnavailable says that Redis was not asked or did not answer: the breaker is open,
// too much is queued already, or the connection failed.
var ErrUnavailable = errors.New("redis is unavailable")

// ErrBusy is the ErrUnavailable of a full queue.
var ErrBusy = fmt.Errorf("%w: too many commands are queued", ErrUnavailable)

// ReplyError is what Redis answered instead of doing as it was told.
type ReplyError string

// Error returns Redis's words, such as "READONLY You can't write against a read only replica."
func (e ReplyError) Error() string { return string(e) }

// New returns a client of the Redis that o names, or everything that is wrong with o.
// It connects to nothing yet.
func New(o Options) (*Client, error) {
	target, err := o.resolve()
	if err != nil {
		return nil, err
	}
	logging.Disable() // it would write a line for each failed dial; we are told of them anyway
	c := &Client{opt: o, seed: maphash.MakeSeed(), lanes: make([]chan Batch, lanes), made: time.Now()}
	for i := range c.lanes {
		c.lanes[i] = make(chan Batch, laneLength)
	}
	if target.embedded {
		c.embedded = newEmbedded()
		target.driver.Dialer = c.embedded.dial
	}
	c.health.Store(&health{err: errors.New("no PING was answered yet")})
	fast, slow := target.driver, target.driver
	tune(&fast)
	fast.PoolSize, fast.PoolTimeout = lanes+1, fastPoolWait
	fast.ReadTimeout, fast.WriteTimeout = fastReply, fastReply
	c.fast = driver.NewUniversalClient(&fast)
	tune(&slow)
	slow.PoolSize, slow.PoolTimeout = slowConnections, slowReply
	slow.ReadTimeout, slow.WriteTimeout = slowReply, slowReply
	slow.ContextTimeoutEnabled = true // an expired deadline costs the connection, which is fair here
	c.slow = driver.NewUniversalClient(&slow)
	return c, nil
}

// Run sends what is queued, asks every two seconds whether Redis is there, and probes it
// while the breaker is open, until ctx ends. What is queued then is refused.
func (c *Client) Run(ctx context.Context) error {
	if c.embedded != nil {
		c.opt.Log.WarnContext(ctx, "the embedded Redis is for one machine: it is shared with nobody and gone with the process")
	}
	var parts sync.WaitGroup
	for _, lane := range c.lanes {
		parts.Go(func() { c.work(ctx, lane) })
	}
	parts.Go(func() { c.watch(ctx) })
	if c.embedded != nil {
		parts.Go(func() { c.embedded.run(ctx) })
	}
	parts.Wait()
	return nil
}

// Close ends the connections. It comes after Run has returned.
func (c *Client) Close() error {
	err := errors.Join(c.fast.Close(), c.slow.Close())
	if c.embedded != nil {
		c.embedded.close()
	}
	if err != nil {
		return fmt.Errorf("closing the connections to redis: %w", failure(err))
	}
	return nil
}

// Ready returns nil if the last PING was answered, else why it was not.
func (c *Client) Ready() error { return c.health.Load().err }

// Embedded reports whether the Redis is in this process, shared with nobody.
func (c *Client) Embedded() bool { return c.embedded != nil }

// Ping asks Redis for an answer, whatever the breaker thinks of it.
func (c *Client) Ping(ctx context.Context) error {
	if err := c.slow.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("pinging redis: %w", failure(err))
	}
	return nil
}

// watch pings: every pingEvery, and as soon as the breaker wants a probe.
func (c *Client) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if permit, err := c.opt.Breaker.Admit(); err == nil {
			c.ping(ctx, &permit)
		}
		timer.Reset(c.untilNextPing())
	}
}

// untilNextPing is at most pingEvery, so that an operator's override ends in time too.
func (c *Client) untilNextPing() time.Duration {
	next := c.opt.Breaker.NextAttempt()
	if next.IsZero() {
		if c.opt.Breaker.State() == breaker.Closed {
			return pingEvery
		}
		return 0
	}
	return min(pingEvery, max(time.Millisecond, time.Until(next)))
}

func (c *Client) ping(ctx context.Context, permit *breaker.Permit) {
	start := time.Now()
	err := c.fast.Ping(ctx).Err()
	took := time.Since(start)
	if ctx.Err() != nil {
		permit.Done(breaker.Outcome{})
		return
	}
	c.settle(permit, answered(err), took)
	c.observe(OpPing, outcomeOf(answered(err), err, took, c.opt.late()), took)
	if !answered(err) {
		c.lookAgain()
	}
	if err != nil {
		err = failure(err)
	}
	c.health.Store(&health{err: err})
}

// settle tells the breaker of a round trip. One that came too late for anybody to wait
// for counts like one that never came: a Redis 50 ms away answers, and helps nobody.
func (c *Client) settle(permit *breaker.Permit, answered bool, took time.Duration) {
	kind := breaker.Success
	if !answered || took > c.opt.late() {
		kind = breaker.ConnectFailure
	}
	permit.Done(breaker.Outcome{Kind: kind, Took: took})
}

func (c *Client) observe(op Op, outcome Outcome, took time.Duration) {
	if c.opt.Observe != nil {
		c.opt.Observe(op, outcome, took)
	}
}

// answered reports whether Redis answered, be it with an error.
func answered(err error) bool {
	if err == nil {
		return true // before there is anything to allocate
	}
	var reply driver.Error
	return errors.As(err, &reply)
}

// failure is err in this package's words.
func failure(err error) error {
	var reply driver.Error
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &reply):
		return ReplyError(reply.Error())
	default:
		return fmt.Errorf("%w: %s", ErrUnavailable, err.Error())
	}
}
