package delivery

import (
	"vitrine/internal/journal"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// An event is kept as the body that is posted, the API's own JSON. One that came with a trace
// context has that as a further member, always the last, in the journal, in memory and on loan:
//
//	{"sessionId":"s","eventType":"customShelf","data":{"id":""},"traceparent":"00-…-01"}
//
// It is not posted. A version of this program that does not know the member reads the event all
// the same, which is what a rollback in an outage comes to. In Redis it is a field of its own, see entry.go.
const (
	beforeTrace = `,"traceparent":"`
	afterTrace  = `"}`
	traceMember = len(beforeTrace) + trace.Length + len(afterTrace) // with the event's closing brace
)

// appendStored appends an event as it is kept.
func appendStored(dst []byte, e reco.Event, from trace.Context) []byte {
	return appendTrace(e.AppendJSON(dst), from)
}

// appendTrace adds a context to the event that dst ends with, unless it is the zero one.
func appendTrace(dst []byte, from trace.Context) []byte {
	if from.IsZero() {
		return dst
	}
	dst = append(dst[:len(dst)-1], beforeTrace...)
	return append(from.AppendTo(dst), afterTrace...)
}

// traceOf returns the context an event is kept with; the zero one if it came with none. No body
// without one can look as if: it ends in two braces.
func traceOf(stored []byte) trace.Context {
	at := len(stored) - traceMember
	if at < 0 || string(stored[at:at+len(beforeTrace)]) != beforeTrace || string(stored[len(stored)-len(afterTrace):]) != afterTrace {
		return trace.Context{}
	}
	from, _ := trace.Parse(stored[at+len(beforeTrace) : len(stored)-len(afterTrace)])
	return from
}

// bodyOf returns what is posted of a record, and the traceparent it is posted with, if any. The body
// is the record's own, or lies in its spare capacity, behind it.
func bodyOf(r *journal.Record, e reco.Event) (body []byte, traceparent string) {
	from := traceOf(r.Body)
	if from.IsZero() {
		return r.Body, ""
	}
	stored := len(r.Body)
	r.Body = e.AppendJSON(r.Body)
	body, r.Body = r.Body[stored:], r.Body[:stored]
	return body, from.String()
}
