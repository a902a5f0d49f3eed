package delivery

import (
	"bytes"
	"testing"
	"time"

	"vitrine/internal/journal"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// Whatever the event and its trace are, they come back from the journal and from Redis as they
// were, and the body is what is posted without a trace. No event looks as if it had one: not
// those that were kept by a version that knew of none.
func FuzzStored(f *testing.F) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	f.Add("s", "u", "p", uint8(reco.ProductView), parent)
	f.Add("s", "", "", uint8(reco.CustomShelf), "")
	f.Add("s", `,"traceparent":"`+parent+`"}`, `,"traceparent":"`+parent, uint8(reco.ProductView), parent)
	f.Fuzz(func(t *testing.T, session, user, item string, kind uint8, header string) {
		e := reco.Event{Session: session, User: user, Item: item, Type: reco.EventType(kind)}
		plain := e.AppendJSON(nil)
		if same, err := reco.ParseEvent(plain); err != nil || same != e {
			t.Skip("no event")
		}
		if got := traceOf(plain); !got.IsZero() {
			t.Errorf("got trace %v of an event without one, %s", got, plain)
		}
		from, _ := trace.Parse(header)
		r := journal.Record{ID: [16]byte{1}, Time: 1, Body: appendStored(nil, e, from)}
		if got := traceOf(r.Body); got != from {
			t.Errorf("got trace %v, want %v", got, from)
		}
		if got, err := reco.ParseEvent(r.Body); err != nil || got != e {
			t.Errorf("got event %+v, %v, want %+v", got, err, e)
		}
		stored := bytes.Clone(r.Body)
		body, traceparent := bodyOf(&r, e)
		if !bytes.Equal(body, plain) || traceparent != from.String() {
			t.Errorf("got posted %s with %q, want %s with %q", body, traceparent, plain, from)
		}
		if !bytes.Equal(r.Body, stored) {
			t.Errorf("got %s left of the record, want %s", r.Body, stored)
		}

		entry := entryOf(r)
		if got := entry["body"]; got != string(plain) {
			t.Errorf("got body %s in Redis, want %s", got, plain)
		}
		again, err := parseEntry(entry, time.Now())
		if err != nil || again.ID != r.ID || again.Time != r.Time || !bytes.Equal(again.Body, stored) {
			t.Errorf("got %+v, %v back from Redis, want %+v", again, err, r)
		}
		delete(entry, "traceparent") // as a pod parked it that knew of none
		if again, err = parseEntry(entry, time.Now()); err != nil || !bytes.Equal(again.Body, plain) {
			t.Errorf("got %s, %v back without a trace, want %s", again.Body, err, plain)
		}
	})
}
