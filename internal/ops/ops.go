// Package ops is how the sidecar is seen and steered: the metrics, the probe
// listener on the pod's address, and the admin listener on loopback.
//
// It owns no state of the other parts. What they count themselves is read when
// somebody looks, through the functions given to it; only what has no other home,
// requests and calls with their times, is counted here.
package ops

import (
	"time"

	"vitrine/breaker"
)

// Sources are the functions through which the state of the other parts is read at
// every scrape and for the status. They must be quick, and safe for concurrent use.
// Nil ones read as zero.
type Sources struct {
	// Ledger returns what became of the events, all of one instant.
	Ledger func() Ledger

	// Cache returns the memory tier's size in bytes and the number of its entries.
	Cache func() (bytes, entries int64)

	// Journal returns the state of the event journal.
	Journal func() Journal

	// Breakers are those of all upstreams.
	Breakers []Breaker

	// Figures are whatever else is to be seen.
	Figures []Figure
}

// Breaker is what ops shows and sets of a breaker; a *breaker.Breaker is one.
type Breaker interface {
	// Snapshot returns what there is to show.
	Snapshot() breaker.Snapshot
	// Override makes the state Open or Closed for a time.
	Override(to breaker.State, duration time.Duration) error
	// Auto ends an override.
	Auto()
}

// Ledger is what became of the events this process was responsible for. At every instant
//
//	Accepted = Delivered + Expired + Dropped + Parked + Deduplicated + Pending
type Ledger struct {
	Accepted     uint64  `json:"accepted"`
	Delivered    uint64  `json:"delivered"`
	Expired      uint64  `json:"expired"`
	Dropped      Dropped `json:"dropped"`
	Parked       uint64  `json:"parked"`
	Deduplicated uint64  `json:"deduplicated"`
	Pending      uint64  `json:"pending"`
	Retried      Retried `json:"retried"`

	// OldestPending is the age of the oldest pending event, 0 if there is none.
	OldestPending time.Duration `json:"-"`
}

// Dropped counts events given up, by reason.
type Dropped struct {
	Full       uint64 `json:"full"`       // no room, and the oldest
	DeadLetter uint64 `json:"deadLetter"` // the API rejects it
	Disk       uint64 `json:"disk"`       // its body could not be read back
}

// Total is the number of events dropped for whatever reason.
func (d Dropped) Total() uint64 { return d.Full + d.DeadLetter + d.Disk }

// Retried counts further tries, by cause.
type Retried struct {
	Unsent          uint64 `json:"unsent"`          // it had not left
	Ambiguous       uint64 `json:"ambiguous"`       // whether the API has it is not known
	HTTP            uint64 `json:"http"`            // the API did not take it
	StaleConnection uint64 `json:"staleConnection"` // an idle connection had been closed by the other side
}

// Journal is the state of the event journal.
type Journal struct {
	Bytes    int64 `json:"bytes"`
	Segments int   `json:"segments"`
	// Damaged is the number of segment files set aside.
	Damaged int `json:"damaged"`
	// Away says that new events are kept in memory because the disk is full or refuses.
	Away bool `json:"away"`
	// Errors counts failed writes and syncs.
	Errors uint64 `json:"errors"`
}

// Figure is one more number, read when somebody looks.
type Figure struct {
	// Name is the metric's: it begins with vitrine_, and ends in _total if it is a Counter.
	Name string
	// Help is one sentence, with the unit.
	Help string
	// Counter says that it only ever grows.
	Counter bool
	// Value returns the number.
	Value func() float64
}
