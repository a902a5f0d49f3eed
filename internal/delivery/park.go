package delivery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"vitrine/breaker"
	"vitrine/internal/redis"
)

// Streams are what parked events lie in, as [redis.Client] has them.
type Streams interface {
	XAdd(ctx context.Context, stream string, entries ...map[string]string) (ids []string, err error)
	XReadGroup(ctx context.Context, stream, group, consumer string, count int, pending bool) ([]redis.Entry, error)
	XSettle(ctx context.Context, stream, group string, ids ...string) error
}

// Questions are what else is asked of streams. Pipe is for commands that are answered
// with a number.
type Questions interface {
	XLastID(ctx context.Context, stream string) (string, error)
	XRange(ctx context.Context, stream, from string, count int) ([]redis.Entry, error)
	Pipe(redis.Batch) error
}

// Leases give a key to one owner at a time.
type Leases interface {
	Acquire(ctx context.Context, key, owner string, life time.Duration) (bool, error)
	Renew(ctx context.Context, key, owner string, life time.Duration) (bool, error)
	Release(ctx context.Context, key, owner string) error
}

// Redis is what a Parking needs of it. [redis.Client] is one.
type Redis interface {
	Streams
	Questions
	Leases
}

// ParkingOptions configure a Parking.
type ParkingOptions struct {
	Delivery *Delivery
	Redis    Redis // shared by all pods, so never the embedded one
	Log      *slog.Logger

	// After is how long an event may have waited, while the API is away, before it is
	// parked; 0 parks only when the process ends.
	After time.Duration
	// MaxBytes bounds what all parked streams together take in Redis, in bytes. Pods
	// that park at the same moment may each exceed it by measureEvery.
	MaxBytes int64
}

// Validate reports everything that is wrong with o.
func (o *ParkingOptions) Validate() error {
	var errs []error
	if o.Delivery == nil || o.Redis == nil || o.Log == nil {
		errs = append(errs, errors.New("parking: Delivery, Redis and Log are required"))
	}
	if o.After < 0 {
		errs = append(errs, errors.New("parking: After must not be negative"))
	}
	if o.MaxBytes < 0 {
		errs = append(errs, errors.New("parking: MaxBytes must not be negative"))
	}
	return errors.Join(errs...)
}

// Parking moves events between this process and the streams in Redis that all pods
// share: what cannot be delivered here goes there, and what is there comes here once
// the API is back.
//
// No event is ever in neither place. On its way to Redis it stays in the journal until
// Redis has acknowledged it; on its way back it stays in Redis until it is settled. So
// whatever breaks in between leaves it in one of them, or in both, in which case it may
// be delivered twice:
//
//   - the acknowledgement of an entry was lost, and the entry that takes its place is
//     taken over by another process than the first;
//   - a process dies, or is paused for longer than its lease, with calls under way or
//     with settled events that Redis has not been told of;
//   - Redis loses what it acknowledged after some of it was delivered.
//
// Run and Drain are for one goroutine, one after the other; the other methods are for any.
type Parking struct {
	opt   ParkingOptions
	d     *Delivery
	owner string        // of the leases
	lease time.Duration // life of a lease
	life  time.Duration // of a stream, since something was last put into it or taken over

	held     [parkedStreams]*tenure // the streams this process has the lease of
	cursor   int                    // the stream to look at next
	look     int                    // how many to look at without a pause
	lookedAt time.Time
	last     weather // of the last turn

	room    int64 // bytes that may be parked before the streams are measured again
	parkAt  time.Time
	pause   time.Duration // before parking is tried again
	shipped shipped
	said    map[string]time.Time // when a complaint was last made
}

const (
	turnEvery  = 250 * time.Millisecond
	leaseLeast = 15 * time.Second
)

// NewParking returns a Parking that does nothing until it is run or drained.
func NewParking(o ParkingOptions) (*Parking, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	d := o.Delivery
	return &Parking{
		opt: o, d: d, owner: newID(time.Now()).String(),
		lease:  max(leaseLeast, 5*d.opt.Timeout), // several calls fit into what is left when it is renewed
		life:   max(24*time.Hour, 4*d.opt.MaxAge),
		cursor: rand.IntN(parkedStreams), // pods begin at different streams
		look:   parkedStreams,
		said:   make(map[string]time.Time),
	}, nil
}

// Run takes over parked events while the API is there, and parks, if it is to, what
// has waited too long while it is not, until ctx ends. What it has taken over then is
// still on loan: Drain gives it back.
func (p *Parking) Run(ctx context.Context) error {
	tick := time.NewTicker(turnEvery)
	defer tick.Stop()
	for {
		p.turn(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-p.d.loans.returned:
		}
	}
}

// turn does what is to be done now.
func (p *Parking) turn(ctx context.Context) {
	p.giveBack(ctx)
	now := p.weather()
	if now != p.last {
		p.last, p.look = now, parkedStreams
	}
	switch now {
	case fair:
		p.d.forgetBehind()
		p.takeOver(ctx)
	case clearing:
		p.probe(ctx)
	case foul:
		p.recallAll() // other pods may fare better
		p.parkOld(ctx)
	}
	p.shipAgain(ctx)
}

// weather is how the API's breaker stands.
type weather uint8

const (
	fair     weather = iota // closed
	clearing                // a probe may be sent or is under way
	foul                    // open
)

func (p *Parking) weather() weather {
	b := p.d.opt.Breaker
	switch state := b.State(); {
	case state == breaker.Closed:
		return fair
	case state == breaker.HalfOpen || !b.NextAttempt().After(time.Now()):
		return clearing
	default:
		return foul
	}
}

// Contents says how much is in Redis now.
type Contents struct {
	Events      int64 `json:"events"`
	DeadLetters int64 `json:"deadLetters"`
}

// Contents asks Redis how many events are parked, by whatever pod.
func (p *Parking) Contents(ctx context.Context) (c Contents, err error) {
	lengths, err := p.lengths(ctx, append(streamNames(), deadStream)...)
	if err != nil {
		return c, fmt.Errorf("counting the parked events: %w", err)
	}
	c.DeadLetters = lengths[parkedStreams]
	for _, n := range lengths[:parkedStreams] {
		c.Events += n
	}
	return c, nil
}

// lengths says how many entries streams have; one that is not there has none.
func (p *Parking) lengths(ctx context.Context, streams ...string) ([]int64, error) {
	return p.ask(ctx, streams, func(key string) []any { return []any{"xlen", key} })
}

// complainEvery is how often the same trouble is told of.
const complainEvery = 30 * time.Second

// complain logs what went wrong, unless that was said a short while ago.
func (p *Parking) complain(what string, err error) {
	if errors.Is(err, context.Canceled) || time.Since(p.said[what]) < complainEvery {
		return
	}
	p.said[what] = time.Now()
	p.opt.Log.Warn("parking: "+what+", and tried again", "error", err)
}

// ask sends a command for each of several keys at once, and returns the numbers that
// Redis answers; no number is 0.
func (p *Parking) ask(ctx context.Context, keys []string, command func(key string) []any) ([]int64, error) {
	type answer struct {
		key    int
		number int64
		err    error
	}
	answers := make(chan answer, len(keys)) // room for all: Done must not block
	for i, key := range keys {
		err := p.opt.Redis.Pipe(redis.Batch{
			Op: redis.OpBackground, Key: key, Commands: []redis.Command{{Args: command(key)}},
			Done: func(replies []any, err error) {
				number, err := numberOf(replies, err)
				answers <- answer{i, number, err}
			},
		})
		if err != nil {
			return nil, err //nolint:wrapcheck // the caller says what for
		}
	}
	numbers := make([]int64, len(keys))
	for range keys {
		select {
		case a := <-answers:
			if a.err != nil {
				return nil, a.err
			}
			numbers[a.key] = a.number
		case <-ctx.Done():
			return nil, ctx.Err() //nolint:wrapcheck // the caller says what for
		}
	}
	return numbers, nil
}

// numberOf returns the number a single command was answered with.
func numberOf(replies []any, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	switch reply := replies[0].(type) {
	case int64:
		return reply, nil
	case error:
		return 0, reply
	default:
		return 0, nil
	}
}

// keep gives a stream its life anew: nothing of ours is in Redis for ever.
func (p *Parking) keep(ctx context.Context, stream string, life time.Duration) {
	_, err := p.ask(ctx, []string{stream}, func(key string) []any {
		return []any{"pexpire", key, life.Milliseconds()}
	})
	if err != nil {
		p.complain("a stream's life could not be set", err)
	}
}
