package cache

import "vitrine/internal/trace"

// What becomes of a read of Redis. An error is told by its kind alone: its text could name a key.
const (
	readHit    = "hit"
	readMiss   = "miss"
	readLate   = "late" // the shopper did not wait for it
	readFailed = "error"
)

// beginRead begins the span of a read of Redis, as OpenTelemetry names a database's; nil below nil.
func beginRead(under *trace.Span) *trace.Span {
	call := under.Client("HMGET")
	call.Set("db.system.name", "redis")
	call.Set("db.operation.name", "HMGET")
	return call
}

// endRead ends it with what became of it.
func endRead(call *trace.Span, outcome string) {
	call.Set("vitrine.outcome", outcome)
	if outcome == readLate || outcome == readFailed {
		call.Set("error.type", outcome)
		call.Fail(outcome)
	}
	call.End()
}
