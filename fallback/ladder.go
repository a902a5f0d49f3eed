// Package fallback decides what a shopper is shown: the API's ranking if it comes in
// time, else the best there is below it.
//
// The ladder, from its top: a fresh ranking from the cache; the API's answer to this
// event; a stale ranking; the platform's native ordering; nothing. Read
// [Ladder.Answer] first, then [asking.list]. Whatever rung a list comes from is dressed
// alike: see dress.go. rungs.go has the rungs below the API, pages.go what shoppers see who
// turn pages, and explain.go tells an operator the same as a shopper would see, and why.
package fallback

import (
	"errors"
	"hash/fnv"
	"time"

	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// Rankings is what the API ranked before. [cache.Cache] is one.
type Rankings interface {
	// Lookup returns what is held for e, in any tier, not later than the deadline. Its
	// calls are below the span under.
	Lookup(e reco.Event, deadline time.Time, under *trace.Span) cache.Found
	// KnownEmpty reports whether the API had nothing to say of e a moment ago.
	KnownEmpty(e reco.Event) bool
}

// Ticket is the accepted event of a request, whose ranking may be waited for. A
// [*delivery.Ticket] is one.
type Ticket interface {
	// AskedSince reports whether a ranking of that age was asked for since the event
	// was accepted, so that Wait returns it.
	AskedSince(age time.Duration) bool
	// Wait returns what the API answers, at the latest when the deadline has passed.
	Wait(deadline time.Time) delivery.Result
	// Release says that nobody waits after all.
	Release()
}

// Mode is what the API's rankings are used for.
type Mode string

// The modes of an event type. Its events are delivered in each of them.
const (
	On         Mode = "on"     // they are shown
	NativeOnly Mode = "native" // they are not
	Shadow     Mode = "shadow" // they are not, but what they would have been is measured
)

// Policy is how one event type is answered.
type Policy struct {
	Mode     Mode // "" = On
	MinItems int  // a shorter list is topped up from the next rung; 0 = an empty one only
}

// LadderOptions configure a Ladder.
type LadderOptions struct {
	Rankings Rankings
	Orders   Orders   // nil = every page is cut from a list of its own
	Natives  *Natives // nil = only the lists that requests bring
	Rules    *Rules   // nil = none
	Policies map[reco.EventType]Policy

	// HoldoutPercent of the sessions, chosen by HoldoutSalt, are shown the native
	// ordering, so that a merchant can measure what the API's is worth.
	HoldoutPercent float64
	HoldoutSalt    string

	// Shadowed, unless it is nil, is told in the mode Shadow what was shown, and what
	// the API has ranked for the same question, as far as memory holds it: nobody
	// waits for the sake of a comparison.
	Shadowed func(t reco.EventType, shown, instead reco.Ranking)
}

// Validate reports everything that is wrong with o.
func (o *LadderOptions) Validate() error {
	var errs []error
	if o.Rankings == nil {
		errs = append(errs, errors.New("fallback: Rankings are required"))
	}
	if o.HoldoutPercent < 0 || o.HoldoutPercent > 100 {
		errs = append(errs, errors.New("fallback: HoldoutPercent must be between 0 and 100"))
	}
	return errors.Join(errs...)
}

// Ladder answers requests. It is safe for concurrent use.
type Ladder struct {
	opt      LadderOptions
	dresser  *Dresser
	policies [reco.CustomShelf + 1]Policy
}

// NewLadder returns a Ladder, or what is wrong with its options.
func NewLadder(o LadderOptions) (*Ladder, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l := &Ladder{opt: o, dresser: NewDresser(o.Rules)}
	for t, p := range o.Policies {
		l.policies[t] = p
	}
	return l, nil
}

// Wanted reports whether req is to be answered with the API's ranking if that can be had.
func (l *Ladder) Wanted(req *reco.Request) bool {
	return l.declined(req) == reco.NoReason
}

// declined says why the API's ranking is not shown, whatever it is.
func (l *Ladder) declined(req *reco.Request) reco.Reason {
	mode := l.policies[req.Type].Mode
	switch {
	case req.Bot:
		return reco.Bot
	case mode == NativeOnly || mode == Shadow || l.heldOut(req.Session):
		return reco.Holdout
	default:
		return reco.NoReason
	}
}

// heldOut reports whether the session is in the holdout: the same in every pod, for
// as long as the salt is.
func (l *Ladder) heldOut(session string) bool {
	if l.opt.HoldoutPercent == 0 {
		return false
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(l.opt.HoldoutSalt + "\x00" + session)) // a hash takes everything
	const steps = 1 << 20
	mixed := h.Sum64() * 0x9e3779b97f4a7c15 // FNV's own high bits hardly depend on the last bytes
	return float64(mixed>>44)*100 < l.opt.HoldoutPercent*steps
}

// Answer returns the best list to be had for req before the deadline. held is what
// memory has for it, ticket its accepted event, which is released or waited for, span the
// request's, nil if it is not traced.
func (l *Ladder) Answer(req *reco.Request, held cache.Found, ticket Ticket, deadline time.Time, span *trace.Span) reco.Answer {
	if l.suffices(req, held) {
		return fromCache(held) // the shortest way, and the most travelled: it allocates nothing
	}
	a := l.ask(req, ticket, deadline)
	a.span = span
	answer := a.answer(held)
	if l.opt.Shadowed != nil && l.policies[req.Type].Mode == Shadow && held.Status != cache.None && req.Page.Number <= 1 {
		l.opt.Shadowed(req.Type, answer.Ranking, held.Ranking)
	}
	return answer
}

// suffices reports whether what memory has for req may be shown as it is.
func (l *Ladder) suffices(req *reco.Request, held cache.Found) bool {
	if held.Status != cache.Fresh || req.Page.Size > 0 || !l.Wanted(req) {
		return false
	}
	head := Course{Ranking: held.Ranking, Source: reco.FromCache}
	return l.dresser.fits(&Job{Request: req, Head: head, MinItems: l.policies[req.Type].MinItems})
}

// asking is a request on its way down the ladder.
type asking struct {
	*Ladder

	req      *reco.Request
	ticket   Ticket
	deadline time.Time
	native   native
	span     *trace.Span  // nil unless the request is traced
	path     *Explanation // nil unless somebody wants to know why
}

// ask begins to look for a list: what is missing of the native one is fetched while the
// API is waited for.
func (l *Ladder) ask(req *reco.Request, ticket Ticket, deadline time.Time) *asking {
	return &asking{Ladder: l, req: req, ticket: ticket, deadline: deadline, native: l.askNative(req)}
}

// answer finds the list, or the page of it, that is shown.
func (a *asking) answer(held cache.Found) reco.Answer {
	if a.req.Page.Size > 0 {
		return a.page(held)
	}
	return a.list(held)
}

// list is the way down: the first rung that has a list gives it.
func (a *asking) list(held cache.Found) reco.Answer {
	if why := a.declined(a.req); why != reco.NoReason {
		a.path.passAPI(string(why))
		return a.serve(reco.Answer{Reason: why}, cache.Found{})
	}
	a.path.found(rungMemory, held)
	if held.Status == cache.Fresh {
		return a.serve(fromCache(held), held)
	}
	held = a.opt.Rankings.Lookup(a.req.Event, a.deadline, a.span)
	a.path.found(rungRedis, held)
	switch {
	case held.Status == cache.Fresh && !a.ticket.AskedSince(held.Age):
		a.ticket.Release()
		return a.serve(fromCache(held), held)
	case held.Status != cache.Fresh && a.opt.Rankings.KnownEmpty(a.req.Event):
		a.path.passAPI("it had nothing to say of this a moment ago")
		a.ticket.Release()
		return a.below(delivery.Result{Reason: reco.Empty}, held)
	}
	result := a.ticket.Wait(a.deadline)
	if result.Reason == reco.NoReason {
		return a.serve(fromAPI(result), held)
	}
	return a.below(result, held)
}

// below answers when the API has no ranking to give: with an older one, else natively.
func (a *asking) below(r delivery.Result, held cache.Found) reco.Answer {
	answer := reco.Answer{Reason: r.Reason, Status: r.Status}
	switch held.Status {
	case cache.Fresh: // it came while the wait for it was given up
		answer = fromCache(held)
	case cache.Stale:
		a.path.found(rungStale, held)
		answer = fromCache(held)
		answer.Reason, answer.Status = r.Reason, r.Status
		held = cache.Found{} // it is the head: not to be stepped down to once more
	case cache.None:
	}
	return a.serve(answer, held)
}

// serve dresses an answer, and steps down from it for as long as too little of it is
// left: to the older ranking in held, if it is one, then to the native ordering.
func (a *asking) serve(answer reco.Answer, held cache.Found) reco.Answer {
	steps := descent{asking: a, held: held}
	dressed := a.dresser.Dress(&Job{
		Request:  a.req,
		Head:     Course{Ranking: answer.Ranking, Source: answer.Source},
		At:       time.Now(),
		MinItems: a.policies[a.req.Type].MinItems,
		Native:   steps.ordering,
		Next:     steps.next,
		Trace:    a.path.dressing(),
	})
	return conclude(answer, dressed, held)
}

// conclude makes the answer of what was left of it, and says why it is not better.
func conclude(answer reco.Answer, dressed Dressed, held cache.Found) reco.Answer {
	if dressed.Source == reco.FromStale && answer.Source != reco.FromStale {
		answer.Age, answer.TTL, answer.Tier = held.Age, held.TTL, held.Tier
	}
	stepped := dressed.Source != answer.Source && answer.Source != reco.FromNone
	answer.Ranking, answer.Source = dressed.Ranking, dressed.Source
	switch {
	case dressed.ToppedUp && !stepped:
		answer.Reason = reco.ToppedUp
	case dressed.OutOfStock:
		answer.Reason = reco.OutOfStock
	case stepped && answer.Reason == reco.NoReason:
		answer.Reason = reco.Empty // nothing of the better list was fit to be shown
	}
	return answer
}

func fromCache(held cache.Found) reco.Answer {
	a := reco.Answer{Ranking: held.Ranking, Source: reco.FromCache, Age: held.Age, TTL: held.TTL, Tier: held.Tier}
	if held.Status == cache.Stale {
		a.Source = reco.FromStale
	}
	return a
}

func fromAPI(r delivery.Result) reco.Answer {
	return reco.Answer{Ranking: r.Ranking, Source: reco.FromAPI, Status: r.Status, Stored: r.Stored, Collapsed: r.Collapsed}
}
