// Package reco holds the nouns of the project: the event a shopper makes, which
// is also the question an answer is sought for, the ranking that answers it, and
// where an answer came from. It parses and encodes them, and knows nothing of
// HTTP, caches or delivery.
package reco

import "strconv"

// EventType is what the shopper did, in the API's own words.
type EventType uint8

// The four events of the API. The zero EventType is none of them.
const (
	ProductView EventType = iota + 1
	CategoryView
	ShopTheLook
	CustomShelf
)

// EventTypes lists every event type, in the order of their constants.
var EventTypes = [...]EventType{ProductView, CategoryView, ShopTheLook, CustomShelf} //nolint:gochecknoglobals // a constant list

// ParseEventType is the inverse of [EventType.String].
func ParseEventType(name string) (EventType, bool) {
	switch name {
	case "productView":
		return ProductView, true
	case "categoryView":
		return CategoryView, true
	case "shopTheLook":
		return ShopTheLook, true
	case "customShelf":
		return CustomShelf, true
	default:
		return 0, false
	}
}

// String gives the API's name of t, and "invalid" for a value that is none.
func (t EventType) String() string {
	switch t {
	case ProductView:
		return "productView"
	case CategoryView:
		return "categoryView"
	case ShopTheLook:
		return "shopTheLook"
	case CustomShelf:
		return "customShelf"
	default:
		return "invalid"
	}
}

// ViewsProduct reports whether an event of this type is about one product,
// which must then not be among the products recommended beside it.
func (t EventType) ViewsProduct() bool { return t == ProductView || t == ShopTheLook }

// Event is something a shopper did. Because the API answers the very call that
// reports it, an event is also a question, and a comparable one: two equal
// events may share an answer, two that differ in any field never may.
type Event struct {
	Session string    // never empty; at most [MaxIDLength] bytes
	User    string    // "" while the shopper is not logged in
	Item    string    // product or category; "" only for CustomShelf
	Type    EventType //
}

// MaxIDLength bounds a session id and an item id, in bytes.
const MaxIDLength = 256

// AppendJSON appends the body the API expects for e: a fixed order of members,
// no white space, and no userId where there is none.
func (e Event) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	if e.User != "" {
		dst = append(dst, `"userId":`...)
		dst = appendString(dst, e.User)
		dst = append(dst, ',')
	}
	dst = append(dst, `"sessionId":`...)
	dst = appendString(dst, e.Session)
	dst = append(dst, `,"eventType":"`...)
	dst = append(dst, e.Type.String()...)
	dst = append(dst, `","data":{"id":`...)
	dst = appendString(dst, e.Item)
	return append(dst, `}}`...)
}

// Clone returns e in memory of its own, for those who keep an event longer than
// the request body its strings point into.
func (e Event) Clone() Event {
	own := e.Session + e.User + e.Item
	s, u := len(e.Session), len(e.Session)+len(e.User)
	return Event{Session: own[:s], User: own[s:u], Item: own[u:], Type: e.Type}
}

// Source says where the products of an answer came from.
type Source uint8

// The sources of the contract, best last.
const (
	FromNone   Source = iota // an empty list
	FromNative               // the platform's ordering
	FromStale                // an earlier ranking of the API, past its freshness
	FromCache                // an earlier ranking of the API, fresh
	FromAPI                  // the API's answer to this very question
)

// Sources lists every source, in the order of their constants.
var Sources = [...]Source{FromNone, FromNative, FromStale, FromCache, FromAPI} //nolint:gochecknoglobals // a constant list

// String gives the contract's name of s.
func (s Source) String() string {
	switch s {
	case FromNative:
		return "native"
	case FromStale:
		return "stale"
	case FromCache:
		return "cache"
	case FromAPI:
		return "api"
	case FromNone:
		return "none"
	default:
		return "invalid"
	}
}

// Reason says why an answer is not a better one. The empty reason means that
// nothing better was to be had.
type Reason string

// The reasons of the contract; an API status outside these reads [HTTPStatus].
const (
	NoReason    Reason = ""
	Empty       Reason = "empty"        // the API knows too little of the shopper
	Timeout     Reason = "timeout"      // the budget ended first
	Open        Reason = "open"         // the breaker is open
	Overload    Reason = "overload"     // no call is free in time
	RateLimited Reason = "rate-limited" // the API asked for a pause
	Unreachable Reason = "unreachable"  // no connection to the API
	BadAnswer   Reason = "bad-answer"   // the API answered something else than a list
	OutOfStock  Reason = "out-of-stock" // nothing that was found is in stock
	Holdout     Reason = "holdout"      // the session is held out of the experiment
	Bot         Reason = "bot"          // the caller said that no person is asking
	ToppedUp    Reason = "topped-up"    // a short ranking was completed from a lower source
)

// HTTPStatus is the reason for an answer of the API with this status.
func HTTPStatus(status int) Reason { return Reason("http-" + strconv.Itoa(status)) }
