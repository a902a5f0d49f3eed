package fashionai

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"vitrine/breaker"
	"vitrine/internal/reco"
)

// Guard lets calls through as far as a breaker allows, and so many at once. It is for what
// is asked of the API without being an event, which nobody has to deliver.
type Guard struct {
	breaker *breaker.Breaker
	slots   chan struct{} // one for each call under way
}

// NewGuard returns a guard that lets slots calls be under way at once; slots must be positive.
func NewGuard(b *breaker.Breaker, slots int) *Guard {
	return &Guard{breaker: b, slots: make(chan struct{}, slots)}
}

// Refusal is why a call was not made.
type Refusal struct {
	Reason reco.Reason
	Retry  time.Duration // when it may be again; 0 if that is not known
}

// HeldBack is why no call would be let through now; nil if one would.
func (g *Guard) HeldBack() *Refusal {
	until := g.breaker.NextAttempt()
	if until.IsZero() {
		return nil
	}
	return g.refusal(until)
}

func (g *Guard) refusal(until time.Time) *Refusal {
	r := &Refusal{Reason: reco.Open, Retry: max(0, time.Until(until))}
	if time.Now().Before(g.breaker.Snapshot().HoldUntil) {
		r.Reason = reco.RateLimited
	}
	return r
}

// Call makes a call, unless there is no slot for it before ctx ends or the breaker does
// not let it through, and tells the breaker what judge makes of the reply. A pause that
// the API asks for is made up to a tenth longer, so that the pods do not all come back at
// once, and then heeded.
func (g *Guard) Call(ctx context.Context, send func() Reply, judge func(*Reply) breaker.Kind) *Refusal {
	select {
	case g.slots <- struct{}{}:
		defer func() { <-g.slots }()
	case <-ctx.Done():
		return &Refusal{Reason: reco.Overload}
	}
	permit, err := g.breaker.Admit()
	if err != nil {
		until := time.Time{}
		if refused, ok := errors.AsType[*breaker.Refused](err); ok {
			until = refused.Until
		}
		return g.refusal(until)
	}
	reply := send()
	reply.RetryAfter += rand.N(reply.RetryAfter/10 + 1)
	permit.Done(breaker.Outcome{Kind: judge(&reply), Took: reply.Took})
	if reply.Class == RateLimited {
		g.breaker.Hold(time.Now().Add(reply.RetryAfter))
	}
	return nil
}
