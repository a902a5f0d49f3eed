package profile

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"vitrine/internal/redis"
)

// What is remembered under a name is one hash in Redis, which lives as long as it can be
// of use:
//
//	v   the envelope of a profile, a pointer or a 404
//	e   when the name was erased, in microseconds since 1970
//	i…  one empty field for each identifier that points to this profile, by its name
const (
	keyPrefix   = "v1:p:"
	leasePrefix = "v1:pl:"
	valueField  = "v"
	eraseField  = "e"
	listPrefix  = "i"

	// mostIdentifiers bounds those listed with a profile. One more is not remembered: what
	// is not listed could not be erased.
	mostIdentifiers = 64

	// mostAhead is how far another pod's clock may be ahead of ours. A stamp beyond it
	// is rubbish: believing it would make an entry, or an erase, immortal.
	mostAhead = 5 * time.Second

	// patience is how long what nobody waits for may take in Redis.
	patience = time.Second
)

//nolint:gochecknoglobals // constants, but for their type
var (
	// storeScript puts an envelope under a name unless there is one of a later call, or the
	// name was erased after the call had started. Stamps in the future, and whatever else is
	// not ours, give way.
	//
	//	ARGV: envelope, its stamp, the latest stamp to believe, life in ms, field of the identifier that points here or '', most fields
	//	returns: 0, or the stamp of the erase that refused it, or -1 if no more identifiers may be listed
	storeScript = redis.NewScript(`
local key, stamp, latest = KEYS[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local function believed(text)
	local n = tonumber(text or '')
	return n and n > 0 and n <= latest and n or 0
end
local erased = redis.pcall('HGET', key, 'e')
if type(erased) == 'table' then
	redis.call('DEL', key)
	erased = false
end
if believed(erased) >= stamp then return believed(erased) end
if ARGV[5] ~= '' and redis.call('HEXISTS', key, ARGV[5]) == 0 then
	if redis.call('HLEN', key) >= tonumber(ARGV[6]) then return -1 end
	redis.call('HSET', key, ARGV[5], '')
end
local held = redis.call('HGET', key, 'v')
if not held or believed(string.sub(held, 3, 18)) <= stamp then redis.call('HSET', key, 'v', ARGV[1]) end
if redis.call('PTTL', key) < tonumber(ARGV[4]) then redis.call('PEXPIRE', key, ARGV[4]) end
return 0`)

	// eraseScript leaves under a name nothing but when it was erased.
	//
	//	ARGV: stamp, life in ms
	//	returns: the fields there were
	eraseScript = redis.NewScript(`
local fields = redis.pcall('HKEYS', KEYS[1])
if fields.err then fields = {} end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return fields`)
)

func (n name) redisKey() string { return keyPrefix + n.text() }

// find returns what is remembered for an identifier. Where memory has something fresh,
// Redis is only asked whether it was erased, in case this process was not told; else for
// something better. What comes too late for this request still fills memory for the next.
func (p *Profiles) find(asked name, deadline time.Time) found {
	near := p.memory.find(asked)
	if p.opt.Remote == nil {
		return near
	}
	if end := time.Now().Add(p.opt.RemoteBudget); end.Before(deadline) {
		deadline = end
	}
	if p.judge(near) == fresh {
		p.inquire(deadline, eraseField, near.profile)
		if near = p.memory.find(asked); p.judge(near) == fresh {
			return near
		}
	}
	return p.look(asked, deadline)
}

// look takes in what Redis holds for an identifier, as far as it comes before the
// deadline, and returns what there is then.
func (p *Profiles) look(asked name, deadline time.Time) found {
	before := p.memory.find(asked)
	if p.opt.Keys == nil {
		p.inquire(deadline, eraseField, before.profile)
		return p.memory.find(asked)
	}
	if before.profile == asked {
		p.inquire(deadline, valueField, asked)
	} else {
		p.inquire(deadline, valueField, asked, before.profile)
	}
	after := p.memory.find(asked)
	if after.profile != before.profile { // Redis knew whose it is, and we did not
		p.inquire(deadline, valueField, after.profile)
		after = p.memory.find(asked)
	}
	return after
}

// inquire asks for what is under some names, up to eraseField or up to valueField, and
// waits until it is taken in, but not beyond the deadline.
func (p *Profiles) inquire(deadline time.Time, upTo string, under ...name) {
	taken := make(chan struct{}, len(under))
	for _, n := range under {
		key := n.redisKey()
		args := []any{"hmget", key, eraseField}
		if upTo == valueField {
			args = append(args, valueField)
		}
		err := p.opt.Remote.Pipe(redis.Batch{
			Op: redis.OpLookup, Key: key, Commands: []redis.Command{{Args: args}},
			Done: func(replies []any, err error) {
				if err == nil {
					p.receive(n, replies[0])
				}
				taken <- struct{}{}
			},
		})
		if err != nil {
			taken <- struct{}{}
		}
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for range under {
		select {
		case <-taken:
		case <-timer.C:
			return
		}
	}
}

// receive takes in what Redis has told of a name: when it was erased and, if that was
// asked for, what it holds.
func (p *Profiles) receive(under name, reply any) {
	fields, ok := reply.([]any)
	if !ok || len(fields) == 0 {
		p.count.rubbish.Add(1)
		return
	}
	if erased, ok := fields[0].(string); ok {
		p.learn(under, erased)
	}
	if len(fields) < 2 {
		return
	}
	raw, ok := fields[1].(string)
	if !ok {
		return
	}
	e, ok := p.opt.Keys.open(under, []byte(raw))
	now := time.Now()
	age := now.Sub(time.UnixMicro(e.stamp))
	if !ok || age < -mostAhead {
		p.count.rubbish.Add(1)
		return
	}
	e.started = now.Add(-max(0, age))
	if p.useful(&e) {
		p.memory.keep(under, &e)
	}
}

// keep remembers what a call has brought for an identifier, in this process.
func (p *Profiles) keep(asked name, e *entry) bool {
	if e.profile == asked {
		return p.memory.keep(asked, e)
	}
	return p.memory.keep(e.profile, e) && p.memory.keep(asked, pointer(e))
}

// pointer is what is remembered for an identifier of e's profile.
func pointer(e *entry) *entry {
	return &entry{content: pointing, stamp: e.stamp, started: e.started, profile: e.profile}
}

// share remembers the same in Redis. The profile goes first: it lists the identifier that
// then may point to it.
func (p *Profiles) share(ctx context.Context, asked name, e *entry) {
	if p.opt.Remote == nil || p.opt.Keys == nil {
		return
	}
	life, listed := p.opt.life(), ""
	if e.content == missing {
		life = p.opt.NotFound
	}
	if life < time.Millisecond { // Redis counts no less
		return
	}
	if e.profile != asked {
		listed = listPrefix + asked.text()
	}
	if p.store(ctx, e.profile, e, listed, life) && listed != "" {
		p.store(ctx, asked, pointer(e), "", life)
	}
}

func (p *Profiles) store(ctx context.Context, under name, e *entry, listed string, life time.Duration) bool {
	latest := time.Now().Add(mostAhead).UnixMicro()
	reply, err := p.do(ctx, redis.OpStore, under, redis.Command{Script: storeScript, Args: []any{
		p.opt.Keys.seal(under, e), e.stamp, latest, life.Milliseconds(), listed, mostIdentifiers + 2,
	}})
	code, ok := reply.(int64)
	switch {
	case err != nil, !ok, code < 0:
		p.count.unwritten.Add(1)
		return false
	case code > 0:
		p.learn(under, strconv.FormatInt(code, 10))
		return false
	default:
		return true
	}
}

// do has one command carried out and waits for the reply.
func (p *Profiles) do(ctx context.Context, op redis.Op, under name, c redis.Command) (reply any, err error) {
	type outcome struct {
		reply any
		err   error
	}
	done := make(chan outcome, 1)
	err = p.opt.Remote.Pipe(redis.Batch{
		Op: op, Key: under.redisKey(), Commands: []redis.Command{c},
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
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	select {
	case o := <-done:
		reply, err = o.reply, o.err
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return reply, nil
}
