package cache

import (
	"time"

	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// reading is a look-up in Redis, and where somebody waits for it. It is used again, since
// the next needs the same, unless Redis was late: then it is Redis's to end, and nobody's
// afterwards.
type reading struct {
	cache   *Cache
	event   reco.Event
	session *session
	told    told

	commands commands
	done     func(replies []any, err error) // end, made into a func once
	answer   chan reply[Found]
	timer    *time.Timer // of the wait
}

// beginReading returns a reading of e with its timer running.
func (c *Cache) beginReading(e reco.Event, wait time.Duration) *reading {
	r, used := c.readings.Get().(*reading)
	if used {
		r.timer.Reset(wait)
	} else {
		r = &reading{cache: c, answer: make(chan reply[Found], 1), timer: time.NewTimer(wait)}
		r.done = r.end
	}
	r.event, r.session = e, c.session(e.Session)
	return r
}

// recycle gives the reading back. Redis must have ended it, or never have got it.
func (r *reading) recycle() {
	r.timer.Stop()
	r.event, r.session = reco.Event{}, nil
	r.commands.clear()
	r.cache.readings.Put(r)
}

// send asks Redis. The session's events that Redis has not been told of go first, in the
// same batch, so that the count that comes back includes them.
func (r *reading) send() bool {
	c, s := r.cache, r.session
	s.mu.Lock()
	defer s.mu.Unlock()
	name := s.nameLocked(c.keys, r.event.Session)
	key := name.text()
	boxed := any(key)
	r.told = c.tellLocked(s, boxed, &r.commands)
	r.commands.add("hmget", boxed, c.keys.question(r.event).text(), countField, erasedField)
	err := c.opt.Remote.Pipe(redis.Batch{Op: redis.OpLookup, Key: key, Commands: r.commands.list, Done: r.done})
	if err != nil {
		s.untellLocked(r.told)
	}
	return err == nil
}

// end takes in what Redis answers.
func (r *reading) end(replies []any, err error) {
	c, s := r.cache, r.session
	if err != nil {
		s.untell(r.told)
		r.answer <- reply[Found]{outcome: readFailed}
		return
	}
	far := c.receive(r.event, s, s.acknowledge(r.told, replies[0]), replies[len(replies)-1])
	c.count.foundFar(far)
	r.answer <- replied(far, far.Status != None) // from here on the reading may be another's
}

// reply is what Redis had, and what to call that.
type reply[T any] struct {
	found   T
	outcome string
}

// replied is the reply that holds what was found, if anything was.
func replied[T any](found T, something bool) reply[T] {
	if something {
		return reply[T]{found, readHit}
	}
	return reply[T]{found, readMiss}
}

// commands are those of one batch, their arguments one behind the other: two pieces of
// memory, which a reading keeps.
type commands struct {
	list []redis.Command
	args []any
}

// Those that tell of events, and one that asks.
const (
	mostCommands  = 3
	mostArguments = 12
)

// add appends a command.
func (m *commands) add(args ...any) {
	if m.list == nil {
		m.list, m.args = make([]redis.Command, 0, mostCommands), make([]any, 0, mostArguments)
	}
	before := len(m.args)
	m.args = append(m.args, args...)
	m.list = append(m.list, redis.Command{Args: m.args[before:len(m.args):len(m.args)]})
}

// clear forgets the commands but keeps their memory.
func (m *commands) clear() {
	clear(m.args)
	m.list, m.args = m.list[:0], m.args[:0]
}
