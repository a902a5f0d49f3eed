package reco

import "time"

// Answer is what a shopper gets, and all there is to say about it.
type Answer struct {
	Ranking Ranking
	Source  Source
	Reason  Reason

	// Age is the time since the call that brought the ranking began, TTL what is
	// left of its freshness, negative once it is stale; both for FromCache and
	// FromStale only. Tier says which memory held it.
	Age, TTL time.Duration
	Tier     Tier

	// Status is the API's, if this very event was answered within the budget;
	// Stored says that its ranking went to the cache; Collapsed that the answer is
	// the one to the same question, asked by another event at the same moment.
	Status    int
	Stored    bool
	Collapsed bool
}

// Tier is the memory a ranking was found in.
type Tier uint8

// The two tiers of the cache. The zero Tier is neither.
const (
	Memory Tier = iota + 1
	Redis
)

// String names the tier as Cache-Status does.
func (t Tier) String() string {
	switch t {
	case Memory:
		return "memory"
	case Redis:
		return "redis"
	default:
		return ""
	}
}
