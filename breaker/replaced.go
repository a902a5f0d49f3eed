package breaker

import "time"

// Replaced tells that what the breaker guards has been replaced: it was moved, or given
// other credentials. An opening and a pause end, and the next call is let through as a
// probe. What the window holds stays, since it is soon over.
func (b *Breaker) Replaced() {
	b.mu.Lock()
	defer b.unlock()
	now := time.Now()
	b.openUntil, b.step = now, 0
	b.holdUntil = time.Time{}
	b.advanceLocked(now)
}
