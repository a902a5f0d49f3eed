package profile

import (
	"sync"
	"time"

	"vitrine/internal/lru"
)

// memory is the tier in this process: entries by name, the one used longest ago going
// first when there are too many bytes, and the stamps of what was erased.
//
// Entries and stamps are under one lock, so that no entry can come in between the moment
// an erase is learned of and the moment what it means is gone.
type memory struct {
	grave time.Duration // how long a stamp is needed: until all that it refuses is too old anyway

	mu      sync.Mutex
	entries *lru.Cache[name, *entry]
	erased  map[name]stamp
}

// stamp is when a name was erased.
type stamp struct {
	wall  int64     // in microseconds since 1970, as pods and Redis tell it
	until time.Time // calls started up to then are refused; of this process's own time
}

const (
	entryCost  = 256     // bytes an entry takes beside its body: name, element, map, struct
	mostErased = 1 << 16 // stamps remembered; beyond it the oldest go, and Redis still has them
)

func newMemory(most int64, grave time.Duration) *memory {
	return &memory{
		grave:   grave,
		entries: lru.New[name](most, func(e *entry) int64 { return entryCost + int64(cap(e.body)) }),
		erased:  make(map[name]stamp),
	}
}

// found is what is remembered for an identifier.
type found struct {
	*entry // nil if there is nothing

	// profile is whose it is, as far as that is known: else what was asked for.
	profile name
	// stamp and since are the start of the call that found this to be so: of the older
	// one, if one has told of the profile and another that the identifier stands for it. A
	// phone number may be somebody else's by now, however new the profile is.
	stamp int64
	since time.Time
}

// find returns what is remembered under a name, following a pointer.
func (m *memory) find(asked name) found {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, remembered := m.entries.Use(asked)
	if !remembered {
		return found{profile: asked}
	}
	f := found{entry: e, profile: e.profile, stamp: e.stamp, since: e.started}
	if e.content != pointing {
		return f
	}
	if f.entry, remembered = m.entries.Use(e.profile); remembered && f.started.Before(f.since) {
		f.stamp, f.since = f.entry.stamp, f.started
	}
	return f
}

// keep remembers e under a name, unless it holds something newer, or one of the names was
// erased after e's call had started. It reports whether an erase allows it.
func (m *memory) keep(under name, e *entry) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusedLocked(under, e) || m.refusedLocked(e.profile, e) {
		return false
	}
	if have, found := m.entries.Get(under); !found || have.stamp <= e.stamp {
		m.entries.Put(under, e)
	}
	return true
}

func (m *memory) refusedLocked(under name, e *entry) bool {
	s, ok := m.erased[under]
	return ok && !e.started.After(s.until)
}

// forget drops what is remembered of a profile, whatever points to it, and refuses what is
// still to come of calls started up to then. It returns the names under which there was
// something. A stamp known already does nothing.
func (m *memory) forget(of name, s stamp) (gone []name) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if known, ok := m.erased[of]; ok && known.wall >= s.wall {
		return nil
	}
	if len(m.erased) >= mostErased {
		m.dropOldestStampLocked()
	}
	m.erased[of] = s
	for under, e := range m.entries.All() {
		if (under == of || e.profile == of) && !e.started.After(s.until) {
			gone = append(gone, under)
			m.entries.Drop(under)
		}
	}
	return gone
}

// dropOldestStampLocked looks at all stamps: that many erases within a week are rare.
func (m *memory) dropOldestStampLocked() {
	var oldest name
	first := true
	for n, s := range m.erased {
		if first || s.wall < m.erased[oldest].wall {
			oldest, first = n, false
		}
	}
	delete(m.erased, oldest)
}

// sweep drops what is too old to be of any use, so that no body outlives its time because
// nobody asks.
func (m *memory) sweep(useful func(*entry) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for under, e := range m.entries.All() {
		if !useful(e) {
			m.entries.Drop(under)
		}
	}
	for n, s := range m.erased {
		if time.Since(s.until) > m.grave {
			delete(m.erased, n)
		}
	}
}

func (m *memory) size() (bytes int64, entries int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries.Size()
}
