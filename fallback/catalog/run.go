package catalog

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	filePoll    = 10 * time.Second
	shareEvery  = time.Minute // how often a push that was missed is caught up with
	resubscribe = time.Second
	shareWait   = 10 * time.Second // longest wait for the store, for nobody waits
)

// Run reads the feed and keeps it up to date, and shares pushed stock with the
// other pods, until ctx ends. It always returns nil: a feed or a store that is
// away is logged, and tried again.
func (c *Catalog) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { c.every(ctx, shareEvery, c.share) })
	if c.store != nil {
		parts.Go(func() { c.listen(ctx) })
	}
	if c.source != nil {
		parts.Go(func() { c.every(ctx, c.poll(), c.look) })
	}
	<-ctx.Done()
	return nil
}

// poll is how often to look at the feed.
func (c *Catalog) poll() time.Duration {
	if c.options.File != "" {
		return min(c.options.Refresh, filePoll)
	}
	return c.options.Refresh
}

// every calls work now and then every period, ±10 %, until ctx ends.
func (c *Catalog) every(ctx context.Context, period time.Duration, work func(context.Context)) {
	for {
		work(ctx)
		jitter := period * time.Duration(rand.IntN(200)-100) / 1000
		timer := time.NewTimer(period + jitter)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}

// look refreshes and says in the log what came of it.
func (c *Catalog) look(ctx context.Context) {
	before := c.status.Load().err
	changed, err := c.Refresh(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil && before != nil && err.Error() == before.Error(): // once is enough
	case err != nil && c.HasFeed():
		c.log.Error("the product feed is not usable; the last good one stays", "err", err)
	case err != nil:
		c.log.Error("the product feed is not usable; there is no catalogue", "err", err)
	case changed:
		stats := c.Stats()
		c.log.Info("read the product feed", "products", stats.Products, "groups", stats.Groups,
			"bytes", stats.Bytes, "took", stats.Took)
	}
}

// Refresh reads the feed if it has changed since it was last read without an
// error, and reports whether it was. On an error the last good feed stays; if the
// feed is broken, the error is a *FeedError or wraps one. It returns at once if no
// feed is configured.
func (c *Catalog) Refresh(ctx context.Context) (changed bool, err error) {
	if c.source == nil {
		return false, nil
	}
	c.refreshing.Lock()
	defer c.refreshing.Unlock()
	began := time.Now()
	next, err := c.read(ctx)
	status := *c.status.Load()
	status.tried, status.err = began, err
	if next != nil {
		c.publish(next)
		status.read, status.took = began, time.Since(began)
	}
	c.status.Store(&status)
	return next != nil, err
}

// read returns the feed, nil if it has not changed.
func (c *Catalog) read(ctx context.Context) (*snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	body, now, err := c.source.open(ctx, c.edition)
	if errors.Is(err, errUnchanged) {
		return nil, nil //nolint:nilnil // unchanged is no error, and there is nothing new
	}
	if err != nil {
		return nil, fmt.Errorf("opening the product feed: %w", err)
	}
	defer func() { _ = body.Close() }()
	if now.file && now == c.refused && time.Since(c.refusedAt) < c.options.Refresh {
		return nil, c.status.Load().err // a big file need not be read every few seconds to know that it is broken
	}
	next, err := c.accept(parse(ctx, body, c.options))
	if err != nil {
		c.refused, c.refusedAt = now, time.Now()
		return nil, err
	}
	next.time = now.time
	c.edition = now
	return next, nil
}

// accept refuses a feed that is broken, or looks as if it had been cut short.
func (c *Catalog) accept(next *snapshot, err error) (*snapshot, error) {
	if err != nil {
		return nil, fmt.Errorf("reading the product feed: %w", err)
	}
	if old := c.snapshot.Load(); old != nil && !c.options.AllowShrink && 2*len(next.rows) < len(old.rows) {
		return nil, fmt.Errorf("the product feed has only %d products where it had %d: it looks cut short (allow_shrink accepts it)",
			len(next.rows), len(old.rows))
	}
	return next, nil
}

// share forgets what is too old, learns what other pods know, and hands over what
// the store lacks, be it that it was away when it was pushed.
func (c *Catalog) share(ctx context.Context) {
	c.expire(time.Now())
	if c.store == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, shareWait)
	defer cancel()
	theirs, err := c.store.Load(ctx)
	if err != nil {
		c.log.Warn("pushed stock of other pods is not to be had", "err", err)
		return
	}
	theirs = c.hear(theirs)
	if ours := c.missing(theirs); len(ours) > 0 {
		if err := c.store.Save(ctx, ours, c.options.StockLife); err != nil {
			c.log.Warn("pushed stock cannot be shared yet", "err", err, "products", len(ours))
		}
	}
}

// missing lists our levels that are newer than theirs.
func (c *Catalog) missing(theirs []Level) []Level {
	have := make(map[string]push, len(theirs))
	for _, l := range theirs {
		have[l.ID] = l.push()
	}
	var ours []Level
	for _, l := range c.pushes.levels() {
		if known, ok := have[l.ID]; !ok || l.push().newer(known) {
			ours = append(ours, l)
		}
	}
	return ours
}

// hear applies levels from outside, and returns those that may be believed.
func (c *Catalog) hear(levels []Level) []Level {
	now := time.Now()
	oldest := now.Add(-c.options.StockLife)
	sound := make([]Level, 0, len(levels))
	for _, l := range levels {
		if l.check(now) == nil && l.At.After(oldest) {
			sound = append(sound, l)
		}
	}
	if refused := len(levels) - len(sound); refused > 0 {
		c.log.Debug("left out levels that are too old or make no sense", "levels", refused)
	}
	c.apply(sound, now)
	return sound
}

// listen applies what other pods push, as it is published.
func (c *Catalog) listen(ctx context.Context) {
	for ctx.Err() == nil {
		err := c.store.Subscribe(ctx, func(levels []Level) { c.hear(levels) })
		if ctx.Err() != nil {
			return
		}
		c.log.Debug("lost the subscription to pushed stock", "err", err)
		timer := time.NewTimer(resubscribe)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
	}
}
