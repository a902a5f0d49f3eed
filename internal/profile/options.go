package profile

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/redis"
)

// API is the vendor's. [*fashionai.Client] is one; profiles should have a client of their
// own, so that they cannot take the connections of the events.
type API interface {
	Fetch(path string, deadline time.Time, traceparent string) fashionai.Reply
}

// Remote is the tier that pods share. [*redis.Client] is one.
type Remote interface {
	Values
	Leases
	Channel
}

// Values reads and writes. It must not wait, and must carry out the batches of one key in
// the order of its calls.
type Values interface {
	Pipe(b redis.Batch) error
}

// Leases gives a key to one owner at a time. One not released ends with its life.
type Leases interface {
	Acquire(ctx context.Context, key, owner string, life time.Duration) (held bool, err error)
	Release(ctx context.Context, key, owner string) error
}

// Channel tells all pods.
type Channel interface {
	Publish(ctx context.Context, channel, message string) error
	Subscribe(ctx context.Context, channel string, receive func(message string)) error
}

// Options say where profiles come from, and how long they are remembered.
type Options struct {
	// API is asked for profiles. Required.
	API API

	// Breaker guards it. Required. Writing a profile takes the vendor seconds, so slow
	// calls must not open it: [BreakerOptions].
	Breaker *breaker.Breaker

	// Remote is shared by the pods. Nil = there is none.
	Remote Remote

	// Keys seal what Remote holds. Nil = Remote holds no profile, only stamps of erases.
	Keys *Keys

	// HashKey keys the names under which people are remembered. All pods of a shop must
	// have the same.
	HashKey [32]byte

	// RemoteBudget is how long a request waits for Remote at most.
	RemoteBudget time.Duration

	// Fresh is how long a profile is served without asking the API, from the start of the
	// call that brought it; Stale how long after that it is, if the API cannot answer;
	// NotFound how long a 404 is remembered.
	Fresh, Stale, NotFound time.Duration

	// Budget is how long a request waits for the API at most. Where there is a stale
	// profile it waits 150 ms.
	Budget time.Duration

	// CallTimeout is the longest a call of API takes by itself; calls go on when nobody
	// waits for them any more.
	CallTimeout time.Duration

	// MaxInFlight bounds the calls under way. As many again three times over may wait for
	// their turn, inside Budget; beyond that a request is refused.
	MaxInFlight int

	// Memory bounds the tier in this process, in bytes. An entry over an eighth of it
	// stays out.
	Memory int64

	// Log gets what a person should know. No line holds an identifier or a body.
	Log *slog.Logger
}

// DefaultMemory is enough for about 1 500 profiles of the documented length.
const DefaultMemory = 8 << 20

// leastMemory is what the memory needs to hold anything at all.
const leastMemory = 64 << 10

// BreakerOptions returns the numbers that suit the profile API: those of the
// recommendation API, but no call is slow, because the vendor writes a profile anew at
// each; and a probe has the time a call has.
func BreakerOptions(callTimeout time.Duration) breaker.Options {
	o := breaker.Defaults("profile")
	o.SlowCall = 0
	o.ProbeTimeout = max(o.ProbeTimeout, 2*callTimeout)
	return o
}

// Validate returns everything that is wrong with o, joined, or nil.
func (o Options) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("profile: "+format, args...))
		}
	}
	if o.API == nil || o.Breaker == nil || o.Log == nil {
		wrong = append(wrong, errors.New("profile: API, Breaker and Log are required"))
	}
	must(o.Fresh >= 0, "fresh %s is negative", o.Fresh)
	must(o.Stale >= 0, "stale %s is negative", o.Stale)
	must(o.NotFound >= 0, "not_found %s is negative", o.NotFound)
	must(o.Budget > 0, "a budget of %s is not positive", o.Budget)
	must(o.CallTimeout > 0, "a call of %s is not positive", o.CallTimeout)
	must(o.MaxInFlight > 0, "max_in_flight %d is not positive", o.MaxInFlight)
	must(o.Memory >= leastMemory, "a memory of %d bytes is below %d", o.Memory, leastMemory)
	must(o.HashKey != [32]byte{}, "a hash key is required")
	must(o.Remote == nil || o.RemoteBudget > 0, "a budget of %s for Redis is not positive", o.RemoteBudget)
	return errors.Join(wrong...)
}

// life is how long a profile is remembered at all.
func (o Options) life() time.Duration { return o.Fresh + o.Stale }
