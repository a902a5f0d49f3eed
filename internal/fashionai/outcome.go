package fashionai

import (
	"strconv"
	"time"

	"vitrine/internal/reco"
)

// Class is how a call ended, as far as what to do next depends on it.
type Class uint8

const (
	// Unreachable: the API cannot have got the request; no address, no connection, no trust
	// in its certificate, or it could not be sent whole.
	Unreachable Class = iota
	// OK: 2xx with a list that is not empty. For Fetch and Post: any 2xx.
	OK
	// Empty: 2xx with an empty list.
	Empty
	// BadAnswer: 2xx with anything else, or cut short, or too long.
	BadAnswer
	// NotFound: 404 or 409, which settle an event.
	NotFound
	// Rejected: 400, 413 or 422; the same request will never do.
	Rejected
	// Unauthorized: 401 or 403.
	Unauthorized
	// RateLimited: 429.
	RateLimited
	// ServerError: 5xx, and every status that is not expected here, redirects too.
	ServerError
	// Timeout: sent, but the deadline came before the whole answer. Whether the API acted
	// on it is unknown.
	Timeout
	// Broken: sent, but the connection was lost, or spoke no HTTP, before the answer's
	// header was read. Whether the API acted on it is unknown.
	Broken
)

// String returns the class's name, for logs.
func (c Class) String() string {
	switch c {
	case Unreachable:
		return "unreachable"
	case OK:
		return "ok"
	case Empty:
		return "empty"
	case BadAnswer:
		return "bad-answer"
	case NotFound:
		return "not-found"
	case Rejected:
		return "rejected"
	case Unauthorized:
		return "unauthorized"
	case RateLimited:
		return "rate-limited"
	case ServerError:
		return "server-error"
	case Timeout:
		return "timeout"
	case Broken:
		return "broken"
	default:
		return "Class(" + strconv.Itoa(int(c)) + ")"
	}
}

// Result is what is known of any call that is over.
type Result struct {
	// Class is how it ended.
	Class Class
	// Status is the answer's, 0 if there was none.
	Status int
	// RetryAfter is how long the API asked to be left alone, clamped: always set with
	// RateLimited, with other classes only if the answer has the header.
	RetryAfter time.Duration
	// Sent tells whether the request has been handed to the kernel whole, on any
	// connection, so that the API may have acted on it. It can be true of Unreachable:
	// after a stale retry for which no new connection was to be had.
	Sent bool
	// Renewed tells that the API refused the request for its token, and that it was sent
	// again with the one that had taken its place.
	Renewed bool
	// StaleRetries is how often the request was sent again because the server had closed
	// the idle connection it was sent on first: 0 or 1.
	StaleRetries int
	// Took is how long the call took.
	Took time.Duration
	// Err says more about the classes Unreachable, BadAnswer, Timeout and Broken, for a
	// log. It holds neither the token, nor the request, nor the body of the answer.
	Err error
}

// Outcome is the end of a Recommend.
type Outcome struct {
	Result
	// Ranking is the list, if the class is OK.
	Ranking reco.Ranking
}

// Reply is the end of a Fetch or a Post.
type Reply struct {
	Result
	// Body is the answer's, whatever the status; the caller's to keep.
	Body []byte
}

// Code returns the metric's label: the status, "timeout" or "unreachable".
func (r *Result) Code() string {
	switch {
	case r.Class == Timeout:
		return "timeout"
	case r.Status == 0:
		return "unreachable"
	case r.Status == 200:
		return "200" // without the allocation
	default:
		return strconv.Itoa(r.Status)
	}
}

// Reason returns why there is no ranking, as the Vitrine-Reason header has it; empty for
// OK.
func (r *Result) Reason() reco.Reason {
	switch r.Class {
	case OK:
		return reco.NoReason
	case Empty:
		return reco.Empty
	case BadAnswer:
		return reco.BadAnswer
	case RateLimited:
		return reco.RateLimited
	case Timeout:
		return reco.Timeout
	case Unreachable, Broken:
		return reco.Unreachable
	default:
		return reco.HTTPStatus(r.Status)
	}
}

// classOf returns the class of a status other than 2xx.
func classOf(status int) Class {
	switch status {
	case 404, 409:
		return NotFound
	case 400, 413, 422:
		return Rejected
	case 401, 403:
		return Unauthorized
	case 429:
		return RateLimited
	default:
		return ServerError
	}
}
