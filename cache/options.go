package cache

import (
	"errors"
	"fmt"
	"time"

	"vitrine/internal/reco"
)

// Options say how much a Cache remembers, and for how long.
type Options struct {
	// Memory bounds the tier in this process, in bytes: keys, rankings, frozen orders,
	// session states and what holding them costs. An entry over a sixteenth of it stays out.
	Memory int64

	// Remote is the tier all pods share. Nil = there is none.
	Remote Remote

	// RemoteBudget is how long one lookup waits for it at most.
	RemoteBudget time.Duration

	// HashKey keys the hashes under which it knows sessions and questions, and seals
	// what it holds. All pods of a shop must have the same.
	HashKey [32]byte

	// Policies holds the policy of every event type, by its number.
	Policies [reco.CustomShelf + 1]Policy
}

// Policy says how long the answers to one type of event hold.
type Policy struct {
	// Fresh is how long a ranking is served without waiting for a new one, from the
	// start of the call that brought it. Each entry's is up to a tenth longer or
	// shorter, so that what was learned together is not forgotten together.
	Fresh time.Duration
	// Stale is how long after Fresh it may still be served if the API cannot answer, and
	// how long a frozen order is kept.
	Stale time.Duration
	// Empty is how long an empty answer keeps shoppers from waiting for another one.
	// 0 = not at all.
	Empty time.Duration
	// FreshEvents is how many events for another (type, id) of its session end an
	// entry's freshness. 0 = no number of them does.
	FreshEvents int
}

const (
	sessionShare = 8  // of Memory goes to session states: one part in
	orderShare   = 16 // of Memory goes to frozen orders: one part in
	biggestShare = 16 // of Memory is the most one entry may have: one part in

	// maxFreshEvents keeps a session's state small.
	maxFreshEvents = 100

	sweepEvery = time.Minute

	// mostUntold is how many sessions may wait at once for Redis to be told of them.
	mostUntold = 4096

	// leastMemory is what a cache needs to hold anything at all.
	leastMemory = 64 << 10

	// maxErased is how many sessions' stamps a process remembers; beyond it those
	// least asked for go, and Redis still has them.
	maxErased = 1 << 16
)

// Validate returns everything that is wrong with o, joined, or nil.
func (o Options) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	must(o.Memory >= leastMemory, "a memory of %d bytes is below %d", o.Memory, leastMemory)
	if o.Remote != nil {
		must(o.RemoteBudget > 0, "a budget of %s for the remote tier is not positive", o.RemoteBudget)
		must(o.HashKey != [32]byte{}, "the remote tier needs a hash key")
	}
	for _, t := range reco.EventTypes {
		p := o.Policies[t]
		must(p.Fresh >= 0, "%s: fresh %s is negative", t, p.Fresh)
		must(p.Stale >= 0, "%s: stale %s is negative", t, p.Stale)
		must(p.Empty >= 0, "%s: empty %s is negative", t, p.Empty)
		must(p.FreshEvents >= 0 && p.FreshEvents <= maxFreshEvents,
			"%s: fresh events %d are not within 0 and %d", t, p.FreshEvents, maxFreshEvents)
	}
	return errors.Join(wrong...)
}

// longestLife is how long any entry may be held.
func (o Options) longestLife() time.Duration {
	var longest time.Duration
	for _, p := range o.Policies {
		longest = max(longest, p.Fresh+p.Fresh/jitterShare+p.Stale)
	}
	return longest
}

// longestMemory is how many other events any policy wants to tell apart.
func (o Options) longestMemory() int {
	longest := 0
	for _, p := range o.Policies {
		longest = max(longest, p.FreshEvents)
	}
	return longest
}
