package cache

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vitrine/internal/redis"
)

// eraseChannel is where pods tell each other of sessions erased.
const eraseChannel = "v1:erased"

// Erased is what an Erase found of a session.
type Erased struct {
	// Rankings counts the rankings, and the orders of lists it paged through, in this
	// process's memory.
	Rankings int `json:"rankings"`
	// Redis tells whether there was anything in Redis.
	Redis bool `json:"redis"`
}

// Erase forgets a session in both tiers of every pod, and leaves a stamp in its place:
// the ranking of a call started before now is refused wherever it arrives. The error says
// that Redis, or the other pods, may not know; this process does.
func (c *Cache) Erase(ctx context.Context, session string) (erased Erased, err error) {
	now := time.Now()
	name := c.keys.session(session)
	erased.Rankings = c.forget(name, stamp{wall: now.UnixMicro(), until: c.at(now)})
	c.sessions.Invalidate(c.sessionHash(session))
	if c.opt.Remote == nil {
		return erased, nil
	}
	wall := strconv.FormatInt(now.UnixMicro(), 10)
	erased.Redis, err = c.eraseRemote(ctx, name, wall)
	return erased, errors.Join(
		err,
		c.opt.Remote.Publish(ctx, eraseChannel, base64.RawURLEncoding.EncodeToString(name[:])+" "+wall),
	)
}

func (c *Cache) eraseRemote(ctx context.Context, name sessionKey, wall string) (found bool, err error) {
	type outcome struct {
		reply any
		err   error
	}
	done := make(chan outcome, 1)
	err = c.opt.Remote.Pipe(redis.Batch{
		Op: redis.OpErase, Key: name.text(),
		Commands: []redis.Command{{
			Script: eraseScript,
			Args:   []any{wall, c.life},
		}},
		Done: func(replies []any, err error) {
			o := outcome{err: err}
			if err == nil {
				o.reply = replies[0]
				o.err, _ = o.reply.(error)
			}
			done <- o
		},
	})
	if err != nil {
		return false, fmt.Errorf("erasing the session: %w", err)
	}
	select {
	case o := <-done:
		found, err = o.reply == int64(1), o.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return false, fmt.Errorf("erasing the session: %w", err)
	}
	return found, nil
}

// receiveErase takes in what another pod has published. What cannot be read is not of
// a pod of ours.
func (c *Cache) receiveErase(message string) {
	encoded, wall, _ := strings.Cut(message, " ")
	var name sessionKey
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || len(raw) != len(name) {
		c.count.rubbish.Add(1)
		return
	}
	copy(name[:], raw)
	c.forgetUpTo(name, wall)
}

// receiveStamp takes in a stamp that came back with something else of the session: so a
// pod learns of it that was not listening.
func (c *Cache) receiveStamp(session, wall string) { c.forgetUpTo(c.keys.session(session), wall) }

func (c *Cache) forgetUpTo(name sessionKey, wall string) {
	micro, err := strconv.ParseInt(wall, 10, 64)
	now := time.Now()
	age := now.Sub(time.UnixMicro(micro))
	if err != nil || age < -mostAhead {
		c.count.rubbish.Add(1)
		return
	}
	c.forget(name, stamp{wall: micro, until: c.at(now) - instant(age)})
}

// stamp is when a session was erased: by the wall clock, as it is told among pods, and
// in this process's own time.
type stamp struct {
	wall  int64 // microseconds since 1970
	until instant
}

// forget drops from memory what is held of a session, and refuses what is still to
// come of calls started up to then. It returns how many rankings and orders those were. A
// stamp known already does nothing.
//
// Entries are not indexed by session, since an erase may take the milliseconds it
// takes to look at all of them, and a miss and a hit should not pay for that.
func (c *Cache) forget(name sessionKey, s stamp) (gone int) {
	if known, ok := c.erased.GetIfPresent(name); ok && known.wall >= s.wall {
		return 0
	}
	c.erased.Set(name, s)
	for question, held := range c.entries.All() {
		if held.started <= s.until && c.keys.session(held.session()) == name {
			c.entries.Invalidate(question)
			gone++
		}
	}
	for question, held := range c.orders.All() {
		if held.frozen <= s.until && c.keys.session(held.event.Session) == name {
			c.orders.Invalidate(question)
			gone++
		}
	}
	return gone
}

// erasedSince reports whether a session was erased after a call for it had started.
func (c *Cache) erasedSince(session string, started instant) bool {
	if c.erased.EstimatedSize() == 0 {
		return false
	}
	s, ok := c.erased.GetIfPresent(c.keys.session(session))
	return ok && started <= s.until
}
