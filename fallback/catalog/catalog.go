// Package catalog knows what the shop sells: the product feed it already
// publishes for Google Merchant Center, and the stock levels it pushes since.
//
// A recommended id may be a row of the feed or an item_group_id, and the catalogue
// answers for both; an id that is both stands for the group. Reading takes no
// lock and allocates nothing: the feed is an immutable snapshot, swapped when a
// newer one has been read to its end without an error, and stock is a word per
// product on top of it.
//
// # Pushed stock
//
// A pushed level counts for more than the feed until it is StockLife old, or until
// a feed whose own time (modification time, Last-Modified) is later than the push
// says something else of the product's stock than the feed before it. A feed that
// merely repeats itself proves nothing: exports are hours behind more often than
// a shop sells and restocks the very same number. A feed that does not say its time
// overrules nothing, and nor does the first one after a start, which has none before
// it to differ from.
//
// Of two levels of one product the later counts, whichever pod it was pushed to.
package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/internal/reco"
)

// StockStore shares pushed levels between pods. What it returns need not be
// trusted: the catalogue checks it.
type StockStore interface {
	// Save keeps levels for at least life, and publishes them to the other pods. It
	// must not let an older level replace a newer one of the same product.
	Save(ctx context.Context, levels []Level, life time.Duration) error

	// Load returns every level that is kept.
	Load(ctx context.Context) ([]Level, error)

	// Subscribe calls apply with the levels that are published, one call at a time,
	// until ctx ends or the connection is lost, and returns why.
	Subscribe(ctx context.Context, apply func([]Level)) error
}

// ErrNotShared says that a push holds for this pod, but could not be handed to
// the store. It is handed over again, at most a minute after the store is back.
var ErrNotShared = errors.New("the stock holds for this pod only, until the store is back")

// Catalog is the shop's products and their stock. Its methods may be called from
// any goroutine.
type Catalog struct {
	options Options
	store   StockStore // nil = this pod only
	log     *slog.Logger
	source  source // nil = no feed

	snapshot atomic.Pointer[snapshot] // nil until a feed has been read
	pushes   *pushes
	status   atomic.Pointer[status]

	mu     sync.Mutex // guards what is written: pushes, and the states of the snapshot
	newest int64      // Unix milliseconds of the latest push known of

	refreshing sync.Mutex // one reading at a time; guards the editions
	edition    edition    // of the feed in snapshot
	refused    edition    // that was read last and found broken
	refusedAt  time.Time
}

// status is how the last readings went.
type status struct {
	read  time.Time     // when the snapshot was read
	took  time.Duration // to read it
	tried time.Time
	err   error // of the last try
}

// New makes a catalogue of options that are valid. It reads nothing: Run does.
// A nil store keeps pushed stock to this process.
func New(o Options, store StockStore, log *slog.Logger) (*Catalog, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	c := &Catalog{options: o, store: store, log: log, source: newSource(o), pushes: newPushes()}
	c.status.Store(&status{})
	return c, nil
}

// HasFeed reports whether a feed has been read. Without one the catalogue knows
// only the stock that was pushed.
func (c *Catalog) HasFeed() bool { return c.snapshot.Load() != nil }

// Active reports whether the catalogue knows anything at all.
func (c *Catalog) Active() bool { return c.HasFeed() || c.pushes.len() > 0 }

// Ready reports whether there is what was configured: a feed, if one is.
func (c *Catalog) Ready() bool { return c.source == nil || c.HasFeed() }

// Stock returns what is known of a product's stock.
func (c *Catalog) Stock(id string) Stock {
	if s := c.snapshot.Load(); s != nil {
		now, ok := s.stock(id)
		if !ok {
			return Stock{Quantity: unknown}
		}
		return now.public()
	}
	if now, ok := c.pushes.find(id); ok {
		return Stock{SoldOut: now.quantity == 0, Quantity: int(now.quantity)}
	}
	return Stock{Quantity: unknown}
}

// Product returns what the feed says of a product at a moment, and false if it
// does not have it.
func (c *Catalog) Product(id string, at time.Time) (Product, bool) {
	s := c.snapshot.Load()
	if s == nil {
		return Product{}, false
	}
	return s.product(id, at)
}

// CategoryOf returns the category of a product, and false if none is known.
func (c *Catalog) CategoryOf(id string) (string, bool) {
	p, _ := c.Product(id, time.Time{})
	return p.Category, p.Category != ""
}

// Push takes in stock levels that hold from now on; of two for one product the
// smaller counts. What [reco.ParseStock] would refuse is left out. The error
// wraps [ErrNotShared] if only this pod knows of them; they hold here all the same.
func (c *Catalog) Push(ctx context.Context, stock []reco.Stock) error {
	now := time.Now()
	at := c.stamp(now)
	levels := make([]Level, 0, len(stock))
	for _, s := range stock {
		l := Level{ID: s.ID, Quantity: min(s.Quantity, maxQuantity), At: at}
		if l.check(at) == nil {
			levels = append(levels, l)
		}
	}
	c.apply(levels, now)
	if c.store == nil || len(levels) == 0 {
		return nil
	}
	if err := c.store.Save(ctx, levels, c.options.StockLife); err != nil {
		return fmt.Errorf("%w: %w", ErrNotShared, err)
	}
	return nil
}

// stamp returns a moment for a push: now, but later than every push known of, so
// that the one which arrives last counts although clocks differ a little.
func (c *Catalog) stamp(now time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest > now.Add(maxSkew).UnixMilli() {
		c.newest = 0 // the clock has been set back
	}
	c.newest = max(c.newest+1, now.UnixMilli())
	return time.UnixMilli(c.newest)
}

// check says what is wrong with a level from outside.
func (l Level) check(now time.Time) error {
	switch {
	case l.ID == "" || len(l.ID) > reco.MaxIDLength:
		return fmt.Errorf("an id of %d bytes", len(l.ID))
	case l.Quantity < 0 || l.Quantity > maxQuantity:
		return fmt.Errorf("a quantity of %d", l.Quantity)
	case l.At.After(now.Add(maxSkew)):
		return fmt.Errorf("pushed %s from now", l.At.Sub(now).Round(time.Second))
	}
	return nil
}

const (
	maxQuantity = math.MaxInt32 / 2
	maxSkew     = 5 * time.Second // how far another pod's clock may be ahead
)

// apply lets levels hold that have been checked.
func (c *Catalog) apply(levels []Level, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, l := range levels {
		c.newest = max(c.newest, l.At.UnixMilli())
	}
	changed := c.pushes.merge(levels, now.Add(maxSkew).UnixMilli())
	gone := c.pushes.shrink(c.options.MaxPushed)
	if s := c.snapshot.Load(); s != nil {
		s.push(append(changed, gone...), c.pushes)
	}
	if len(gone) > 0 {
		c.log.Warn("more stock pushed than can be held: the oldest levels are forgotten",
			"max_pushed", c.options.MaxPushed, "forgotten", len(gone))
	}
}

// expire forgets the levels that are older than their life.
func (c *Catalog) expire(now time.Time) {
	oldest := now.Add(-c.options.StockLife).UnixMilli()
	c.mu.Lock()
	defer c.mu.Unlock()
	gone := c.pushes.drop(func(_ string, p push) bool { return p.at <= oldest })
	if s := c.snapshot.Load(); s != nil {
		s.push(gone, c.pushes)
	}
}

// publish puts a new reading of the feed in the place of the old one.
func (c *Catalog) publish(next *snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.snapshot.Load(); old != nil && !next.time.IsZero() {
		feed := next.time.UnixMilli()
		c.pushes.void(func(id string, p push) bool {
			return feed > p.at && differ(old, next, id)
		})
	}
	levels := c.pushes.levels()
	ids := make([]string, len(levels))
	for i, l := range levels {
		ids[i] = l.ID
	}
	next.push(ids, c.pushes)
	c.snapshot.Store(next)
}

// Stats is the catalogue in numbers.
type Stats struct {
	Products int           // rows of the feed
	Groups   int           // item_group_ids
	Bytes    int           // memory held by the feed
	Pushed   int           // products whose stock was pushed and still counts
	FeedTime time.Time     // the feed's own; zero if it does not say
	Read     time.Time     // when it was read; zero if never
	Took     time.Duration // to read it
	Tried    time.Time     // when it was last looked at
	Err      error         // why the last try failed; nil if it did not
}

// Stats returns the numbers of this moment.
func (c *Catalog) Stats() Stats {
	now := c.status.Load()
	stats := Stats{Pushed: c.pushes.len(), Read: now.read, Took: now.took, Tried: now.tried, Err: now.err}
	if s := c.snapshot.Load(); s != nil {
		stats.Products, stats.Groups = len(s.rows), len(s.groups)
		stats.Bytes, stats.FeedTime = s.bytes(), s.time
	}
	return stats
}
