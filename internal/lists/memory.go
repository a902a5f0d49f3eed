package lists

import (
	"container/list"
	"net/http"
	"sync"
	"time"
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
	most int64 // bytes

	mu     sync.Mutex
	bytes  int64
	byKey  map[key]*list.Element // of *kept
	recent *list.List            // front = used last
}

// kept is an entry in its place.
type kept struct {
	under key
	*entry
}

const (
	entryCost    = 320 // bytes an entry takes beside its body: keys, element, map, struct
	biggestShare = 8   // of most is the most one entry may have: one part in
)

func newMemory(most int64) *memory {
	return &memory{most: most, byKey: make(map[key]*list.Element), recent: list.New()}
}

func (k *kept) cost() int64 { return entryCost + int64(cap(k.body)) }

// find returns what is remembered under a key, nil if nothing is.
func (m *memory) find(under key) *entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.byKey[under]
	if !ok {
		return nil
	}
	m.recent.MoveToFront(at)
	return keptIn(at).entry
}

// keep remembers e, unless what is there is newer. What is too big for that takes the
// place of the older one all the same, and leaves it empty.
func (m *memory) keep(under key, e *entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if at, ok := m.byKey[under]; ok {
		if keptIn(at).started.After(e.started) {
			return
		}
		m.dropLocked(at)
	}
	k := &kept{under: under, entry: e}
	if k.cost() > m.most/biggestShare {
		return
	}
	m.bytes += k.cost()
	m.byKey[under] = m.recent.PushFront(k)
	for m.bytes > m.most {
		m.dropLocked(m.recent.Back())
	}
}

// forget drops the entries of which a condition holds, and returns how many there were.
func (m *memory) forget(condition func(*entry) bool) (gone int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for at := m.recent.Front(); at != nil; {
		next := at.Next()
		if condition(keptIn(at).entry) {
			m.dropLocked(at)
			gone++
		}
		at = next
	}
	return gone
}

func (m *memory) dropLocked(at *list.Element) {
	k := keptIn(at)
	m.recent.Remove(at)
	delete(m.byKey, k.under)
	m.bytes -= k.cost()
}

func keptIn(at *list.Element) *kept {
	return at.Value.(*kept) //nolint:errcheck,forcetypeassert // nothing else is in the list
}

func (m *memory) size() (bytes int64, entries int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes, len(m.byKey)
}
