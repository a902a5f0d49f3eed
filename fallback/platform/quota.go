package platform

import (
	"context"
	"sync"
	"time"
)

// quota spaces requests evenly, so that no burst of them, and no restart of the
// second, exceeds the platform's rate; and counts them by the day. All pods of one
// shop share the platform's quota, but not this count of it, which a restart forgets.
type quota struct {
	interval time.Duration // between the starts of two requests; 0 = none
	daily    int           // 0 = not limited

	mu   sync.Mutex
	next time.Time // no request starts before
	day  time.Time // that used counts in
	used int
}

func newQuota(rate float64, daily int) *quota {
	q := &quota{daily: daily}
	if rate > 0 {
		q.interval = time.Duration(float64(time.Second) / rate)
	}
	return q
}

// take waits until a request may start, and counts it. The error is an *Error of
// kind Exhausted or Timeout.
func (q *quota) take(ctx context.Context) error {
	q.mu.Lock()
	now := time.Now()
	if left := q.leftLocked(now); left == 0 {
		q.mu.Unlock()
		return &Error{Kind: Exhausted, Pause: untilTomorrow(now)}
	}
	start := now
	if q.next.After(now) {
		start = q.next
	}
	q.next = start.Add(q.interval)
	q.used++
	q.mu.Unlock()
	if !start.After(now) {
		return nil
	}
	timer := time.NewTimer(start.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &Error{Kind: Timeout, Err: ctx.Err()}
	}
}

// goOnWith takes over what another one has counted today.
func (q *quota) goOnWith(before *quota) {
	before.mu.Lock()
	defer before.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.day, q.used = before.day, before.used
}

// hold lets no request start for a while: the platform asked for it.
func (q *quota) hold(pause time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if until := time.Now().Add(pause); until.After(q.next) {
		q.next = until
	}
}

func (q *quota) state() Quota {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	s := Quota{Wait: max(q.next.Sub(now), 0), Left: q.leftLocked(now)}
	if s.Left == 0 {
		s.Wait = max(s.Wait, untilTomorrow(now))
	}
	return s
}

// leftLocked is what is left of the day's requests, -1 if they are not limited.
func (q *quota) leftLocked(now time.Time) int {
	if today := now.UTC().Truncate(24 * time.Hour); !today.Equal(q.day) {
		q.day, q.used = today, 0
	}
	if q.daily == 0 {
		return -1
	}
	return max(q.daily-q.used, 0)
}

func untilTomorrow(now time.Time) time.Duration {
	return now.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(now)
}
