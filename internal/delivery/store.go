package delivery

import (
	"vitrine/internal/journal"
)

// Journal keeps the bodies of accepted events on disk. Its methods are those of
// [journal.Journal].
type Journal interface {
	Append(journal.Record) (journal.Position, error)
	Read(at journal.Position, dst []byte) (journal.Record, error)
	Settle(at journal.Position) error
}

// memory keeps the bodies the journal does not take, oldest first out when they
// are too many. It has no lock of its own.
//
// Its positions are those of a segment 0, which a journal does not have.
type memory struct {
	limit int64 // bytes
	bytes int64
	slots map[uint32]slot
	first uint32 // the oldest slot still held is this one or a later one
	next  uint32
}

type slot struct {
	record journal.Record
	key    uint64 // of the session
	seq    uint64 // of the event, once it is scheduled
}

// slotOverhead is what a record costs beside its body: the map's entry and the body's header.
const slotOverhead = 160

func newMemory(limit int64) *memory {
	return &memory{limit: limit, slots: make(map[uint32]slot), first: 1, next: 1}
}

func inMemory(at journal.Position) bool { return at.Segment == 0 }

// put keeps a copy of r.
func (m *memory) put(r journal.Record, key uint64) journal.Position {
	r.Body = append([]byte(nil), r.Body...)
	at := journal.Position{Offset: m.next}
	m.slots[m.next] = slot{record: r, key: key}
	m.bytes += int64(len(r.Body)) + slotOverhead
	m.next++
	return at
}

// scheduled says which event a record belongs to.
func (m *memory) scheduled(at journal.Position, seq uint64) {
	s := m.slots[at.Offset]
	s.seq = seq
	m.slots[at.Offset] = s
}

func (m *memory) get(at journal.Position) (journal.Record, bool) {
	s, ok := m.slots[at.Offset]
	return s.record, ok
}

func (m *memory) settle(at journal.Position) {
	if s, ok := m.slots[at.Offset]; ok {
		m.bytes -= int64(len(s.record.Body)) + slotOverhead
		delete(m.slots, at.Offset)
	}
}

// overflow returns the oldest record after the one last returned, while there is
// too much, so that its event can be dropped. An event under way is passed over: it
// has its body, and will settle by itself.
func (m *memory) overflow(from uint32) (slot, uint32, bool) {
	if m.bytes <= m.limit {
		return slot{}, 0, false
	}
	for _, held := m.slots[m.first]; !held && m.first < m.next; _, held = m.slots[m.first] {
		m.first++
	}
	for i := max(from, m.first); i < m.next; i++ {
		if s, ok := m.slots[i]; ok {
			return s, i + 1, true
		}
	}
	return slot{}, 0, false
}
