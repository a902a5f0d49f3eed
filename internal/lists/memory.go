package lists

import (
	"net/http"
	"sync"
	"time"

	"vitrine/internal/lru"
)

// entry is an answer that is remembered. It is not changed once it is made.
type entry struct {
	kind    Kind
	status  int    // 200 or 404
	body    []byte // of a 200 as checked
	started time.Time
	until   time.Time // the end the list itself has; zero = none
	owner   key       // of whose session it is; zero = everybody's
}

// found reports whether there is such a list.
func (e *entry) found() bool { return e.status == http.StatusOK }

// memory is the tier in this process: answers by key, the one used longest ago going first
// when there are too many bytes.
type memory struct {
	mu      sync.Mutex
	entries *lru.Cache[key, *entry]
}

const entryCost = 320 // bytes an entry takes beside its body: keys, element, map, struct

func newMemory(most int64) *memory {
	return &memory{entries: lru.New[key](most, func(e *entry) int64 { return entryCost + int64(cap(e.body)) })}
}

// find returns what is remembered under a key, nil if nothing is.
func (m *memory) find(under key) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, _ := m.entries.Use(under)
	return e
}

// keep remembers e, unless what is there is newer.
func (m *memory) keep(under key, e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if have, found := m.entries.Get(under); !found || !have.started.After(e.started) {
		m.entries.Put(under, e)
	}
}

// forget drops the entries of which a condition holds, and returns how many there were.
func (m *memory) forget(condition func(*entry) bool) (gone int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for under, e := range m.entries.All() {
		if condition(e) {
			m.entries.Drop(under)
			gone++
		}
	}
	return gone
}

func (m *memory) size() (bytes int64, entries int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries.Size()
}
