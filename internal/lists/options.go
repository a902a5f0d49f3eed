package lists

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
)

// API is the vendor's. [*fashionai.Client] is one; lists should have a client of their
// own, so that they cannot take the connections of the events.
type API interface {
	Fetch(path string, deadline time.Time, traceparent string) fashionai.Reply
	Post(path string, body []byte, deadline time.Time, traceparent string) fashionai.Reply
}

// Remote is the tier that pods share. [*redis.Client] is one.
type Remote interface {
	Values
	Channel
}

// Values keeps values for a time.
type Values interface {
	Get(ctx context.Context, key string) (value string, found bool, err error)
	Set(ctx context.Context, key, value string, life time.Duration) error
}

// Channel tells all pods.
type Channel interface {
	Publish(ctx context.Context, channel, message string) error
	Subscribe(ctx context.Context, channel string, receive func(message string)) error
}

// Life is how long the answers of a list are remembered.
type Life struct {
	// Fresh is how long one is served without asking the API, from the start of the call
	// that brought it; Stale how long after that it is, if the API cannot answer.
	Fresh, Stale time.Duration
}

// Options say where lists come from, and how long they are remembered.
type Options struct {
	// API is asked for lists. Required.
	API API

	// Breaker guards it. Required.
	Breaker *breaker.Breaker

	// Remote is shared by the pods. Nil = there is none. A session's lists stay out of it.
	Remote Remote

	// HashKey keys the names under which answers are remembered. All pods of a shop must
	// have the same.
	HashKey [32]byte

	// Lives are those of the lists that are served. What is not among them is off.
	Lives map[Kind]Life

	// Budget is how long a request waits at most.
	Budget time.Duration

	// MaxInFlight bounds the calls under way. Three times as many may wait for their turn,
	// inside Budget; beyond that a request is refused.
	MaxInFlight int

	// Memory bounds the tier in this process, in bytes. An entry over an eighth of it
	// stays out.
	Memory int64

	// Log gets what a person should know. No line holds a question or an answer.
	Log *slog.Logger
}

// DefaultMemory is enough for some 5 000 lists of 100 products.
const DefaultMemory = 8 << 20

// leastMemory is what the memory needs to hold anything at all.
const leastMemory = 64 << 10

// Validate returns everything that is wrong with o, joined, or nil.
func (o Options) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf("lists: "+format, args...))
		}
	}
	if o.API == nil || o.Breaker == nil || o.Log == nil {
		wrong = append(wrong, errors.New("lists: API, Breaker and Log are required"))
	}
	for k, life := range o.Lives {
		must(k < numKinds, "there is no %s", k)
		must(life.Fresh >= 0, "%s: fresh %s is negative", k, life.Fresh)
		must(life.Stale >= 0, "%s: stale %s is negative", k, life.Stale)
	}
	must(o.Budget > 0, "a budget of %s is not positive", o.Budget)
	must(o.MaxInFlight > 0, "max_in_flight %d is not positive", o.MaxInFlight)
	must(o.Memory >= leastMemory, "a memory of %d bytes is below %d", o.Memory, leastMemory)
	must(o.HashKey != [32]byte{}, "a hash key is required")
	return errors.Join(wrong...)
}
