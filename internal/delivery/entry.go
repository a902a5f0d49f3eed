package delivery

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vitrine/internal/journal"
	"vitrine/internal/trace"
)

// Parked events lie in streams by a hash of their session, so that one lease per
// stream keeps a session in order. All pods must agree on everything here.
const (
	parkedStreams  = 16
	parkedGroup    = "vitrine"
	parkedConsumer = "holder" // the same for all: who gets the lease goes on where the last holder was
	deadStream     = "v1:parked:dead"
)

// streamName returns the key of a stream. Its braces make a Cluster keep the lease beside it.
func streamName(stream int) string { return "v1:parked:{" + strconv.Itoa(stream) + "}" }

// streamNames returns the keys of all streams.
func streamNames() []string {
	names := make([]string, parkedStreams)
	for stream := range names {
		names[stream] = streamName(stream)
	}
	return names
}

func leaseName(stream int) string { return streamName(stream) + ":lease" }

func streamOf(r journal.Record) int { return int(r.Key % parkedStreams) }

// entryOverhead is what an entry takes beside its body, about, in bytes.
const entryOverhead = 100

// entryOf is an event as a stream holds it. Its trace context is a field that pods of a
// version without one pass over.
func entryOf(r journal.Record) map[string]string {
	entry := map[string]string{
		"id":       ID(r.ID).String(),
		"accepted": strconv.FormatInt(r.Time, 10),
		"body":     string(r.Body),
	}
	if from := traceOf(r.Body); !from.IsZero() {
		entry["body"] = string(r.Body[:len(r.Body)-traceMember]) + "}"
		entry["traceparent"] = from.String()
	}
	return entry
}

const (
	maxParkedBody = 1 << 20        // bytes; far over any that was ever accepted
	maxAhead      = 24 * time.Hour // that an event may seem to come from the future: clocks differ
)

// parseEntry reads what a stream holds. Whoever can write to Redis may have written
// it, so that an error is not a fault of ours; the record then has what can be kept.
func parseEntry(values map[string]string, now time.Time) (r journal.Record, err error) {
	body := values["body"]
	if len(body) > maxParkedBody {
		return journal.Record{Time: now.UnixNano()}, fmt.Errorf("a body of %d bytes", len(body))
	}
	r.Body = []byte(body)
	if from, ok := trace.Parse(values["traceparent"]); ok && strings.HasSuffix(body, "}") {
		r.Body = appendTrace(r.Body, from)
	}
	var errID, errTime error
	r.ID, errID = parseID(values["id"])
	r.Time, errTime = strconv.ParseInt(values["accepted"], 10, 64)
	if errTime == nil && (r.Time < 0 || time.Unix(0, r.Time).Sub(now) > maxAhead) {
		errTime = errors.New("accepted at no sensible time")
	}
	if errTime != nil {
		r.Time = now.UnixNano()
	}
	return r, errors.Join(errID, errTime)
}

// parseID reads what [ID.String] wrote.
func parseID(text string) (id ID, err error) {
	digits := strings.ReplaceAll(text, "-", "")
	if len(digits) == hex.EncodedLen(len(id)) {
		_, err = hex.Decode(id[:], []byte(digits))
	}
	if err != nil || id.String() != text || id == (ID{}) {
		return ID{}, errors.New("an id that is no UUID of ours")
	}
	return id, nil
}

// laterEntry reports whether the id a of an entry is higher than b.
func laterEntry(a, b string) bool {
	aTime, aSeq := splitEntry(a)
	bTime, bSeq := splitEntry(b)
	return aTime > bTime || aTime == bTime && aSeq > bSeq
}

// splitEntry returns the numbers of "milliseconds-sequence"; zeros for anything else.
func splitEntry(id string) (milliseconds, sequence uint64) {
	before, after, _ := strings.Cut(id, "-")
	milliseconds, _ = strconv.ParseUint(before, 10, 64)
	sequence, _ = strconv.ParseUint(after, 10, 64)
	return milliseconds, sequence
}
