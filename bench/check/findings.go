// Package check holds every answer of a sidecar against what it must be, and at the
// end every event against the stand-in API's ledger.
//
// It can tell whose list an answer is, because the stand-in's rankings are a pure
// function of the question: an answer to one shopper that holds another's list is
// found without knowing what the sidecar did.
package check

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
)

// Kind names a way to be wrong.
type Kind string

// The kinds of violation.
const (
	BadStatus   Kind = "status"   // not 200, or not JSON by its headers
	BadBody     Kind = "body"     // not {"products":["…"]}
	Duplicate   Kind = "dup"      // one id twice
	Unknown     Kind = "unknown"  // an id the shop does not sell
	TooLong     Kind = "limit"    // longer than asked
	Viewed      Kind = "viewed"   // holds the viewed product
	Leak        Kind = "leak"     // another shopper's list
	Foreign     Kind = "foreign"  // not the list of this question, nor one whose owner we know
	WrongNative Kind = "native"   // not the storefront's own ordering
	BadHeader   Kind = "header"   // headers that contradict each other or the body
	BadAge      Kind = "age"      // older than it may be
	BadEvent    Kind = "event"    // no event id, or one given twice
	Lost        Kind = "lost"     // an accepted event the API never saw
	Invented    Kind = "invented" // an event the API saw and nobody asked
	Phantom     Kind = "phantom"  // more calls than accepted events and retries
	Unbalanced  Kind = "balance"  // the sidecar's own counts do not add up
	Immortal    Kind = "immortal" // a key in Redis that has no life
)

// Finding is one kind of violation, how often, and the first of them.
type Finding struct {
	Kind    Kind   `json:"kind"`
	Count   int64  `json:"count"`
	Example string `json:"example"`
}

// findings may be used concurrently.
type findings struct {
	mu   sync.Mutex
	kind map[Kind]*Finding
}

func (f *findings) add(k Kind, n int64, format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kind == nil {
		f.kind = make(map[Kind]*Finding)
	}
	found := f.kind[k]
	if found == nil {
		found = &Finding{Kind: k, Example: fmt.Sprintf(format, args...)}
		f.kind[k] = found
	}
	found.Count += n
}

func (f *findings) list() []Finding {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []Finding
	for _, found := range f.kind {
		out = append(out, *found)
	}
	slices.SortFunc(out, func(a, b Finding) int { return cmp.Compare(a.Kind, b.Kind) })
	return out
}
