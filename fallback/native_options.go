package fallback

import (
	"context"
	"time"

	"vitrine/breaker"
	"vitrine/fallback/platform"
)

// Platform is where the shop's own orderings come from: a *platform.Client.
type Platform interface {
	// Serves tells whether the platform has lists of this kind.
	Serves(kind platform.List) bool
	// Fetch asks for one list.
	Fetch(ctx context.Context, q platform.Query) (platform.Result, error)
	// Quota tells what may be asked for now.
	Quota() platform.Quota
}

// Sales is the vendor's ranking of a category by its sales; of the whole shop, if
// the category is "". Its errors may be of package platform's kinds.
type Sales interface {
	SalesRanking(ctx context.Context, categoryID string) ([]string, error)
}

// Categories knows which category a product belongs to.
type Categories interface {
	CategoryOf(productID string) (categoryID string, known bool)
}

// Shared is the memory that all pods share: a *redis.Client. It counts its own
// failures; to us they read as a miss, or as a lease held, since two pods fetching
// the same list do less harm than none. So does what takes too long.
type Shared interface {
	SharedValues
	SharedLeases
}

// SharedValues keeps values for a time.
type SharedValues interface {
	Get(ctx context.Context, key string) (value string, found bool, err error)
	Set(ctx context.Context, key, value string, life time.Duration) error
}

// SharedLeases gives a key to one owner at a time. A lease not released ends with its life.
type SharedLeases interface {
	Acquire(ctx context.Context, key, owner string, life time.Duration) (held bool, err error)
	Release(ctx context.Context, key, owner string) error
}

// NativeOptions tune Natives. A field left zero takes the default in its brackets;
// sources that are nil are not asked.
type NativeOptions struct {
	// Platform is asked first.
	Platform Platform
	// Breaker guards Platform's calls.
	Breaker *breaker.Breaker
	// File is a JSON file of lists for what the platform does not give; see ReloadFile. "" = none.
	File string
	// Sales is asked last.
	Sales Sales
	// Catalogue tells a product's category, for the orderings of product pages.
	Catalogue Categories
	// Shared keeps snapshots over restarts, and sees to it that one pod fetches for all.
	Shared Shared
	// Namespace tells the snapshots of different shops apart in Shared: the platform client's Fingerprint.
	Namespace string

	// Refresh is the age at which a list that is asked for is fetched again (5 m).
	Refresh time.Duration
	// Keep is how long a list that nobody asks for stays in memory (24 h). One that
	// is asked for stays for as long as the platform is away.
	Keep time.Duration
	// SharedLife is how long a snapshot outlives its fetch in Shared (168 h).
	SharedLife time.Duration
	// Patience is how long a list waits for an answer of Shared (30 ms, several times
	// what a healthy one takes): somebody may be waiting for the list, and its source
	// can be asked without Shared.
	Patience time.Duration
	// MaxBytes and MaxLists bound the memory; the list asked for longest ago goes first (16 MiB, 20 000).
	MaxBytes int
	MaxLists int
	// Workers is how many lists are fetched at once (4).
	Workers int
	// MaxQueue is how many lists may wait to be fetched (1 024). When it is full,
	// further lists are refused, counted, and queued when they are asked for again.
	MaxQueue int
}

func (o NativeOptions) withDefaults() NativeOptions {
	def := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	num := func(n *int, to int) {
		if *n <= 0 {
			*n = to
		}
	}
	def(&o.Refresh, 5*time.Minute)
	def(&o.Keep, 24*time.Hour)
	def(&o.SharedLife, 7*24*time.Hour)
	def(&o.Patience, 30*time.Millisecond)
	num(&o.MaxBytes, 16<<20)
	num(&o.MaxLists, 20_000)
	num(&o.Workers, 4)
	num(&o.MaxQueue, 1024)
	return o
}
