package catalog

import "hash/maphash"

// index finds a number by an id. It holds no pointers, so that the garbage
// collector passes over hundreds of thousands of ids at no cost, and a look-up
// allocates nothing. It only grows; who reads it while it grows needs a lock.
type index struct {
	seed  maphash.Seed
	text  []byte // the ids, one after the other
	slots []slot // open addressing, a power of two, at most three quarters full
	n     int
}

type slot struct {
	at    uint32 // of the id in text
	value uint32
	size  uint16 // of the id; 0 = the slot is empty
}

const fewestSlots = 64

func newIndex() index {
	return index{seed: maphash.MakeSeed(), slots: make([]slot, fewestSlots)}
}

// find returns what was put for id.
func (x *index) find(id string) (value uint32, ok bool) {
	s := &x.slots[x.place(id)]
	return s.value, s.size != 0
}

// put sets the number of an id that is neither empty nor longer than 64 KiB.
func (x *index) put(id string, value uint32) {
	s := &x.slots[x.place(id)]
	if s.size != 0 {
		s.value = value
		return
	}
	*s = slot{at: uint32(len(x.text)), value: value, size: uint16(len(id))} //nolint:gosec // at most 10 million ids of 256 bytes
	x.text = append(x.text, id...)
	if x.n++; x.n > len(x.slots)/4*3 {
		x.grow()
	}
}

// place returns the slot that holds id, or the empty one where it belongs.
func (x *index) place(id string) int {
	mask := len(x.slots) - 1
	i := int(maphash.String(x.seed, id)) & mask //nolint:gosec // the mask cuts it
	for x.slots[i].size != 0 && string(x.key(x.slots[i])) != id {
		i = (i + 1) & mask
	}
	return i
}

func (x *index) key(s slot) []byte { return x.text[s.at : s.at+uint32(s.size)] }

func (x *index) grow() {
	old := x.slots
	x.slots = make([]slot, 2*len(old))
	for _, s := range old {
		if s.size != 0 {
			x.slots[x.place(string(x.key(s)))] = s
		}
	}
}

// bytes is the memory that x holds.
func (x *index) bytes() int { return cap(x.text) + len(x.slots)*12 }
