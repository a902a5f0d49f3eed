package cache

import "vitrine/internal/redis"

// untold is a session whose events Redis has to be told of.
type untold struct {
	session *session
	id      string
}

// tell has Redis told of a session's events soon. It costs the event's own request
// nothing: [Cache.Run] does the telling. If more sessions wait for that than there is room
// for, the session's next event tries again.
func (c *Cache) tell(s *session, id string) {
	select {
	case c.untold <- untold{s, id}:
	default:
		s.stopTelling()
	}
}

// raise tells Redis of a session's events, once more as long as there are new ones by
// the time it has answered: a session has one such batch under way at most.
func (c *Cache) raise(u untold) {
	s := u.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == 0 { // a look-up has told
		s.telling = false
		return
	}
	name := s.nameLocked(c.keys, u.id)
	key := name.text()
	var m commands
	t := c.tellLocked(s, key, &m)
	m.add("hget", key, erasedField)
	err := c.opt.Remote.Pipe(redis.Batch{
		Op: redis.OpCount, Key: key, Commands: m.list,
		Done: func(replies []any, err error) { c.raised(u, t, replies, err) },
	})
	if err != nil {
		s.untellLocked(t)
		s.telling = false
	}
}

func (c *Cache) raised(u untold, t told, replies []any, err error) {
	if err != nil {
		u.session.untell(t)
		u.session.stopTelling()
		return
	}
	if erased, ok := replies[len(replies)-1].(string); ok {
		c.receiveStamp(u.id, erased)
	}
	total, ok := parseCount(replies[0])
	if !ok { // it cannot be written, or is rubbish; at once is too soon to try again
		u.session.acknowledge(t, replies[0])
		u.session.stopTelling()
		return
	}
	u.session.learn(total, t)
	c.raise(u)
}

// tellLocked adds the commands that raise the session's count in Redis by what it has not
// been told of. The key is a string: whoever has it as an any spares the next from making it one.
func (c *Cache) tellLocked(s *session, key any, m *commands) told {
	t := told{events: s.pending}
	s.told += s.pending
	s.pending = 0
	t.upTo = s.told
	if t.events > 0 {
		m.add("hincrby", key, countField, t.events)
		m.add("pexpire", key, c.life)
	}
	return t
}
