package rank

import (
	"time"

	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/fallback"
	"vitrine/internal/reco"
)

// Scenario is an outage, and how the sidecar is set.
type Scenario struct {
	Traffic traffic.Model
	API     API
	Pages   float64       // a second, over all shoppers
	Length  time.Duration // of the whole
	From    time.Duration // when the API goes away
	Outage  time.Duration // for how long

	Fresh, Stale time.Duration // of cache.*
	FreshEvents  int           // likewise; 0 = off
}

// Tally is what came of the answers of one kind.
type Tally struct {
	Answers int
	sum     Quality
}

// Mean is the quality of the average answer.
func (t *Tally) Mean() Quality {
	n := float64(max(1, t.Answers))
	return Quality{t.sum.RBO / n, t.sum.Overlap / n, t.sum.NDCG / n}
}

// Result is what was shown in the outage, by event type and source.
type Result struct {
	Tallies map[reco.EventType]map[reco.Source]*Tally
	Answers int
}

// Simulate plays the scenario, second for second, in no time.
func Simulate(s Scenario) Result {
	w := world{
		Scenario: s,
		dresser:  fallback.NewDresser(nil),
		sessions: make(map[string]*visitor),
		result:   Result{Tallies: make(map[reco.EventType]map[reco.Source]*Tally)},
	}
	crowd := traffic.NewCrowd(s.Traffic, s.API.Catalogue, s.Pages)
	pages := int(s.Length.Seconds() * s.Pages)
	for i := range pages {
		at := time.Duration(float64(i) / s.Pages * float64(time.Second))
		for _, r := range crowd.Page(at).Requests {
			w.request(r, at)
		}
	}
	return w.result
}

// world is a simulation under way.
type world struct {
	Scenario

	dresser  *fallback.Dresser
	sessions map[string]*visitor // all there ever were: a run has some thousands
	result   Result
}

// visitor is one session as the API and the cache know it.
type visitor struct {
	seen   looks
	events []reco.Event
	held   map[reco.Event]held
}

// held is what the cache has: when it was asked for, as the how-many-th event, and what
// the session had looked at by then, from which the list can be computed again.
type held struct {
	at    time.Duration
	event int
	seen  looks
}

// request lets a shopper ask. The event counts whether the API is there or not: it is
// delivered later, but until then the API knows nothing of it, nor does its list.
func (w *world) request(r traffic.Request, at time.Duration) {
	v := w.sessions[r.Session]
	if v == nil {
		v = &visitor{held: make(map[reco.Event]held)}
		w.sessions[r.Session] = v
	}
	kind, _ := reco.ParseEventType(r.Type)
	e := reco.Event{Session: r.Session, User: r.User, Item: r.ID, Type: kind}
	v.events = append(v.events, e)
	if kind == reco.ProductView {
		v.seen = v.seen.with(r.ID)
	}
	if at < w.From || at >= w.From+w.Outage {
		v.held[e] = held{at: at, event: len(v.events), seen: v.seen}
		return
	}
	best := w.dress(r, e, w.API.Rank(r, v.seen), reco.FromAPI)
	head, source := r.Native, reco.FromNative
	if h, ok := v.held[e]; ok && at-h.at < w.Fresh+w.Stale {
		head, source = w.API.Rank(r, h.seen), reco.FromStale
		if at-h.at < w.Fresh && !w.movedOn(v, h, e) {
			source = reco.FromCache
		}
	}
	shown := w.dress(r, e, head, source)
	if len(shown) == 0 {
		source = reco.FromNone
	}
	w.count(kind, source, measure(shown, best))
}

// movedOn reports whether a session has had enough other events since an entry's.
func (w *world) movedOn(v *visitor, h held, e reco.Event) bool {
	others := 0
	for _, since := range v.events[h.event:] {
		if since != e {
			others++
		}
	}
	return w.FreshEvents > 0 && others >= w.FreshEvents
}

// dress makes a list what a shopper sees of it, as the sidecar does.
func (w *world) dress(r traffic.Request, e reco.Event, ids []string, source reco.Source) []string {
	req := &reco.Request{Event: e, Options: reco.Options{Native: r.Native, Limit: r.Limit, Complete: r.Complete}}
	return w.dresser.Dress(&fallback.Job{
		Request: req,
		Head:    fallback.Course{Ranking: reco.NewRanking(ids), Source: source},
		Native:  func() fallback.Course { return fallback.Course{Own: r.Native, Source: reco.FromNative} },
	}).Ranking.IDs()
}

func measure(shown, best []string) Quality {
	return Quality{
		RBO:     RBO(shown, best, persistence),
		Overlap: fallback.Overlap(reco.NewRanking(shown), reco.NewRanking(best), depth),
		NDCG:    NDCG(shown, best, depth),
	}
}

func (w *world) count(kind reco.EventType, source reco.Source, q Quality) {
	bySource := w.result.Tallies[kind]
	if bySource == nil {
		bySource = make(map[reco.Source]*Tally)
		w.result.Tallies[kind] = bySource
	}
	t := bySource[source]
	if t == nil {
		t = new(Tally)
		bySource[source] = t
	}
	t.add(q)
	w.result.Answers++
}

func (t *Tally) add(q Quality) {
	t.Answers++
	t.sum.RBO += q.RBO
	t.sum.Overlap += q.Overlap
	t.sum.NDCG += q.NDCG
}

// DefaultScenario is an outage of ten minutes in the middle of an hour, with the
// sidecar's own defaults. It leaves bots out, who do not buy.
func DefaultScenario() Scenario {
	m := traffic.Default()
	m.Bots = 0
	return Scenario{
		Traffic: m,
		API:     API{Catalogue: shopdata.New(1, 2000, 40), Seed: 1, Taste: 2, Whim: 1},
		Pages:   2, Length: time.Hour, From: 40 * time.Minute, Outage: 10 * time.Minute,
		Fresh: time.Minute, Stale: 30 * time.Minute, FreshEvents: 3,
	}
}
