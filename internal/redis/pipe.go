package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // Redis names its scripts by it
	"encoding/hex"
	"errors"
	"hash/maphash"
	"net"
	"runtime"
	"slices"
	"time"

	driver "github.com/redis/go-redis/v9"

	"vitrine/breaker"
)

// Batch is what one caller wants done about one key.
type Batch struct {
	// Op is what for, as metrics tell it.
	Op Op

	// Key is the key that all Commands are about. Batches of one key are carried out
	// in the order of their Pipe calls.
	Key string

	// Commands are sent in this order, one directly behind the other, but not as a
	// transaction. A script is one where everything must happen at once.
	Commands []Command

	// Done is called once, with a reply for each command or the reason why there are
	// none. A reply is nil, an int64, a string, a []any of these, or an error, which is
	// a [ReplyError]. It is called by a goroutine on which others wait: it must not block.
	Done func(replies []any, err error)
}

// Command is one command, or one call of a script.
type Command struct {
	// Script, if not nil, is called with the batch's key and Args.
	Script *Script

	// Args are the command's name, the key where it belongs, and so on: strings,
	// []byte or integers.
	Args []any
}

// Script is Lua for Redis to run. It is sent by its name, and in full where Redis
// does not know it.
type Script struct{ text, name string }

// NewScript returns a script that works on KEYS[1] alone, so that a Cluster can run it.
func NewScript(text string) *Script {
	name := sha1.Sum([]byte(text)) //nolint:gosec // Redis names its scripts by it
	return &Script{text: text, name: hex.EncodeToString(name[:])}
}

// Pipe hands b over without waiting for anything. If it returns an error, an
// [ErrUnavailable], Done is not called.
func (c *Client) Pipe(b Batch) error {
	if c.opt.Breaker.State() != breaker.Closed {
		c.observe(b.Op, Refused, 0)
		return ErrUnavailable
	}
	select {
	case c.lanes[maphash.String(c.seed, b.Key)%lanes] <- b:
		return nil
	default:
		c.observe(b.Op, Refused, 0)
		return ErrBusy
	}
}

// work carries out the batches of a lane: whatever waits there travels together, and
// what comes meanwhile next time. No time passes to make a fuller load, but a lane that
// had one last time lets run first what can run: among that are the requests that are
// about to ask. Otherwise the first of them would be gone before the next had its turn.
func (c *Client) work(ctx context.Context, lane chan Batch) {
	t := &trip{client: c}
	for {
		select {
		case <-ctx.Done():
			t.load(lane)
			t.end(ErrUnavailable)
			if len(lane) == 0 {
				return
			}
		case b := <-lane:
			t.batches = append(t.batches, b)
			if t.crowded {
				runtime.Gosched()
			}
			t.load(lane)
			t.crowded = len(t.batches) > 1
			t.make(ctx)
		}
	}
}

// trip is what travels to Redis and back at once. A lane uses the same one over and over.
type trip struct {
	client  *Client
	batches []Batch
	sent    []*driver.Cmd // one for each command of each batch, in their order
	crowded bool          // the last load was more than one batch
}

// load takes on what else waits in the lane.
func (t *trip) load(lane chan Batch) {
	for len(t.batches) < maxTrip {
		select {
		case b := <-lane:
			t.batches = append(t.batches, b)
		default:
			return
		}
	}
}

// make goes to Redis and back, and hands out what it brought. It is not cut short by ctx:
// the sockets have time-outs of their own.
func (t *trip) make(ctx context.Context) {
	c := t.client
	if c.opt.Breaker.State() != breaker.Closed {
		t.end(ErrUnavailable)
		return
	}
	permit, err := c.opt.Breaker.Admit()
	if err != nil {
		t.end(ErrUnavailable)
		return
	}
	start := time.Now()
	ctx = context.WithoutCancel(ctx)
	pipe := c.fast.Pipeline()
	for _, b := range t.batches {
		for _, command := range b.Commands {
			t.sent = append(t.sent, command.queue(ctx, pipe, b.Key))
		}
	}
	_, err = pipe.Exec(ctx)
	if err != nil {
		t.sendScripts(ctx)
	}
	took := time.Since(start)
	c.settle(&permit, t.answered(), took)
	if !t.allAnswered() {
		c.lookAgain()
	}
	t.deliver(took)
}

func (m Command) queue(ctx context.Context, pipe driver.Pipeliner, key string) *driver.Cmd {
	args := m.Args
	if m.Script != nil {
		args = append([]any{"evalsha", m.Script.name, 1, key}, args...)
	}
	cmd := driver.NewCmd(ctx, args...)
	_ = pipe.Process(ctx, cmd) // only queues it
	return cmd
}

// sendScripts sends once more, in full, the scripts that Redis did not know.
func (t *trip) sendScripts(ctx context.Context) {
	var pipe driver.Pipeliner
	i := 0
	for _, b := range t.batches {
		for _, command := range b.Commands {
			if command.Script != nil && driver.HasErrorPrefix(t.sent[i].Err(), "NOSCRIPT") {
				if pipe == nil {
					pipe = t.client.fast.Pipeline()
				}
				args := append([]any{"eval", command.Script.text, 1, b.Key}, command.Args...)
				t.sent[i] = driver.NewCmd(ctx, args...)
				_ = pipe.Process(ctx, t.sent[i]) // only queues it
			}
			i++
		}
	}
	if pipe != nil {
		_, _ = pipe.Exec(ctx) // each command has its own error
	}
}

// answered reports whether Redis answered any command at all.
func (t *trip) answered() bool {
	for _, cmd := range t.sent {
		if answered(cmd.Err()) {
			return true
		}
	}
	return len(t.sent) == 0
}

// allAnswered reports whether every server answered that was asked.
func (t *trip) allAnswered() bool {
	return !slices.ContainsFunc(t.sent, func(cmd *driver.Cmd) bool { return !answered(cmd.Err()) })
}

// deliver gives every batch its replies, and empties the trip.
func (t *trip) deliver(took time.Duration) {
	rest, room := t.sent, make([]any, len(t.sent)) // one piece of memory for all
	for _, b := range t.batches {
		n := len(b.Commands)
		replies, err := collect(rest[:n], room[:n:n])
		rest, room = rest[n:], room[n:]
		t.client.observe(b.Op, outcomeOf(err == nil, err, took, t.client.opt.late()), took)
		if err != nil {
			err = failure(err)
		}
		b.Done(replies, err)
	}
	t.clear()
}

// collect fills in the replies to a batch's commands, or returns the first reason why one
// has none.
func collect(commands []*driver.Cmd, replies []any) ([]any, error) {
	for i, cmd := range commands {
		switch reply, err := cmd.Result(); {
		case err == nil:
			replies[i] = reply
		case errors.Is(err, driver.Nil):
		case answered(err):
			replies[i] = ReplyError(err.Error())
		default:
			return nil, err
		}
	}
	return replies, nil
}

// end refuses every batch.
func (t *trip) end(err error) {
	for _, b := range t.batches {
		t.client.observe(b.Op, Refused, 0)
		b.Done(nil, err)
	}
	t.clear()
}

// clear forgets what was carried, so that the trip keeps nobody's data alive.
func (t *trip) clear() {
	clear(t.batches)
	clear(t.sent)
	t.batches, t.sent = t.batches[:0], t.sent[:0]
}

// Op is what Redis was asked for, as metrics tell it.
type Op string

// The operations. Pings are the client's own, Background is whatever waits for
// nothing but its context.
const (
	OpLookup     Op = "lookup"
	OpStore      Op = "store"
	OpCount      Op = "count"
	OpErase      Op = "erase"
	OpPing       Op = "ping"
	OpBackground Op = "background"
)

// Ops lists every operation, for metrics to start at zero.
func Ops() []Op { return []Op{OpLookup, OpStore, OpCount, OpErase, OpPing, OpBackground} }

// Outcome is how an operation ended, as metrics tell it.
type Outcome string

// The outcomes. A late answer still arrived; a refused operation was never sent.
const (
	OK      Outcome = "ok"
	Late    Outcome = "late"
	Timeout Outcome = "timeout"
	Failed  Outcome = "failed"
	Refused Outcome = "refused"
)

// Outcomes lists every outcome, for metrics to start at zero.
func Outcomes() []Outcome { return []Outcome{OK, Late, Timeout, Failed, Refused} }

func outcomeOf(answered bool, err error, took, late time.Duration) Outcome {
	switch {
	case answered && took > late:
		return Late
	case answered:
		return OK
	case timedOut(err):
		return Timeout
	default:
		return Failed
	}
}

func timedOut(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}
