package redis

import (
	"context"
	"math/rand/v2"
	"time"

	driver "github.com/redis/go-redis/v9"
)

// Entry is one entry of a stream.
type Entry struct {
	ID     string // "milliseconds-sequence", rising
	Values map[string]string
}

// XAdd appends entries to a stream, in order, and returns the ids of those that were
// acknowledged: all, or those before the first that failed. An entry whose
// acknowledgement was lost may be in the stream all the same.
func (c *Client) XAdd(ctx context.Context, stream string, entries ...map[string]string) (ids []string, err error) {
	err = c.background("xadd", func() error {
		replies, err := c.slow.Pipelined(ctx, func(p driver.Pipeliner) error {
			for _, values := range entries {
				p.XAdd(ctx, &driver.XAddArgs{Stream: stream, Values: values})
			}
			return nil
		})
		for _, reply := range replies {
			if reply.Err() != nil {
				break
			}
			ids = append(ids, reply.(*driver.StringCmd).Val()) //nolint:errcheck,forcetypeassert // what XAdd queues
		}
		return err
	})
	return ids, err
}

// XRange returns up to count entries from the first on whose id is from or later; "-"
// is the very first. "(" before the id leaves it out.
func (c *Client) XRange(ctx context.Context, stream, from string, count int) (entries []Entry, err error) {
	err = c.background("xrange", func() error {
		messages, err := c.slow.XRangeN(ctx, stream, from, "+", int64(count)).Result()
		entries = entriesOf(messages)
		return err
	})
	return entries, err
}

// XReadGroup returns up to count entries that the group has not been given yet, or, with
// pending, those that this consumer was given and has not acknowledged, from the oldest.
// It does not wait for any. A group, or a stream, that is not there is created first, to
// be read from the very beginning: so it comes back after Redis was emptied.
func (c *Client) XReadGroup(ctx context.Context, stream, group, consumer string, count int, pending bool) (entries []Entry, err error) {
	from := ">"
	if pending {
		from = "0"
	}
	read := func() error {
		streams, err := c.slow.XReadGroup(ctx, &driver.XReadGroupArgs{
			Group: group, Consumer: consumer, Streams: []string{stream, from}, Count: int64(count), Block: -1,
		}).Result()
		if err == nil && len(streams) > 0 {
			entries = entriesOf(streams[0].Messages)
		}
		return err
	}
	err = c.background("xreadgroup", func() error {
		err := read()
		if !driver.HasErrorPrefix(err, "NOGROUP") {
			return err
		}
		err = c.slow.XGroupCreateMkStream(ctx, stream, group, "0").Err()
		if err != nil && !driver.HasErrorPrefix(err, "BUSYGROUP") {
			return err
		}
		return read()
	})
	return entries, err
}

// XSettle acknowledges entries and removes them from the stream.
func (c *Client) XSettle(ctx context.Context, stream, group string, ids ...string) error {
	if len(ids) == 0 {
		return nil
	}
	return c.background("xack", func() error {
		_, err := c.slow.TxPipelined(ctx, func(p driver.Pipeliner) error {
			p.XAck(ctx, stream, group, ids...)
			p.XDel(ctx, stream, ids...)
			return nil
		})
		return err
	})
}

// XLen returns how many entries a stream holds; none if it is not there.
func (c *Client) XLen(ctx context.Context, stream string) (n int64, err error) {
	err = c.background("xlen", func() error {
		var err error
		n, err = c.slow.XLen(ctx, stream).Result()
		return err
	})
	return n, err
}

// XLastID returns the highest id a stream has ever had, as far as its server knows:
// if it has gone back, the server has lost what it acknowledged. A stream that is not
// there has none, which is "".
func (c *Client) XLastID(ctx context.Context, stream string) (id string, err error) {
	err = c.background("xinfo", func() error {
		info, err := c.slow.XInfoStream(ctx, stream).Result()
		switch {
		case driver.HasErrorPrefix(err, "no such key"):
			return nil
		case err != nil:
			return err
		}
		id = info.LastGeneratedID
		return nil
	})
	return id, err
}

func entriesOf(messages []driver.XMessage) []Entry {
	entries := make([]Entry, len(messages))
	for i, m := range messages {
		entries[i] = Entry{ID: m.ID, Values: make(map[string]string, len(m.Values))}
		for name, value := range m.Values {
			entries[i].Values[name], _ = value.(string)
		}
	}
	return entries
}

// jitter returns d, at least half of it, at random.
func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(rand.Int64N(int64(d/2)))
}
