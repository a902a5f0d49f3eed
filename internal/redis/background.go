package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	driver "github.com/redis/go-redis/v9"

	"vitrine/breaker"
)

// background does something that may take its time, unless the breaker is open. what
// completes the sentence "redis: <what>: <error>".
func (c *Client) background(what string, do func() error) error {
	if c.opt.Breaker.State() != breaker.Closed {
		c.observe(OpBackground, Refused, 0)
		return fmt.Errorf("redis: %s: %w", what, ErrUnavailable)
	}
	start := time.Now()
	err := do()
	took := time.Since(start)
	c.observe(OpBackground, outcomeOf(answered(err), err, took, slowReply), took)
	if !answered(err) {
		c.lookAgain()
	}
	if err != nil && !errors.Is(err, driver.Nil) {
		return fmt.Errorf("redis: %s: %w", what, failure(err))
	}
	return nil
}

// Get returns the value of a key, and whether there is one.
func (c *Client) Get(ctx context.Context, key string) (value string, found bool, err error) {
	err = c.background("get", func() error {
		var err error
		value, err = c.slow.Get(ctx, key).Result()
		found = err == nil
		return err
	})
	return value, found, err
}

// Set gives a key a value and a life, which must be positive: nothing of ours is in Redis for ever.
func (c *Client) Set(ctx context.Context, key, value string, life time.Duration) error {
	if life <= 0 {
		return fmt.Errorf("redis: set: a life of %s is not positive", life)
	}
	return c.background("set", func() error { return c.slow.Set(ctx, key, value, life).Err() })
}

// Del removes keys; those that are not there are no error.
func (c *Client) Del(ctx context.Context, keys ...string) error {
	return c.background("del", func() error {
		// One by one: in a Cluster they need not live together.
		_, err := c.slow.Pipelined(ctx, func(p driver.Pipeliner) error {
			for _, key := range keys {
				p.Del(ctx, key)
			}
			return nil
		})
		return err
	})
}

// HGetAll returns all fields of a hash; none if it is not there.
func (c *Client) HGetAll(ctx context.Context, key string) (fields map[string]string, err error) {
	err = c.background("hgetall", func() error {
		var err error
		fields, err = c.slow.HGetAll(ctx, key).Result()
		return err
	})
	return fields, err
}

// HSet sets fields of a hash and gives it a life from now, which must be positive.
func (c *Client) HSet(ctx context.Context, key string, fields map[string]string, life time.Duration) error {
	if life <= 0 {
		return fmt.Errorf("redis: hset: a life of %s is not positive", life)
	}
	return c.background("hset", func() error {
		_, err := c.slow.Pipelined(ctx, func(p driver.Pipeliner) error {
			p.HSet(ctx, key, fields)
			p.PExpire(ctx, key, life)
			return nil
		})
		return err
	})
}

// Eval runs a script on one key. The reply is nil, an int64, a string or a []any of these.
func (c *Client) Eval(ctx context.Context, script *Script, key string, args ...any) (reply any, err error) {
	err = c.background("eval", func() error {
		var err error
		keys := []string{key}
		reply, err = c.slow.EvalSha(ctx, script.name, keys, args...).Result()
		if driver.HasErrorPrefix(err, "NOSCRIPT") {
			reply, err = c.slow.Eval(ctx, script.text, keys, args...).Result()
		}
		return err
	})
	return reply, err
}

// Acquire takes the lease of this key for owner, or makes the one owner has last for
// another life from now. It reports whether owner has it.
func (c *Client) Acquire(ctx context.Context, key, owner string, life time.Duration) (bool, error) {
	reply, err := c.Eval(ctx, acquire, key, owner, life.Milliseconds())
	return reply == int64(1), err
}

// Renew makes the lease that owner has last for another life from now. It reports
// whether owner still had it.
func (c *Client) Renew(ctx context.Context, key, owner string, life time.Duration) (bool, error) {
	reply, err := c.Eval(ctx, renew, key, owner, life.Milliseconds())
	return reply == int64(1), err
}

// Release gives the lease back, if owner still has it.
func (c *Client) Release(ctx context.Context, key, owner string) error {
	_, err := c.Eval(ctx, release, key, owner)
	return err
}

//nolint:gochecknoglobals // constants, but for their type
var (
	// A lease that is no text, or has no end, is nobody's: what is not ours must not keep a
	// key from everybody for ever.
	acquire = NewScript(`
local holder = redis.pcall('GET', KEYS[1])
if type(holder) == 'string' and holder ~= ARGV[1] and redis.call('PTTL', KEYS[1]) ~= -1 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

	renew = NewScript(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])`)

	release = NewScript(`
if redis.pcall('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])`)
)

// Publish sends a message to everybody who listens to the channel now.
func (c *Client) Publish(ctx context.Context, channel, message string) error {
	return c.background("publish", func() error { return c.slow.Publish(ctx, channel, message).Err() })
}

// Subscribe calls receive for every message on the channel, one after the other, until
// ctx ends. A connection lost is replaced after a pause, jittered so that the pods of a shop do not all
// come back at once; what was published meanwhile is missed.
func (c *Client) Subscribe(ctx context.Context, channel string, receive func(message string)) error {
	for ctx.Err() == nil {
		c.listen(ctx, channel, receive)
		pause := time.NewTimer(jitter(resubscribe))
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
	return nil
}

// resubscribe is the pause before listening again, before jitter.
const resubscribe = 2 * time.Second

// listen receives until the connection is lost, or does not answer a PING.
func (c *Client) listen(ctx context.Context, channel string, receive func(message string)) {
	subscription := c.slow.Subscribe(ctx, channel)
	defer subscription.Close()
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() })
	defer stop()
	pinged := false
	for {
		message, err := subscription.ReceiveTimeout(ctx, listenPing)
		switch timeout := (interface{ Timeout() bool })(nil); {
		case err == nil:
			pinged = false
			if m, ok := message.(*driver.Message); ok {
				receive(m.Payload)
			}
		case errors.As(err, &timeout) && timeout.Timeout() && !pinged && subscription.Ping(ctx) == nil:
			pinged = true
		default:
			return
		}
	}
}

// listenPing is how long a channel may be silent before the connection is questioned.
const listenPing = 5 * time.Second
