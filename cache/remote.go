package cache

import (
	"context"
	"encoding/base64"
	"strconv"
	"time"

	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/trace"
)

// Remote is the tier that pods share. [*redis.Client] is one.
type Remote interface {
	// Pipe must not wait, must call Done from another goroutine, and must carry out the
	// batches of one key in the order of its calls.
	Pipe(b redis.Batch) error
	Publish(ctx context.Context, channel, message string) error
	Subscribe(ctx context.Context, channel string, receive func(message string)) error
}

// A session is one hash in Redis: a field for each question, named by its hash, one for
// the number of events it has had, and one for when it was erased. The hash lives as long
// as the youngest of what it holds could be of use.
const (
	keyPrefix   = "v1:"
	countField  = "n"
	erasedField = "e"

	// mostFields bounds a session's hash. When it is exceeded the oldest rankings go
	// until keptFields are left, so that looking at all of them is rare.
	mostFields = 256
	keptFields = 192

	// mostAhead is how far another pod's clock may be ahead of ours. A stamp beyond it
	// is rubbish: believing it would make an entry immortal.
	mostAhead = 5 * time.Second

	// mostEvents is more events than any session has; a count beyond it is rubbish.
	mostEvents = 1 << 30
)

// storeScript puts an envelope into a session's hash unless there is one of a later
// call, or the session was erased after the call had started. Stamps in the
// future, and whatever else is not ours, give way.
//
//	ARGV: field, envelope, its stamp, the latest stamp to believe, life in ms, most fields, kept fields, most events
//	returns: the stamp of the erase that refused it, or 0
//
//nolint:gochecknoglobals // a constant, but for its type
var storeScript = redis.NewScript(`
local key, field, stamp, latest = KEYS[1], ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
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
local held = redis.call('HGET', key, field)
if held and believed(string.sub(held, 2, 17)) >= stamp then return 0 end
local count = redis.call('HGET', key, 'n')
if count and not (tonumber(count) and tonumber(count) >= 0 and tonumber(count) < tonumber(ARGV[8])) then
	redis.call('HDEL', key, 'n')
end
redis.call('HSET', key, field, ARGV[2])
redis.call('PEXPIRE', key, ARGV[5])
if redis.call('HLEN', key) > tonumber(ARGV[6]) then
	local all, fields = redis.call('HGETALL', key), {}
	for i = 1, #all, 2 do
		if all[i] ~= 'n' and all[i] ~= 'e' then
			fields[#fields + 1] = {all[i], believed(string.sub(all[i + 1], 2, 17))}
		end
	end
	table.sort(fields, function(a, b) return a[2] < b[2] end)
	for i = 1, #fields - tonumber(ARGV[7]) do redis.call('HDEL', key, fields[i][1]) end
end
return 0`)

// eraseScript leaves of a session nothing but when it was erased.
//
//	ARGV: stamp, life in ms
//	returns: 1 if there was anything else of it, or 0
//
//nolint:gochecknoglobals // a constant, but for its type
var eraseScript = redis.NewScript(`
redis.pcall('HDEL', KEYS[1], 'e')
local found = redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'e', ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return found`)

func (k sessionKey) text() string { return textOf(keyPrefix, k) }

func (k questionKey) text() string { return textOf("", k) }

// textOf is a hash as Redis is to read it, behind a prefix.
func textOf(prefix string, hash [16]byte) string {
	var room [32]byte
	return string(base64.RawURLEncoding.AppendEncode(append(room[:0], prefix...), hash[:]))
}

// Lookup returns what memory holds for e if that is fresh, else the better of it and what
// Redis holds. For Redis it waits until the deadline, and no longer than the budget. What
// comes too late for this shopper still fills memory for the next view. Asking Redis is a
// call below the span under, which may be nil.
func (c *Cache) Lookup(e reco.Event, deadline time.Time, under *trace.Span) Found {
	near := c.peek(e, time.Now())
	wait := min(time.Until(deadline), c.opt.RemoteBudget)
	if near.Status == Fresh || c.opt.Remote == nil || wait <= 0 {
		return near
	}
	call := beginRead(under)
	r := c.beginReading(e, wait)
	if !r.send() {
		r.recycle()
		return near // and nothing is said of a call that was not made
	}
	select {
	case far := <-r.answer:
		r.recycle()
		endRead(call, far.outcome)
		return better(near, far.found)
	case <-r.timer.C:
		c.count.late.Add(1)
		endRead(call, readLate)
		return near
	}
}

// better is the one to serve of what memory, which has nothing fresh, and Redis hold.
func better(near, far Found) Found {
	switch {
	case far.Status == None:
		return near
	case near.Status == None, far.Status == Fresh, far.Age < near.Age:
		return far
	default:
		return near
	}
}

// receive takes in what Redis has told of a session and of e, and says what that is worth.
func (c *Cache) receive(e reco.Event, s *session, t told, reply any) Found {
	fields, ok := reply.([]any)
	if !ok || len(fields) != 3 {
		c.count.rubbish.Add(1)
		return Found{}
	}
	if erased, ok := fields[2].(string); ok {
		c.receiveStamp(e.Session, erased)
	}
	total, ok := parseCount(fields[1])
	if !ok {
		c.count.rubbish.Add(1)
		return Found{}
	}
	s.learn(total, t)
	raw, ok := fields[0].(string)
	if !ok {
		return Found{}
	}
	v, ok := c.keys.open(e, raw)
	if !ok {
		c.count.rubbish.Add(1)
		return Found{}
	}
	return c.promote(e, s, v, total)
}

// parseCount reads a counter's reply; one that is not there has counted nothing.
func parseCount(reply any) (int32, bool) {
	switch n := reply.(type) {
	case nil:
		return 0, true
	case int64:
		return int32(n), n >= 0 && n < mostEvents //nolint:gosec // checked beside
	case string:
		parsed, err := strconv.ParseUint(n, 10, 31)
		return int32(parsed), err == nil && parsed < mostEvents
	default:
		return 0, false
	}
}

// promote puts what Redis held into memory, for the life it has left.
func (c *Cache) promote(e reco.Event, s *session, v envelope, total int32) Found {
	now := time.Now()
	age := now.Sub(time.UnixMicro(v.stamp))
	if age < -mostAhead {
		c.count.rubbish.Add(1)
		return Found{}
	}
	held := c.newEntry(e, v.ranking, v.stamp, c.at(now)-instant(max(0, age)))
	held.place = s.placeOf(v.count, total)
	if c.erasedSince(e.Session, held.started) {
		return Found{}
	}
	f := c.judge(held, s, c.at(now))
	if f.Status != None {
		f.Tier = reco.Redis
		c.hold(held)
	}
	return f
}

// write sends an entry to Redis and reports whether it is on its way.
func (c *Cache) write(held *entry, stamp int64, count uint32) bool {
	e := held.event()
	sealed := c.keys.seal(e, envelope{stamp: stamp, count: count, ranking: held.ranking})
	return c.writeEnvelope(e, c.keys.question(e), stamp, sealed)
}

// writeEnvelope sends an envelope to its field of e's session.
func (c *Cache) writeEnvelope(e reco.Event, field questionKey, stamp int64, sealed []byte) bool {
	latest := time.Now().Add(mostAhead).UnixMicro()
	return nil == c.opt.Remote.Pipe(redis.Batch{
		Op: redis.OpStore, Key: c.keys.session(e.Session).text(),
		Commands: []redis.Command{{
			Script: storeScript,
			Args: []any{
				field.text(), sealed, stamp, latest,
				c.life, mostFields, keptFields, mostEvents,
			},
		}},
		Done: func(replies []any, err error) {
			if err != nil {
				return
			}
			switch reply := replies[0].(type) {
			case int64:
				if reply > 0 {
					c.receiveStamp(e.Session, strconv.FormatInt(reply, 10))
				}
			default:
				c.count.unwritten.Add(1)
			}
		},
	})
}
