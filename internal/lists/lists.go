// Package lists serves the vendor's read-only lists: similar products, what sells best,
// merchandising collections, search.
//
// Asking for one is no event, so an answer may be shared by all that ask the same, be
// remembered, and be fetched anew before it is needed. What differs from one list to the
// other is a row of a table (kinds.go) and what its answer must look like (check.go); all
// else is the same for all: Answer is a request's way; flight.go how the API is asked, once
// for all who wait; memory.go what this process remembers; shared.go what Redis does.
//
// Similar products are a session's, and so are kept in this process alone and erased with
// it. Neither a question nor an answer is in a log, a metric or an error; in memory as in
// Redis a question is a keyed hash.
package lists

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// Lists answers for the read-only lists. It is safe for concurrent use.
type Lists struct {
	opt    Options
	table  [numKinds]row
	memory *memory
	guard  *fashionai.Guard
	count  counts
	budget atomic.Int64 // of Options, or as it was last set

	mu      sync.Mutex
	flights map[asked]*flight
	ended   bool // no flight may start any more
	running sync.WaitGroup
}

// counts is what [Stats] is read from.
type counts struct {
	api, cached, stale, unavailable, refused atomic.Uint64
	calls, undocumented, rubbish, unwritten  atomic.Uint64
}

// New returns lists that remember nothing yet, or what is wrong with the options.
func New(o Options) (*Lists, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	l := &Lists{
		opt:     o,
		table:   table(),
		memory:  newMemory(o.Memory),
		guard:   fashionai.NewGuard(o.Breaker, o.MaxInFlight),
		flights: make(map[asked]*flight),
	}
	l.SetBudget(o.Budget)
	return l, nil
}

// SetBudget changes the budget of Options, from the next request on. It must be positive.
func (l *Lists) SetBudget(budget time.Duration) { l.budget.Store(int64(budget)) }

// deadline is when a request that comes now must be answered.
func (l *Lists) deadline() time.Time { return time.Now().Add(time.Duration(l.budget.Load())) }

// sweepEvery is how often what is too old leaves the memory.
const sweepEvery = time.Minute

// Run listens for erases of other pods and forgets what is too old, until ctx ends. It
// returns when the calls under way have.
func (l *Lists) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	if l.opt.Remote != nil {
		parts.Go(func() { _ = l.opt.Remote.Subscribe(ctx, eraseChannel, l.receiveErase) }) // nil, when ctx ends
	}
	parts.Go(func() { l.sweep(ctx) })
	parts.Wait()
	l.mu.Lock()
	l.ended = true
	l.mu.Unlock()
	l.running.Wait()
	return nil
}

func (l *Lists) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			l.memory.forget(func(e *entry) bool { return l.judge(e) == none })
		}
	}
}

// Request is what an app has asked for, as it came.
type Request struct {
	Path   string // escaped
	Query  string // without the question mark
	Body   []byte // not kept
	Forced bool   // ask the API whatever is remembered
}

// Answer is what a caller gets.
type Answer struct {
	// Status is the vendor's with its Body: 200, 404, or that by which it refused the
	// question, such as 400; else 400 for what cannot be a question, or 503 if there is
	// nothing to serve.
	Status int
	// Body is the vendor's, byte for byte, but that products of a collection that are not
	// active are missing; not to be changed. Nil if Detail is set.
	Body []byte
	// JSON tells whether Body is a JSON object: always so of a list.
	JSON bool
	// Source is where Body comes from: the API, the cache, or the cache although it is stale.
	Source reco.Source
	// Reason is why Body is stale or there is none.
	Reason reco.Reason
	// Age is how old a Body from the cache is.
	Age time.Duration
	// Detail says in words why there is no Body. It names members and quotes nothing.
	Detail string
	// RetryAfter is when to ask again, if Status is 503.
	RetryAfter time.Duration
}

// Serves returns the list at a path, as that stands in a request, and the method it is
// asked by. It reports false if there is none, or if it is turned off.
func (l *Lists) Serves(path string) (k Kind, method string, ok bool) {
	for k := range numKinds {
		r := &l.table[k]
		if path == r.path && !r.byID() || r.byID() && len(path) > len(r.path) && strings.HasPrefix(path, r.path) {
			_, on := l.opt.Lives[k]
			return k, r.method, on
		}
	}
	return 0, "", false
}

// Answer answers a request for a list that is served.
func (l *Lists) Answer(k Kind, r Request) Answer {
	deadline := l.deadline()
	q, problem := l.table[k].understand(k, r)
	if problem != "" {
		l.count.refused.Add(1)
		return Answer{Status: http.StatusBadRequest, Detail: problem}
	}
	q.key = l.hash("question", []byte(q.path), q.body)
	held := l.memory.find(q.key)
	status, heldBack := l.judge(held), l.guard.HeldBack()
	switch {
	case status == fresh && !r.Forced:
		if l.aging(held) && heldBack == nil {
			l.join(q, false) // and do not wait
		}
		return l.answer(held, reco.FromCache, reco.NoReason)
	case status == stale && heldBack != nil:
		return l.answer(held, reco.FromStale, heldBack.Reason)
	}
	got := l.ask(q, r.Forced, deadline)
	if got.entry != nil {
		return l.answer(got.entry, got.source, reco.NoReason)
	}
	held = l.memory.find(q.key) // which may be another pod's, meanwhile
	switch status = l.judge(held); {
	case status == fresh:
		return l.answer(held, reco.FromCache, reco.NoReason)
	case status == stale:
		return l.answer(held, reco.FromStale, got.reason)
	case got.pass != nil:
		l.count.api.Add(1)
		return *got.pass
	default:
		return l.unavailable(got)
	}
}

func (l *Lists) answer(e *entry, source reco.Source, reason reco.Reason) Answer {
	a := Answer{Status: e.status, Body: e.body, JSON: true, Source: source, Reason: reason}
	switch source {
	case reco.FromStale:
		l.count.stale.Add(1)
		a.Age = time.Since(e.started)
	case reco.FromCache:
		l.count.cached.Add(1)
		a.Age = time.Since(e.started)
	default:
		l.count.api.Add(1)
	}
	return a
}

const (
	defaultRetry = 2 * time.Second // when to ask again if nothing better is known
	longestRetry = time.Minute     // an operator's override may last longer, but need not
)

func (l *Lists) unavailable(r result) Answer {
	l.count.unavailable.Add(1)
	retry := r.retry
	if retry <= 0 {
		retry = defaultRetry
	}
	return Answer{
		Status: http.StatusServiceUnavailable, Reason: r.reason, RetryAfter: min(retry, longestRetry),
		Detail: "the API gave no such list (" + string(r.reason) + "), and there is no earlier one to serve",
	}
}

// status is what an entry is good for.
type status uint8

const (
	none  status = iota // nothing
	stale               // something, if the API cannot answer
	fresh               // an answer
)

// notFound is how long it is remembered at most that there is no such list: a merchant who
// has just made one wants to see it.
const notFound = 30 * time.Second

// freshFor is how long an entry is fresh, if it does not end before.
func (l *Lists) freshFor(e *entry) time.Duration {
	if life := l.opt.Lives[e.kind].Fresh; e.found() || life < notFound {
		return life
	}
	return notFound
}

// lifeOf is how long an entry is of any use.
func (l *Lists) lifeOf(e *entry) time.Duration {
	life := l.freshFor(e)
	if e.found() {
		life += l.opt.Lives[e.kind].Stale
	}
	if !e.until.IsZero() {
		life = min(life, e.until.Sub(e.started))
	}
	return life
}

func (l *Lists) judge(e *entry) status {
	switch {
	case e == nil, time.Since(e.started) >= l.lifeOf(e), !e.until.IsZero() && !time.Now().Before(e.until):
		return none
	case time.Since(e.started) < l.freshFor(e):
		return fresh
	default:
		return stale
	}
}

// aging tells whether an entry is fresh, but not for long: the rest of its time is used to
// get a new one before anybody has to wait for it.
func (l *Lists) aging(e *entry) bool {
	return time.Since(e.started) >= l.freshFor(e)/5*4
}

// Stats are figures of Lists, since the start.
type Stats struct {
	// API, Cached and Stale count answers by their source, Unavailable those that were a
	// 503, Refused what could not be a question.
	API, Cached, Stale, Unavailable, Refused uint64
	// Calls counts calls of the API; Undocumented those of its answers that are not as
	// documented, and not remembered.
	Calls, Undocumented uint64
	// Rubbish counts what was found in Redis and did not open; Unwritten what should have
	// been remembered there and was not.
	Rubbish, Unwritten uint64
	// Bytes and Entries are what memory holds now.
	Bytes   int64
	Entries int
}

// Stats returns the present figures.
func (l *Lists) Stats() Stats {
	c := &l.count
	s := Stats{
		API: c.api.Load(), Cached: c.cached.Load(), Stale: c.stale.Load(),
		Unavailable: c.unavailable.Load(), Refused: c.refused.Load(),
		Calls: c.calls.Load(), Undocumented: c.undocumented.Load(),
		Rubbish: c.rubbish.Load(), Unwritten: c.unwritten.Load(),
	}
	s.Bytes, s.Entries = l.memory.size()
	return s
}
