package catalog

import (
	"math"
	"sync/atomic"
	"time"
)

// snapshot is one reading of the feed. Rows and groups never change once it is
// published; how many units there are does, through the atomic states, which only
// the holder of the catalogue's lock writes.
type snapshot struct {
	rows    []row
	groups  []group
	members []uint32 // of the groups: rows, one group after the other
	names   []string // categories, sizes and currencies; 0 is ""
	row     index
	group   index
	ofRow   []atomic.Uint64 // a state each
	ofGroup []atomic.Uint64
	pushed  map[uint32]int64 // rows whose stock was pushed, and when; under the catalogue's lock
	time    time.Time        // the feed's own; zero if it does not say
}

// row is one line of the feed, without pointers.
type row struct {
	price, sale  int64 // in minor units of the currency; noPrice if the feed does not say
	from, until  int64 // of the sale, Unix seconds, both inclusive
	quantity     int32 // unknown if the feed does not say
	group        uint32
	category     uint16 // of snapshot.names, like size and currency
	size         uint16
	currency     uint16
	availability availability
	gapped       bool // the line itself says that sizes are missing
}

// group is what the rows of one item_group_id are together.
type group struct {
	id       string
	first, n uint32 // of snapshot.members
}

const (
	noPrice  = -1
	unknown  = -1
	noGroup  = math.MaxUint32
	maxNames = math.MaxUint16
)

// state is how many units there are, packed into a word so that it is read and
// written at once.
type state uint64

const (
	stateSoldOut state = 1 << 32 // nothing can be ordered
	stateGapped  state = 1 << 33 // a size is sold out
)

func newState(quantity int32, soldOut, gapped bool) state {
	s := state(uint32(quantity + 1)) //nolint:gosec // at least 0
	if soldOut {
		s |= stateSoldOut
	}
	if gapped {
		s |= stateGapped
	}
	return s
}

func (s state) quantity() int { return int(uint32(s)) - 1 } //nolint:gosec // its lower half
func (s state) soldOut() bool { return s&stateSoldOut != 0 }
func (s state) gapped() bool  { return s&stateGapped != 0 }

// state is what the feed says of r.
func (r *row) state() state {
	soldOut := r.availability == outOfStock ||
		r.quantity == 0 && r.availability != orderable
	if soldOut {
		return newState(0, true, r.gapped)
	}
	return newState(r.quantity, false, r.gapped)
}

// findGroup finds a group that has rows. One may have lost its only row to another
// of the same id, further down the feed.
func (s *snapshot) findGroup(id string) (uint32, bool) {
	g, ok := s.group.find(id)
	return g, ok && s.groups[g].n > 0
}

func (s *snapshot) membersOf(g uint32) []uint32 {
	group := &s.groups[g]
	return s.members[group.first : group.first+group.n]
}

// sum works out the state of a group from its rows: there is stock if a row has
// some, the quantity is their sum if every row in stock has one, and a size is
// missing if no row of it is in stock.
func (s *snapshot) sum(g uint32) {
	quantity, soldOut, gapped := int64(0), true, false
	sizes := make(map[uint16]bool)
	for _, m := range s.membersOf(g) {
		r, now := &s.rows[m], state(s.ofRow[m].Load())
		if r.size != 0 {
			sizes[r.size] = sizes[r.size] || !now.soldOut()
		}
		gapped = gapped || now.gapped()
		if now.soldOut() {
			continue
		}
		soldOut = false
		if now.quantity() == unknown || quantity == unknown {
			quantity = unknown
		} else {
			quantity += int64(now.quantity())
		}
	}
	for _, inStock := range sizes {
		gapped = gapped || !inStock
	}
	s.ofGroup[g].Store(uint64(newState(int32(min(quantity, maxQuantity)), soldOut, gapped)))
}

// push overlays the feed's stock with what was pushed for the ids, or takes the
// overlay away where nothing is pushed any longer.
func (s *snapshot) push(ids []string, p *pushes) {
	dirty := make(map[uint32]struct{})
	for _, id := range ids {
		if g, ok := s.findGroup(id); ok {
			dirty[g] = struct{}{}
			continue
		}
		r, ok := s.row.find(id)
		if !ok {
			continue
		}
		if now, ok := p.find(id); ok {
			s.ofRow[r].Store(uint64(newState(now.quantity, now.quantity == 0, s.rows[r].gapped)))
			s.pushed[r] = now.at
		} else {
			s.ofRow[r].Store(uint64(s.rows[r].state()))
			delete(s.pushed, r)
		}
		if g := s.rows[r].group; g != noGroup {
			dirty[g] = struct{}{}
		}
	}
	for g := range dirty {
		s.sum(g)
		s.override(g, p)
	}
}

// override lets what was pushed for a group as a whole count for more than its
// rows, unless one of them was pushed later.
func (s *snapshot) override(g uint32, p *pushes) {
	now, ok := p.find(s.groups[g].id)
	if !ok {
		return
	}
	for _, m := range s.membersOf(g) {
		if at, pushed := s.pushed[m]; pushed && at > now.at {
			return
		}
	}
	gapped := state(s.ofGroup[g].Load()).gapped()
	s.ofGroup[g].Store(uint64(newState(now.quantity, now.quantity == 0, gapped)))
}

// stock returns the state of a product: of a group if id is one, else of a row.
func (s *snapshot) stock(id string) (state, bool) {
	if g, ok := s.findGroup(id); ok {
		return state(s.ofGroup[g].Load()), true
	}
	if r, ok := s.row.find(id); ok {
		return state(s.ofRow[r].Load()), true
	}
	return 0, false
}

// differ reports whether two readings of the feed have the product id and say
// different things of its stock. Of a group it compares the sums.
func differ(a, b *snapshot, id string) bool {
	before, knownBefore := a.fromFeed(id)
	after, knownAfter := b.fromFeed(id)
	return knownBefore && knownAfter && before != after
}

// fromFeed is stock without what was pushed, as far as a comparison needs it.
func (s *snapshot) fromFeed(id string) (sum state, known bool) {
	if g, ok := s.findGroup(id); ok {
		for _, m := range s.membersOf(g) {
			sum += s.rows[m].state()
		}
		return sum, true
	}
	if r, ok := s.row.find(id); ok {
		return s.rows[r].state(), true
	}
	return 0, false
}

// bytes is the memory that s holds.
func (s *snapshot) bytes() int {
	const rowBytes, groupBytes, memberBytes, stateBytes, nameBytes = 56, 24, 4, 8, 16
	n := len(s.rows)*(rowBytes+stateBytes) + len(s.groups)*(groupBytes+stateBytes) +
		len(s.members)*memberBytes + s.row.bytes() + s.group.bytes()
	for i := range s.groups {
		n += len(s.groups[i].id)
	}
	for _, name := range s.names {
		n += nameBytes + len(name)
	}
	return n
}
