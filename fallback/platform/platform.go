// Package platform asks a shop's platform for its own ordering: of a category, of
// the products similar to one, of the default shelf.
//
// What platforms differ in is data, a [Preset]; one engine asks them all. It is
// strict about what comes back, because an answer becomes what every shopper sees:
// a list with errors beside it, a path that finds nothing, or an element that is no
// id is a failure, and only a list that is there and empty is an empty list.
package platform

import (
	"errors"
	"strconv"
	"time"
)

// List is a kind of ordering.
type List uint8

// The orderings a platform may have. The zero List is none of them.
const (
	Category List = iota + 1 // a category's products, in the merchant's order
	Similar                  // the products similar to one
	Shelf                    // the default shelf: best sellers, mostly
)

// Lists lists every kind, in the order of their constants.
func Lists() []List { return []List{Category, Similar, Shelf} }

// String names the list as its configuration does.
func (l List) String() string {
	switch l {
	case Category:
		return "category"
	case Similar:
		return "similar"
	case Shelf:
		return "shelf"
	default:
		return "invalid"
	}
}

// Query asks for one list.
type Query struct {
	List List
	ID   string // the category or product; "" for Shelf

	// Seen are the validators of the answer the caller holds already: if the
	// platform says that it has not changed, the result is NotModified.
	Seen Validators
}

// Validators tell two versions of an answer apart, as RFC 9110 has them. Both may
// be empty: few platforms send any.
type Validators struct {
	ETag         string
	LastModified string
}

// Result is a list as the platform ordered it.
type Result struct {
	IDs         []string // best first, without duplicates; nil if NotModified
	Validators  Validators
	NotModified bool // what the caller holds is still the answer
}

// Kind is what went wrong with a fetch.
type Kind uint8

// The kinds of failure.
const (
	BadAnswer   Kind = iota + 1 // an answer that is not a list of products
	NotFound                    // the platform knows no such category or product
	Throttled                   // the platform asked for a pause
	Refused                     // the platform does not accept our credentials
	Status                      // any other status that is not a success
	Unreachable                 // no connection
	Timeout                     // no whole answer in time
	Exhausted                   // today's quota is used up; nothing was sent

	// LastKind is the last of the kinds.
	LastKind = Exhausted
)

// String names the kind as metrics do.
func (k Kind) String() string {
	switch k {
	case BadAnswer:
		return "bad-answer"
	case NotFound:
		return "not-found"
	case Throttled:
		return "throttled"
	case Refused:
		return "refused"
	case Status:
		return "status"
	case Unreachable:
		return "unreachable"
	case Timeout:
		return "timeout"
	case Exhausted:
		return "exhausted"
	default:
		return "invalid"
	}
}

// Error is the error of every failed fetch. Its text holds neither the address nor
// a header, since both may carry secrets.
type Error struct {
	Kind   Kind
	Status int           // the platform's; 0 if there was no answer
	Pause  time.Duration // how long the platform asked not to be called, if Throttled or Exhausted
	Err    error         // the cause; may be nil
}

// Error says what went wrong.
func (e *Error) Error() string {
	text := "platform: " + e.Kind.String()
	if e.Status != 0 {
		text += " (http " + strconv.Itoa(e.Status) + ")"
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of a failed fetch, and 0 for any other error.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return 0
}

// Quota is what the platform lets us ask for at this moment.
type Quota struct {
	Wait time.Duration // until the next request may start; 0 = at once
	Left int           // requests left today; -1 = not limited
}
