package fakeapi

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Outcome says how a call that was read ended.
type Outcome string

// The outcomes. Only the first is not an end.
const (
	Pending  Outcome = "pending"  // not answered yet
	Answered Outcome = "answered" // the whole answer was handed to the connection
	Cut      Outcome = "cut"      // part of an answer was: the fault or the client ended it
	Hung     Outcome = "hung"     // never answered; the client gave up, or the server was stopped
	Reset    Outcome = "reset"    // the connection was reset before any byte of an answer
	Gone     Outcome = "gone"     // the client went away, or the server was stopped, before the answer was due
)

// An Entry is one event that arrived: a recommendation call whose body was read
// whole, valid or not.
type Entry struct {
	Seq         uint64    `json:"seq"`     // 1, 2, … in the order in which the bodies were complete
	At          time.Time `json:"at"`      // when the body was complete
	Session     string    `json:"session"` // these four are empty where the event was not valid
	User        string    `json:"user,omitempty"`
	Type        string    `json:"type"`
	ID          string    `json:"id"`
	Traceparent string    `json:"traceparent,omitempty"` // the header, as it came
	Conn        uint64    `json:"conn"`                  // number of the connection, 1, 2, …; 0 if unknown
	Call        uint64    `json:"call"`                  // number of the call on that connection; more than 1 is a reused one
	Phase       string    `json:"phase,omitempty"`       // the script's phase at the time
	Fault       string    `json:"fault,omitempty"`       // the fault that hit it

	Outcome  Outcome   `json:"outcome"`
	Status   int       `json:"status,omitempty"`   // 0 when none was given
	Products int       `json:"products,omitempty"` // length of the list answered with, 0 for an empty or a broken one
	Settled  time.Time `json:"settled,omitzero"`   // when Outcome became final
}

// Stats are counts since the start or the last reset. They are exact, also when
// the ledger has forgotten entries.
type Stats struct {
	Events    uint64             `json:"events"`     // recommendation calls read whole
	Forgotten uint64             `json:"forgotten"`  // of these, the oldest, no longer in the ledger
	Unread    uint64             `json:"unread"`     // recommendation calls that ended before their body was read
	ByType    map[string]uint64  `json:"by_type"`    // Events by event type; "invalid" for those of none
	ByStatus  map[int]uint64     `json:"by_status"`  // Events by status given; 0 is none, or none yet
	ByOutcome map[Outcome]uint64 `json:"by_outcome"` // Events by outcome

	Calls       map[Endpoint]uint64 `json:"calls"`         // requests by endpoint, the ones no endpoint knew under "unknown"
	InFlight    int                 `json:"in_flight"`     // recommendation calls under way
	MaxInFlight int                 `json:"max_in_flight"` // the most of them that were under way together

	Connections     uint64 `json:"connections"` // accepted so far
	OpenConnections int    `json:"open_connections"`

	Phase string `json:"phase,omitempty"` // the script's phase now
}

// ledger holds the entries in a ring and the counts.
type ledger struct {
	limit int

	mu      sync.Mutex
	ring    []Entry // entry seq is at (seq-1) % limit
	stats   Stats
	resets  uint64 // lets a call that began before a reset count nothing after it
	present int    // recommendation calls in flight; a reset does not end them
}

func newLedger(limit int) *ledger {
	l := &ledger{limit: limit}
	l.reset()
	return l
}

// ticket is what a call needs to settle its entry.
type ticket struct{ seq, reset uint64 }

func (l *ledger) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ring = nil
	l.resets++
	l.stats = Stats{
		ByType:      make(map[string]uint64),
		ByStatus:    make(map[int]uint64),
		ByOutcome:   make(map[Outcome]uint64),
		Calls:       make(map[Endpoint]uint64),
		MaxInFlight: l.present,
	}
}

// begin counts a call as under way.
func (l *ledger) begin(e Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Calls[e]++
	if e == Recommendation {
		l.present++
		l.stats.MaxInFlight = max(l.stats.MaxInFlight, l.present)
	}
}

// end counts a call as over.
func (l *ledger) end(e Endpoint) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e == Recommendation {
		l.present--
	}
}

// unread counts an event whose body was not read.
func (l *ledger) unread() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Unread++
}

// record enters an event, numbering it and giving it the present time.
func (l *ledger) record(e Entry) ticket {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stats.Events++
	e.Seq, e.At, e.Outcome = l.stats.Events, time.Now(), Pending
	kind := e.Type
	switch kind {
	case ProductView, CategoryView, ShopTheLook, CustomShelf:
	default:
		kind = "invalid" // whatever a client sends must not grow the map
	}
	l.stats.ByType[kind]++
	l.stats.ByStatus[0]++
	l.stats.ByOutcome[Pending]++
	if len(l.ring) < l.limit {
		l.ring = append(l.ring, e)
	} else {
		l.ring[l.place(e.Seq)] = e
		l.stats.Forgotten++
	}
	return ticket{e.Seq, l.resets}
}

// settle enters how a recorded event ended.
func (l *ledger) settle(t ticket, end ending) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.reset != l.resets {
		return
	}
	drop(l.stats.ByOutcome, Pending)
	drop(l.stats.ByStatus, 0)
	l.stats.ByOutcome[end.outcome]++
	l.stats.ByStatus[end.status]++
	if e := &l.ring[l.place(t.seq)]; e.Seq == t.seq {
		e.Outcome, e.Status, e.Products, e.Settled = end.outcome, end.status, end.products, time.Now()
	}
}

// drop takes one off a count, and the count away when it is zero: a reader should
// not find "pending": 0 in one report and nothing in another.
func drop[K comparable](counts map[K]uint64, key K) {
	if counts[key]--; counts[key] == 0 {
		delete(counts, key)
	}
}

// since returns the entries after seq that are still known, oldest first.
func (l *ledger) since(seq uint64) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	seq = max(seq, l.stats.Forgotten)
	if seq >= l.stats.Events {
		return nil
	}
	entries := make([]Entry, 0, l.stats.Events-seq)
	for seq++; seq <= l.stats.Events; seq++ {
		entries = append(entries, l.ring[l.place(seq)])
	}
	return slices.Clip(entries)
}

func (l *ledger) snapshot() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.InFlight = l.present
	s.ByType, s.ByStatus = maps.Clone(s.ByType), maps.Clone(s.ByStatus)
	s.ByOutcome, s.Calls = maps.Clone(s.ByOutcome), maps.Clone(s.Calls)
	return s
}

func (l *ledger) place(seq uint64) int { return int((seq - 1) % uint64(l.limit)) }
