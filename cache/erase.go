package cache

import (
	"context"
	"time"
)

// Erase forgets a session, and leaves a stamp in its place: the ranking of a call
// started before now is refused wherever it arrives.
func (c *Cache) Erase(_ context.Context, session string) error {
	c.forget(c.keys.session(session), c.at(time.Now()))
	return nil
}

// forget drops from memory what is held of a session, and refuses what is still to
// come of calls started up to then.
//
// Entries are not indexed by session, since an erase may take the milliseconds it
// takes to look at all of them, and a miss and a hit should not pay for that.
func (c *Cache) forget(key sessionKey, until instant) {
	if stamp, ok := c.erased.GetIfPresent(key); ok && stamp >= until {
		return
	}
	c.erased.Set(key, until)
	for question, held := range c.entries.All() {
		if held.started <= until && c.keys.session(held.event.Session) == key {
			c.entries.Invalidate(question)
			c.sessions.Invalidate(c.sessionHash(held.event.Session))
		}
	}
}

// erasedSince reports whether a session was erased after a call for it had started.
func (c *Cache) erasedSince(session string, started instant) bool {
	if c.erased.EstimatedSize() == 0 {
		return false
	}
	stamp, ok := c.erased.GetIfPresent(c.keys.session(session))
	return ok && started <= stamp
}
