package cache

import (
	"math"
	"time"
	"unsafe"

	"vitrine/internal/reco"
)

// entry is a ranking, and when it holds. It never changes. There are as many as fit,
// so its event is kept in one string instead of three.
type entry struct {
	ids     string // the event's session, user and item, one behind the other
	ranking reco.Ranking

	started    instant // of the call that brought it
	freshUntil instant
	staleUntil instant
	place      place

	kind                  uint32 // of the event, see run
	sessionSize, itemSize uint16 // bytes of ids: no id is longer than reco.MaxIDLength
	eventType             reco.EventType
}

// event is what the ranking answers.
func (e *entry) event() reco.Event {
	user := e.ids[e.sessionSize:]
	user, item := user[:len(user)-int(e.itemSize)], user[len(user)-int(e.itemSize):]
	return reco.Event{Session: e.session(), User: user, Item: item, Type: e.eventType}
}

func (e *entry) session() string { return e.ids[:e.sessionSize] }

// jitterShare is the part of the fresh time by which an entry's may differ from its
// policy's, either way: one in.
const jitterShare = 10

// newEntry makes an entry, in memory of its own, of the ranking that a call for e has
// brought which began at stamp by the wall clock, in microseconds.
func (c *Cache) newEntry(e reco.Event, ranking reco.Ranking, stamp int64, started instant) *entry {
	policy := c.opt.Policies[e.Type]
	fresh := policy.Fresh + jitter(policy.Fresh, stamp)
	return &entry{
		ids:        e.Session + e.User + e.Item,
		ranking:    ranking,
		started:    started,
		freshUntil: started + instant(fresh),
		staleUntil: started + instant(fresh+policy.Stale),
		kind:       kindOf(e.Type, c.item(e)),
		eventType:  e.Type,

		sessionSize: uint16(len(e.Session)), //nolint:gosec // at most reco.MaxIDLength
		itemSize:    uint16(len(e.Item)),    //nolint:gosec // likewise
	}
}

// jitter returns by how much the fresh time of an entry differs from its policy's. It
// depends on nothing but the stamp, so that every pod that meets an entry gives it the
// same life, and moving it between tiers never lengthens it.
func jitter(fresh time.Duration, stamp int64) time.Duration {
	scattered := uint64(stamp) * 0x9e3779b97f4a7c15 >> 11 //nolint:gosec // a hash, not a number
	unit := float64(scattered) / (1 << 53)                // within [0, 1)
	return time.Duration((2*unit - 1) * float64(fresh/jitterShare))
}

// perEntry is what otter needs to hold one value, in bytes: a node, and its part of a
// hash table that is between half full and full, measured.
const perEntry = 48 + 24

// weight is what holding e costs, in bytes.
func (e *entry) weight() uint32 {
	size := perEntry + allocated(unsafe.Sizeof(*e)) +
		allocated(uintptr(len(e.ids))) +
		allocated(uintptr(len(e.ranking.JSON())))
	return uint32(min(size, math.MaxUint32))
}

// allocated is about what the allocator takes for size bytes: its classes are an
// eighth apart, so half of that is lost on average.
func allocated(size uintptr) uintptr { return size + size/16 }
