package fallback

import (
	"fmt"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
)

// Explanation says how a request would be answered now, and why. It names products, but
// neither session nor user.
type Explanation struct {
	EventType string  `json:"eventType"`
	Item      string  `json:"id"`
	Rungs     []Rung  `json:"rungs"`    // in the order they were tried
	Removed   []Taken `json:"removed"`  // by the rules, in the order of the lists
	Products  []Shown `json:"products"` // the final list
	Source    string  `json:"source"`   // as in Vitrine-Source
	Reason    string  `json:"reason,omitempty"`

	trace Trace
	noted bool // the native rung is among Rungs
}

// Rung is one rung of the ladder, and what it gave.
type Rung struct {
	Rung     string `json:"rung"` // order, memory, redis, api, stale, native, native:platform:category:27, …
	Gave     string `json:"gave"` // fresh, stale, a list, nothing, or that it was not asked
	Why      string `json:"why,omitempty"`
	Products int    `json:"products"`
	Age      string `json:"age,omitempty"` // of the list
	TTL      string `json:"ttl,omitempty"` // of its freshness; negative once that is over
}

// Taken is a product that was taken out of a list, and by what.
type Taken struct {
	ID     string `json:"id"`
	Source string `json:"source"` // of the list
	Rule   Rule   `json:"rule"`
	Why    string `json:"why,omitempty"`
}

// Shown is a product of the final list.
type Shown struct {
	ID     string `json:"id"`
	Source string `json:"source"`
}

// The rungs.
const (
	rungOrder  = "order" // frozen for the pages of a list
	rungMemory = "memory"
	rungRedis  = "redis"
	rungAPI    = "api"
	rungStale  = "stale"
	rungNative = "native"
)

const (
	gaveNothing = "nothing"
	gaveList    = "a list"
	notAsked    = "not asked"
)

// Explain tells how req would be answered now. It goes the way of [Ladder.Answer], but
// there is no event: nothing is sent to the API, accepted or frozen. What is explained is
// the answer that a shopper gets if the API's does not come in time; api is its breaker.
// A native list that is missing is fetched, as it would be for a shopper.
func (l *Ladder) Explain(req *reco.Request, api breaker.Snapshot, deadline time.Time) *Explanation {
	path := &Explanation{EventType: req.Type.String(), Item: req.Item}
	a := l.ask(req, supposed{path, api}, deadline)
	a.path = path
	held := l.opt.Rankings.Lookup(req.Event, time.Time{}, nil) // too late for any tier but memory
	path.conclude(a.answer(held))
	return path
}

// supposed is the ticket of an event that never was.
type supposed struct {
	path *Explanation
	api  breaker.Snapshot
}

// AskedSince is never so.
func (supposed) AskedSince(time.Duration) bool { return false }

// Release does nothing.
func (supposed) Release() {}

// Wait does not wait, and says what a shopper would wait for.
func (s supposed) Wait(time.Time) delivery.Result {
	switch {
	case s.api.State == breaker.Closed:
		s.path.Rungs = append(s.path.Rungs, Rung{Rung: rungAPI, Gave: "would be asked", Why: "this is the answer if its own does not come in time"})
		return delivery.Result{Reason: reco.Timeout}
	case time.Now().Before(s.api.HoldUntil):
		s.path.passAPI("it has asked for a pause until " + s.api.HoldUntil.UTC().Format(time.RFC3339))
		return delivery.Result{Reason: reco.RateLimited}
	default:
		s.path.passAPI(fmt.Sprintf("its breaker is %s: %s", s.api.State, s.api.Reason))
		return delivery.Result{Reason: reco.Open}
	}
}

// The methods below note what happens on the way. On a nil Explanation, that of every
// request but those of [Ladder.Explain], they do nothing.

// passAPI notes that nobody waits for the API.
func (x *Explanation) passAPI(why string) {
	if x != nil {
		x.Rungs = append(x.Rungs, Rung{Rung: rungAPI, Gave: notAsked, Why: why})
	}
}

// found notes what a tier of the cache gave.
func (x *Explanation) found(rung string, held cache.Found) {
	if x == nil {
		return
	}
	r := Rung{Rung: rung, Gave: gaveNothing}
	switch {
	case held.Status == cache.None:
	case rung == rungRedis && held.Tier != reco.Redis:
		r.Why = "nothing better than memory has, in time"
	default:
		r.Gave, r.Products = fromCache(held).Source.String(), held.Ranking.Len()
		r.Age, r.TTL = rounded(held.Age), rounded(held.TTL)
		if held.Status == cache.Fresh {
			r.Gave = "fresh"
		}
	}
	x.Rungs = append(x.Rungs, r)
}

// frozen notes the order that a page is cut from.
func (x *Explanation) frozen(o cache.Order) {
	if x != nil {
		x.Rungs = append(x.Rungs, Rung{
			Rung: rungOrder, Gave: gaveList, Why: "frozen by an earlier page, in " + o.Tier.String(),
			Products: o.Ranking.Len(), Age: rounded(o.Age),
		})
	}
}

// native notes where a native list was looked for.
func (x *Explanation) native(n native) {
	if x == nil || x.noted {
		return
	}
	x.noted = true
	if !n.asks {
		r := Rung{Rung: rungNative, Gave: gaveNothing, Why: "the request brought none, and there is no platform", Products: len(n.own)}
		if len(n.own) > 0 {
			r.Rung, r.Gave, r.Why = rungNative+":request", gaveList, ""
		}
		x.Rungs = append(x.Rungs, r)
		return
	}
	tried := n.asked.Tried()
	if len(tried) == 0 {
		x.Rungs = append(x.Rungs, Rung{Rung: rungNative, Gave: gaveNothing, Why: "no source has lists for this type of event"})
	}
	for _, t := range tried {
		r := Rung{Rung: rungNative + ":" + t.Place, Gave: gaveNothing}
		if t.Found {
			r.Gave, r.Products, r.Age = gaveList, t.Ranking.Len(), rounded(t.Age)
		}
		x.Rungs = append(x.Rungs, r)
	}
}

func rounded(d time.Duration) string { return d.Round(time.Millisecond).String() }

// dressing is where a dresser is to note what it does.
func (x *Explanation) dressing() *Trace {
	if x == nil {
		return nil
	}
	return &x.trace
}

// sources returns where each product of a whole list came from, as it was just dressed
// or, if it was frozen earlier, as is known of the list.
func (x *Explanation) sources(whole reco.Answer) map[string]reco.Source {
	if x == nil {
		return nil
	}
	sources := make(map[string]reco.Source)
	for i, id := range whole.Ranking.IDs() {
		sources[id] = whole.Source
		if i < len(x.trace.Slots) {
			sources[id] = x.trace.Slots[i]
		}
	}
	return sources
}

// restore gives the products of a page the sources they had in the whole list.
func (x *Explanation) restore(sources map[string]reco.Source, page reco.Ranking) {
	if x == nil {
		return
	}
	for i, id := range page.IDs() {
		x.trace.Slots[i] = sources[id]
	}
}

// conclude notes the answer.
func (x *Explanation) conclude(answer reco.Answer) {
	x.Source, x.Reason = answer.Source.String(), string(answer.Reason)
	x.Removed = make([]Taken, len(x.trace.Removed))
	for i, r := range x.trace.Removed {
		x.Removed[i] = Taken{ID: r.ID, Source: r.Source.String(), Rule: r.Rule, Why: r.Why}
	}
	x.Products = make([]Shown, 0, len(x.trace.Slots))
	for i, id := range answer.Ranking.IDs() {
		x.Products = append(x.Products, Shown{ID: id, Source: x.trace.Slots[i].String()})
	}
}
