package reco

import (
	"hash/maphash"
	"math/bits"
	"sync"
	"unicode/utf8"
	"unsafe"
)

// List is a list of product ids in the making: in order, each once. The zero List is
// empty. It is not safe for concurrent use.
type List struct {
	ids     []string
	escaped bool // an id is there that JSON does not hold as it is

	// The table tells which ids are there: each slot holds 1 + the place of one. Its size
	// is a power of two, at least twice the ids in it. Its seed is its own, so that nobody
	// can make ids that collide.
	seed   maphash.Seed
	table  []uint32
	hashed int // so many of ids are in it
}

const leastTable = 512 // slots

// Add appends an id and reports whether it did: not if it is empty or there already, nor
// if it is not UTF-8, which no JSON document can hold.
func (l *List) Add(id string) bool {
	if id == "" {
		return false
	}
	escaped := plain(id) < len(id)
	if escaped && !utf8.ValidString(id) {
		return false
	}
	l.hash()
	if !l.enter(id, len(l.ids)) {
		return false
	}
	l.hashed++
	l.ids, l.escaped = append(l.ids, id), l.escaped || escaped
	return true
}

// Append appends an id of a Ranking, which must not be there yet.
func (l *List) Append(id string) {
	l.ids, l.escaped = append(l.ids, id), l.escaped || plain(id) < len(id)
}

// hash sees to it that all ids are in the table, and that there is room for one more.
func (l *List) hash() {
	if size := 2 * (len(l.ids) + 1); size > len(l.table) {
		if l.table == nil {
			l.seed = maphash.MakeSeed()
		}
		l.table = make([]uint32, max(leastTable, 1<<bits.Len(uint(size))))
		l.hashed = 0
	}
	for ; l.hashed < len(l.ids); l.hashed++ {
		l.enter(l.ids[l.hashed], l.hashed)
	}
}

// enter puts an id's place into the table, unless the id is there.
func (l *List) enter(id string, place int) bool {
	last := uint64(len(l.table) - 1) //nolint:gosec // the table has slots
	for slot := maphash.String(l.seed, id); ; slot++ {
		switch taken := &l.table[slot&last]; {
		case *taken == 0:
			*taken = uint32(place + 1) //nolint:gosec // no body is that long
			return true
		case l.ids[*taken-1] == id:
			return false
		}
	}
}

// IDs are the ids, best first, until the list changes.
func (l *List) IDs() []string { return l.ids }

// Len is how many there are.
func (l *List) Len() int { return len(l.ids) }

// Cut takes out all but the first n.
func (l *List) Cut(n int) {
	if l.hashed > n {
		clear(l.table)
		l.hashed = 0
	}
	clear(l.ids[n:])
	l.ids = l.ids[:n]
}

// Reset empties the list, and keeps its memory for the next one.
func (l *List) Reset() {
	if l.hashed > 0 {
		clear(l.table)
	}
	clear(l.ids[:cap(l.ids)])
	l.ids, l.escaped, l.hashed = l.ids[:0], false, 0
}

// Ranking returns the list as it is now.
func (l *List) Ranking() Ranking {
	if len(l.ids) == 0 {
		return Ranking{}
	}
	size := len(emptyRanking)
	for _, id := range l.ids {
		size += len(id) + len(`"",`)
	}
	dst := append(make([]byte, 0, size), rankingHead...)
	for _, id := range l.ids {
		if l.escaped {
			dst = appendString(dst, id)
		} else {
			dst = append(append(append(dst, '"'), id...), '"')
		}
		dst = append(dst, ',')
	}
	dst = append(dst[:len(dst)-1], rankingTail...)
	if len(dst) < cap(dst)-cap(dst)/16 { // escapes made it grow, and it may be kept for long
		return Ranking{json: string(dst)}
	}
	return Ranking{json: unsafe.String(&dst[0], len(dst))} //nolint:gosec // nobody writes to dst any more
}

// NewRanking ranks ids in their order, without the empty and the repeated ones,
// and without those that are not UTF-8, which no JSON document can hold.
func NewRanking(ids []string) Ranking {
	l := newList()
	defer l.release()
	for _, id := range ids {
		l.Add(id)
	}
	return l.Ranking()
}

func newList() *List {
	return lists.Get().(*List) //nolint:errcheck,forcetypeassert // the pool holds nothing else
}

// mostKept is how many ids a list may have had and be worth keeping: some 200 KiB of memory.
const mostKept = 8192

func (l *List) release() {
	if cap(l.ids) <= mostKept {
		l.Reset()
		lists.Put(l)
	}
}

// lists are used again, so that a ranking costs its own memory only.
var lists = sync.Pool{New: func() any { return new(List) }} //nolint:gochecknoglobals // a pool holds no state
