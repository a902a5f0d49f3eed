package breaker

import (
	"fmt"
	"time"
)

// State is what a breaker does with calls. Its numbers are those of the metric
// vitrine_breaker_state.
type State uint8

const (
	// Closed lets every call through.
	Closed State = iota
	// HalfOpen lets one call at a time through, as a probe.
	HalfOpen
	// Open refuses every call.
	Open
)

// String returns "closed", "half-open" or "open".
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case HalfOpen:
		return "half-open"
	case Open:
		return "open"
	default:
		return fmt.Sprintf("State(%d)", uint8(s))
	}
}

// MarshalText encodes s as its String.
func (s State) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Refusal is why a call was refused.
type Refusal string

// The reasons for refusing a call.
const (
	// RefusedOpen: too much failed of late, or an operator said so.
	RefusedOpen Refusal = "open"
	// RefusedRateLimited: the other side asked for a pause; see Breaker.Hold.
	RefusedRateLimited Refusal = "rate-limited"
	// RefusedBusy: half-open, and the one probe is under way.
	RefusedBusy Refusal = "half-open-busy"
)

// Refused is the error of a call that was not admitted.
type Refused struct { //nolint:errname // reads as a word: errors.As(err, &refused)
	// Reason is why.
	Reason Refusal
	// Until is the earliest time at which to ask again; zero if only an operator can change
	// it.
	Until time.Time
}

// Error returns the reason and until when it holds.
func (r *Refused) Error() string {
	if r.Until.IsZero() {
		return "refused: " + string(r.Reason)
	}
	return "refused: " + string(r.Reason) + " until " + r.Until.Format(time.RFC3339Nano)
}

// Change is one change of a breaker: of its measured state, or of its override.
type Change struct {
	// Name is the breaker's.
	Name string `json:"name"`
	// From and To are the measured states before and after; for a change of the override,
	// the effective ones, which may be equal.
	From State `json:"from"`
	To   State `json:"to"`
	// Reason says in words why: "5 connection failures in a row".
	Reason string `json:"reason"`
	// At is when it happened.
	At time.Time `json:"at"`
	// Until is when the new state may end by itself; zero if it has no such time.
	Until time.Time `json:"until,omitzero"`
}

// Snapshot is everything a status page shows of a breaker at one instant.
type Snapshot struct {
	// Name is the breaker's.
	Name string `json:"name"`
	// State is the effective state, with override and hold; Measured the one without.
	State    State `json:"state"`
	Measured State `json:"measured"`
	// Reason is why the last change happened, in words; empty if there was none.
	Reason string `json:"reason,omitempty"`
	// OpenUntil is when the measured opening admits its first probe; zero unless open.
	OpenUntil time.Time `json:"openUntil,omitzero"`
	// HoldUntil is the end of the pause the other side asked for; zero if there is none.
	HoldUntil time.Time `json:"holdUntil,omitzero"`
	// Override is "open", "closed" or, without one, "auto"; OverrideUntil is its end, zero
	// if it has none.
	Override      string    `json:"override"`
	OverrideUntil time.Time `json:"overrideUntil,omitzero"`
	// Calls, Failed and Slow are those in the window.
	Calls  int `json:"calls"`
	Failed int `json:"failed"`
	Slow   int `json:"slow"`
	// Transitions counts how often the measured state has left closed and come back to it.
	// The steps between open and half-open on the way are not counted: nothing changes for
	// callers in them.
	Transitions uint64 `json:"transitions"`
	// Changes are the last 20, oldest first.
	Changes []Change `json:"changes,omitempty"`
}
