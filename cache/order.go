package cache

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/maypok86/otter/v2"

	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/trace"
)

// Order is a list that a shopper has been shown the first page of. It is kept so that
// the other pages are cut from the same list, whatever the API or the platform would
// answer by then.
type Order struct {
	Ranking reco.Ranking
	Source  reco.Source
	Reason  reco.Reason
	Age     time.Duration // as in [reco.Answer]
	TTL     time.Duration // likewise; what came from the API in time stays fresh as long as it is kept
	Tier    reco.Tier     // where it was found
}

// order is an Order as it was when it was frozen. It never changes.
type order struct {
	Order

	event  reco.Event // in memory of its own
	stamp  int64      // when it was frozen: microseconds since 1970
	frozen instant
	until  instant
}

// Freeze keeps the order that e was answered in, for as long as a ranking may be stale,
// in place of any that was frozen before. Redis gets it in the background.
func (c *Cache) Freeze(e reco.Event, o Order) {
	life := c.opt.Policies[e.Type].Stale
	if o.Ranking.Empty() || life <= 0 {
		return
	}
	if o.Source == reco.FromAPI || o.Source == reco.FromCache {
		o.Source, o.TTL = reco.FromCache, life
	}
	now := time.Now()
	held := &order{Order: o, event: e.Clone(), stamp: now.UnixMicro(), frozen: c.at(now), until: c.at(now) + instant(life)}
	c.holdOrder(held)
	if c.opt.Remote != nil {
		c.writeEnvelope(e, c.keys.order(e), held.stamp, c.keys.sealOrder(held))
	}
}

// Frozen returns the order that was frozen last for e, in any tier, and whether there is
// one. For Redis it waits until the deadline, and no longer than the budget: another pod
// may have answered the first page since. Asking it is a call below the span under, which
// may be nil.
func (c *Cache) Frozen(e reco.Event, deadline time.Time, under *trace.Span) (Order, bool) {
	latest, tier := c.frozen(e), reco.Memory
	if far := c.frozenFar(e, deadline, under); far != nil && (latest == nil || far.stamp > latest.stamp) {
		latest, tier = far, reco.Redis
	}
	if latest == nil {
		return Order{}, false
	}
	o := latest.Order
	since := time.Duration(max(0, c.at(time.Now())-latest.frozen))
	o.Age, o.TTL, o.Tier = o.Age+since, o.TTL-since, tier
	return o, true
}

// frozen returns what memory holds, nil if that is nothing.
func (c *Cache) frozen(e reco.Event) *order {
	held, ok := c.orders.GetIfPresent(c.question(e))
	if !ok || held.event != e || c.at(time.Now()) >= held.until {
		return nil
	}
	return held
}

// frozenFar returns what Redis holds, nil if that is nothing or comes too late.
func (c *Cache) frozenFar(e reco.Event, deadline time.Time, under *trace.Span) *order {
	wait := min(time.Until(deadline), c.opt.RemoteBudget)
	if c.opt.Remote == nil || wait <= 0 {
		return nil
	}
	call := beginRead(under)
	answer := make(chan reply[*order], 1)
	key := c.keys.session(e.Session).text()
	if c.opt.Remote.Pipe(redis.Batch{
		Op: redis.OpLookup, Key: key,
		Commands: []redis.Command{{Args: []any{"hmget", key, c.keys.order(e).text(), erasedField}}},
		Done: func(replies []any, err error) {
			if err != nil {
				answer <- reply[*order]{outcome: readFailed}
				return
			}
			far := c.receiveOrder(e, replies[0])
			answer <- replied(far, far != nil)
		},
	}) != nil {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case r := <-answer:
		endRead(call, r.outcome)
		return r.found
	case <-timer.C:
		c.count.late.Add(1)
		endRead(call, readLate)
		return nil
	}
}

// receiveOrder takes in what Redis has told of an order, and puts it into memory for the
// life it has left.
func (c *Cache) receiveOrder(e reco.Event, reply any) *order {
	fields, ok := reply.([]any)
	if !ok || len(fields) != 2 {
		c.count.rubbish.Add(1)
		return nil
	}
	if erased, ok := fields[1].(string); ok {
		c.receiveStamp(e.Session, erased)
	}
	raw, ok := fields[0].(string)
	if !ok {
		return nil
	}
	held, ok := c.keys.openOrder(e, raw)
	now := time.Now()
	if !ok || time.UnixMicro(held.stamp).Sub(now) > mostAhead {
		c.count.rubbish.Add(1)
		return nil
	}
	held.frozen = c.at(now) - instant(max(0, now.Sub(time.UnixMicro(held.stamp))))
	held.until = held.frozen + instant(c.opt.Policies[e.Type].Stale)
	if c.at(now) >= held.until || c.erasedSince(e.Session, held.frozen) {
		return nil
	}
	c.holdOrder(held)
	return held
}

// holdOrder puts an order into memory, unless it is too big or a later one is there.
func (c *Cache) holdOrder(fresh *order) {
	question := c.question(fresh.event)
	c.orders.Compute(question, func(have *order, found bool) (*order, otter.ComputeOp) {
		switch {
		case found && have.event == fresh.event && have.stamp > fresh.stamp:
			return have, otter.CancelOp
		case int64(fresh.weight()) > c.opt.Memory/orderShare/2:
			return nil, otter.InvalidateOp // what it would have replaced is out of date
		default:
			return fresh, otter.WriteOp
		}
	})
	// As in hold: an erase leaves its stamp before it looks for orders.
	if c.erasedSince(fresh.event.Session, fresh.frozen) {
		c.orders.Invalidate(question)
	}
}

// weight is what holding o costs, in bytes.
func (o *order) weight() uint32 {
	e := o.event
	size := perEntry + allocated(unsafe.Sizeof(*o)) +
		allocated(uintptr(len(e.Session)+len(e.User)+len(e.Item))) +
		allocated(uintptr(len(o.Ranking.JSON())))
	return uint32(min(size, math.MaxUint32))
}

// sealOrder returns o as Redis is to hold it. Before the ranking's JSON stand source,
// age and time to live in microseconds, and reason, each ended by a space.
func (k *keyring) sealOrder(o *order) []byte {
	body := fmt.Appendf(nil, "%d %d %d %s ", o.Source, o.Age.Microseconds(), o.TTL.Microseconds(), o.Reason)
	return k.wrap(ofFrozen, o.event, o.stamp, 0, append(body, o.Ranking.JSON()...))
}

// openOrder is the inverse of sealOrder.
func (k *keyring) openOrder(e reco.Event, raw string) (*order, bool) {
	stamp, _, body, ok := k.unwrap(ofFrozen, e, raw)
	if !ok {
		return nil, false
	}
	const heads = 4
	fields := strings.SplitN(body, " ", heads+1)
	if len(fields) != heads+1 {
		return nil, false
	}
	var numbers [heads - 1]int64
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return nil, false
		}
	}
	ranking, err := reco.RankingFromJSON(fields[heads])
	if err != nil || ranking.Empty() {
		return nil, false
	}
	return &order{event: e.Clone(), stamp: stamp, Order: Order{
		Ranking: ranking, Source: reco.Source(numbers[0]), Reason: reco.Reason(fields[3]), //nolint:gosec // as it was sealed
		Age: time.Duration(numbers[1]) * time.Microsecond, TTL: time.Duration(numbers[2]) * time.Microsecond,
	}}, true
}
