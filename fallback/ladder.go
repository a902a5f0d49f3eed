// Package fallback decides what a shopper is shown: the API's ranking if it comes in
// time, else the best there is below it.
//
// The ladder, from its top: a fresh ranking from the cache; the API's answer to this
// event; a stale ranking; the platform's native ordering; nothing. Read
// [Ladder.Answer] first. Whatever rung a list comes from is dressed alike: see dress.go.
package fallback

import (
	"errors"
	"hash/fnv"
	"time"

	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
)

// Rankings is what the API ranked before. [cache.Cache] is one.
type Rankings interface {
	// Lookup returns what is held for e, in any tier, not later than the deadline.
	Lookup(e reco.Event, deadline time.Time) cache.Found
	// KnownEmpty reports whether the API had nothing to say of e a moment ago.
	KnownEmpty(e reco.Event) bool
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
// memory has for it, ticket its accepted event, which is released or waited for.
func (l *Ladder) Answer(req *reco.Request, held cache.Found, ticket *delivery.Ticket, deadline time.Time) reco.Answer {
	if why := l.declined(req); why != reco.NoReason {
		answer := l.native(req, why, deadline)
		if l.policies[req.Type].Mode == Shadow && l.opt.Shadowed != nil && held.Status != cache.None {
			l.opt.Shadowed(req.Type, answer.Ranking, held.Ranking)
		}
		return answer
	}
	if held.Status == cache.Fresh {
		return l.remembered(req, held, deadline)
	}
	native := l.ask(req) // what is missing is fetched while the API is waited for
	held = l.opt.Rankings.Lookup(req.Event, deadline)
	switch {
	case held.Status == cache.Fresh && !ticket.AskedSince(held.Age):
		ticket.Release()
		return l.serve(req, fromCache(held), held, native, deadline)
	case held.Status != cache.Fresh && l.opt.Rankings.KnownEmpty(req.Event):
		ticket.Release()
		return l.below(req, delivery.Result{Reason: reco.Empty}, held, native, deadline)
	}
	result := ticket.Wait(deadline)
	if result.Reason == reco.NoReason {
		return l.serve(req, fromAPI(result), held, native, deadline)
	}
	return l.below(req, result, held, native, deadline)
}

// native answers req without the API's rankings.
func (l *Ladder) native(req *reco.Request, why reco.Reason, deadline time.Time) reco.Answer {
	return l.serve(req, reco.Answer{Reason: why}, cache.Found{}, l.ask(req), deadline)
}

// remembered answers with a fresh ranking from memory: the shortest way.
func (l *Ladder) remembered(req *reco.Request, held cache.Found, deadline time.Time) reco.Answer {
	answer := fromCache(held)
	job := Job{Request: req, Head: Course{held.Ranking, answer.Source}, MinItems: l.policies[req.Type].MinItems}
	if l.dresser.fits(&job) {
		return answer
	}
	return l.serve(req, answer, cache.Found{}, l.ask(req), deadline)
}

// below answers when the API has no ranking to give: with an older one, else natively.
func (l *Ladder) below(req *reco.Request, r delivery.Result, held cache.Found, native nativeRung, deadline time.Time) reco.Answer {
	answer := reco.Answer{Reason: r.Reason, Status: r.Status}
	switch held.Status {
	case cache.Fresh: // it came while the wait for it was given up
		answer = fromCache(held)
	case cache.Stale:
		answer = fromCache(held)
		answer.Reason, answer.Status = r.Reason, r.Status
		held = cache.Found{} // it is the head: not to be stepped down to once more
	case cache.None:
	}
	return l.serve(req, answer, held, native, deadline)
}

// serve dresses an answer, and steps down from it for as long as too little of it is
// left: to the older ranking in held, if it is one, then to the native ordering.
func (l *Ladder) serve(req *reco.Request, answer reco.Answer, held cache.Found, native nativeRung, deadline time.Time) reco.Answer {
	steps := descent{held: held, native: native, deadline: deadline}
	if answer.Source == reco.FromCache || answer.Source == reco.FromNone {
		steps.held = cache.Found{}
	}
	dressed := l.dresser.Dress(&Job{
		Request:  req,
		Head:     Course{answer.Ranking, answer.Source},
		At:       time.Now(),
		MinItems: l.policies[req.Type].MinItems,
		Native:   steps.ordering,
		Next:     steps.next,
	})
	return conclude(answer, dressed, steps.held)
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

// descent is the way down the ladder, one rung a step.
type descent struct {
	held     cache.Found // an older ranking of the API, if there is one
	native   nativeRung
	deadline time.Time
	taken    int
}

func (s *descent) next() (Course, bool) {
	s.taken++
	switch {
	case s.taken == 1 && s.held.Status == cache.Stale:
		return Course{s.held.Ranking, reco.FromStale}, true
	case s.taken <= 2:
		s.taken = 2
		return Course{s.ordering(), reco.FromNative}, true
	default:
		return Course{}, false
	}
}

func (s *descent) ordering() reco.Ranking { return s.native.ranking(s.deadline) }

// nativeRung is the platform's own ordering for a request: the list the request
// brought, which is always right, else what the platform is known to show.
type nativeRung struct {
	own   []string
	asked Asked
	asks  bool
}

func (l *Ladder) ask(req *reco.Request) nativeRung {
	r := nativeRung{own: req.Native}
	if len(req.Native) == 0 && l.opt.Natives != nil {
		r.asked, r.asks = l.opt.Natives.Ask(req.Event), true
	}
	return r
}

func (r nativeRung) ranking(deadline time.Time) reco.Ranking {
	if !r.asks {
		return reco.NewRanking(r.own)
	}
	ranking, _, _ := r.asked.Wait(deadline)
	return ranking
}
