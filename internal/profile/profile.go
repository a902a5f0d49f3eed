// Package profile remembers what the vendor's profile API says of customers, and keeps it
// to itself.
//
// A profile is personal data, and so is what it is asked by: an e-mail address, a phone
// number, a document, the profile's id. Outside a request neither is anywhere in the
// clear. People are known by keyed hashes ([name]), in memory as in Redis; what Redis
// holds is sealed ([Keys]); no log line, metric or error quotes either.
//
// A profile is remembered once, under its own id. The other identifiers it was asked by
// point to it, and the profile's entry in Redis lists them, so that erasing it by any of
// them finds all ([Profiles.Erase]).
//
// Answer is a request's way; flight.go how the API is asked, once for all who wait, in
// this process and in all; remote.go what Redis holds; memory.go what this process does.
package profile

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// Profiles answers for the profile API. It is safe for concurrent use.
type Profiles struct {
	opt    Options
	names  names
	memory *memory
	guard  *fashionai.Guard
	count  counts

	mu      sync.Mutex
	flights map[name]*flight
	ended   bool // no flight may start any more
	running sync.WaitGroup
}

// counts is what [Stats] is read from.
type counts struct {
	api, cached, stale, unavailable, refused        atomic.Uint64
	calls, undocumented, rubbish, unwritten, erased atomic.Uint64
}

// New returns profiles that remember nothing yet, or what is wrong with the options.
func New(o Options) (*Profiles, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	return &Profiles{
		opt:     o,
		names:   names{o.HashKey},
		memory:  newMemory(o.Memory, o.life()+o.CallTimeout),
		guard:   fashionai.NewGuard(o.Breaker, o.MaxInFlight),
		flights: make(map[name]*flight),
	}, nil
}

// sweepEvery is how often what is too old leaves the memory.
const sweepEvery = time.Minute

// Run listens for erases of other pods and forgets what is too old, until ctx ends. It
// returns when the calls under way have.
func (p *Profiles) Run(ctx context.Context) error {
	var parts sync.WaitGroup
	switch {
	case p.opt.Remote == nil:
		p.opt.Log.InfoContext(ctx, "profiles are kept in this process's memory only: there is no Redis")
	case p.opt.Keys == nil:
		p.opt.Log.InfoContext(ctx, "profiles are kept in this process's memory only: profile.key_file is not set")
	}
	if p.opt.Remote != nil {
		parts.Go(func() { _ = p.opt.Remote.Subscribe(ctx, eraseChannel, p.receiveErase) }) // nil, when ctx ends
	}
	if p.opt.Keys != nil {
		parts.Go(func() {
			_ = p.opt.Keys.Run(ctx, func(err error) { // nil, when ctx ends
				p.opt.Log.ErrorContext(ctx, "the profile keys cannot be read; the last ones stay", "error", err)
			})
		})
	}
	parts.Go(func() { p.sweep(ctx) })
	parts.Wait()
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

func (p *Profiles) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			p.memory.sweep(p.useful)
		}
	}
}

// Answer is what a caller gets.
type Answer struct {
	// Status is 200 or 404 with the vendor's Body, 400 or 404 if what was asked for cannot
	// be, or 503 if there is nothing to serve.
	Status int
	// Body is the vendor's, byte for byte; not to be changed. Nil if Detail is set.
	Body []byte
	// JSON tells whether Body is a JSON object, as all the API documents are.
	JSON bool
	// Source is where Body comes from: the API, the cache, or the cache although it is stale.
	Source reco.Source
	// Reason is why Body is stale or there is none.
	Reason reco.Reason
	// Age is how old a Body from the cache is.
	Age time.Duration
	// Detail says in words why there is no Body. It quotes nothing.
	Detail string
	// RetryAfter is when to ask again, if Status is 503.
	RetryAfter time.Duration
}

// staleAfter is how long the API is waited for where there is something stale to serve.
const staleAfter = 150 * time.Millisecond

// Answer answers GET /api/v1/crm/protected/profile/{kind}/{value}, the value as it stands
// in the path. forced makes it ask the API whatever is remembered.
func (p *Profiles) Answer(kind, value string, forced bool) Answer {
	began := time.Now()
	id, err := ParsePath(kind, value)
	if err != nil {
		p.count.refused.Add(1)
		return refused(err)
	}
	asked := p.names.of(id.kind, id.normal)
	held := p.find(asked, began.Add(p.opt.Budget))
	status, q := p.judge(held), query{id, asked, held.profile, held.stamp + 1}
	if status == fresh && !forced {
		if p.aging(held) && p.guard.HeldBack() == nil {
			p.join(q) // and do not wait
		}
		return p.answer(held.entry, reco.FromCache, reco.NoReason)
	}
	wait := p.opt.Budget
	switch {
	case forced:
		q.wanted = began.UnixMicro() + 1 // nothing from before
	case status == stale:
		wait = min(wait, staleAfter)
	}
	r := p.ask(q, began.Add(wait))
	switch {
	case r.entry != nil:
		return p.answer(r.entry, r.source, reco.NoReason)
	case r.foreign != nil && (r.foreign.JSON || status == none):
		return p.pass(*r.foreign)
	case status == fresh:
		return p.answer(held.entry, reco.FromCache, reco.NoReason)
	case status == stale:
		return p.answer(held.entry, reco.FromStale, r.reason)
	default:
		return p.unavailable(r)
	}
}

// refused is the answer to what cannot be an identifier.
func refused(err error) Answer {
	if errors.Is(err, ErrKind) {
		return Answer{Status: 404, Detail: err.Error()}
	}
	return Answer{Status: 400, Detail: err.Error()}
}

func (p *Profiles) answer(e *entry, source reco.Source, reason reco.Reason) Answer {
	a := Answer{Status: 200, Body: e.body, JSON: true, Source: source, Reason: reason}
	if e.content == missing {
		a.Status = 404
	}
	switch source {
	case reco.FromStale:
		p.count.stale.Add(1)
		a.Age = time.Since(e.started)
	case reco.FromCache:
		p.count.cached.Add(1)
		a.Age = time.Since(e.started)
	default:
		p.count.api.Add(1)
	}
	return a
}

// pass passes on what the API said and the documentation does not.
func (p *Profiles) pass(a Answer) Answer {
	p.count.api.Add(1)
	a.Source = reco.FromAPI
	return a
}

const (
	defaultRetry = 2 * time.Second // when to ask again if nothing better is known
	longestRetry = time.Minute     // an operator's override may last longer, but need not
)

func (p *Profiles) unavailable(r result) Answer {
	p.count.unavailable.Add(1)
	retry := r.retry
	if retry <= 0 {
		retry = defaultRetry
	}
	return Answer{
		Status: 503, Reason: r.reason, RetryAfter: min(retry, longestRetry),
		Detail: "the profile API gave no answer (" + string(r.reason) + "), and there is no earlier one to serve",
	}
}

// status is what an entry is good for.
type status uint8

const (
	none  status = iota // nothing
	stale               // something, if the API cannot answer
	fresh               // an answer
)

func (p *Profiles) judge(f found) status {
	if f.entry == nil {
		return none
	}
	age := time.Since(f.since)
	switch {
	case f.content == missing && age < p.opt.NotFound:
		return fresh
	case f.content == profiled && age < p.opt.Fresh:
		return fresh
	case f.content == profiled && age < p.opt.life():
		return stale
	default:
		return none
	}
}

// aging tells whether a profile is fresh, but not for long: the rest of its time is used
// to get a new one before anybody has to wait for it.
func (p *Profiles) aging(f found) bool {
	return f.content == profiled && time.Since(f.since) >= p.opt.Fresh/5*4
}

// useful tells whether an entry can still be part of an answer.
func (p *Profiles) useful(e *entry) bool {
	life := p.opt.life()
	if e.content == missing {
		life = p.opt.NotFound
	}
	return time.Since(e.started) < life
}

// Stats are figures of Profiles, since the start.
type Stats struct {
	// API, Cached and Stale count answers by their source, Unavailable those that were a
	// 503, Refused what could not be an identifier.
	API, Cached, Stale, Unavailable, Refused uint64
	// Calls counts calls of the API; Undocumented those of its answers that have not the
	// documented structure and were passed on without being remembered.
	Calls, Undocumented uint64
	// Rubbish counts what was found in Redis and did not open; Unwritten what should have
	// been remembered there and was not.
	Rubbish, Unwritten uint64
	// Erased counts erases carried out by this process.
	Erased uint64
	// Bytes and Entries are what memory holds now.
	Bytes   int64
	Entries int
}

// Stats returns the present figures.
func (p *Profiles) Stats() Stats {
	c := &p.count
	s := Stats{
		API: c.api.Load(), Cached: c.cached.Load(), Stale: c.stale.Load(),
		Unavailable: c.unavailable.Load(), Refused: c.refused.Load(),
		Calls: c.calls.Load(), Undocumented: c.undocumented.Load(),
		Rubbish: c.rubbish.Load(), Unwritten: c.unwritten.Load(), Erased: c.erased.Load(),
	}
	s.Bytes, s.Entries = p.memory.size()
	return s
}
