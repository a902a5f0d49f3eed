package profile

import (
	"context"
	crand "crypto/rand"
	"math/rand/v2"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// query is what a request wants to know.
type query struct {
	id     Identifier
	asked  name // id's
	about  name // the profile's, as far as that is known: else asked
	wanted int64
}

// result is what asking has come to.
type result struct {
	found              // its entry is nil if there is none
	source reco.Source // of the entry: the API, or another pod
	// foreign is what the API said, if it is not what its documentation says.
	foreign *Answer
	// reason is why there is neither, retry when to try again if that is known.
	reason reco.Reason
	retry  time.Duration
}

// flight is one asking of the API, for all who wait for the profile.
type flight struct {
	query
	done   chan struct{} // closed when result is there
	result result
}

// answers tells whether the flight's result is one for q, too.
func (f *flight) answers(q query) bool {
	r := &f.result
	switch {
	case r.entry == nil && r.foreign == nil: // who else asks now would fare no better
		return true
	case f.asked != q.asked:
		return false
	case r.foreign != nil || r.content == missing:
		return f.id.asked == q.id.asked
	default:
		return r.source == reco.FromAPI || r.stamp >= q.wanted
	}
}

// flightsPerSlot bounds the flights under way and waiting for their turn: so many for
// each call that may be under way. Beyond it requests are refused.
const flightsPerSlot = 4

// ask returns what the API, or another pod, says in answer to q before the deadline. A
// flight that is under way for the profile is waited for; if that was by another
// identifier, it may have told nothing of ours, which is then asked by itself.
func (p *Profiles) ask(q query, deadline time.Time) result {
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	for {
		if held := p.guard.HeldBack(); held != nil {
			return result{reason: held.Reason, retry: held.Retry}
		}
		f := p.join(q)
		if f == nil {
			return result{reason: reco.Overload}
		}
		select {
		case <-f.done:
		case <-timer.C:
			return result{reason: reco.Timeout}
		}
		if f.answers(q) {
			return f.result
		}
		if held := p.memory.find(q.asked); p.judge(held) == fresh && held.stamp >= q.wanted {
			return result{found: held, source: reco.FromAPI}
		}
	}
}

// join returns the flight that is under way for a profile, or starts one; nil if there are
// too many. It is awaited by Run.
func (p *Profiles) join(q query) *flight {
	p.mu.Lock()
	defer p.mu.Unlock()
	if f, ok := p.flights[q.about]; ok {
		return f
	}
	if p.ended || len(p.flights) >= flightsPerSlot*p.opt.MaxInFlight {
		return nil
	}
	f := &flight{query: q, done: make(chan struct{})}
	p.flights[q.about] = f
	p.running.Go(func() { p.fly(f) })
	return f
}

// fly asks the API unless another pod has, and remembers the answer. Who waits is told
// before Redis is.
func (p *Profiles) fly(f *flight) {
	q := f.query
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.Budget)
	defer cancel()
	brought, giveBack, ok := p.turn(ctx, q)
	switch {
	case brought.entry != nil:
		f.result = result{found: brought, source: reco.FromCache}
	case !ok:
		f.result = result{reason: reco.Timeout}
	default:
		f.result = p.call(ctx, q)
	}
	r := &f.result
	fetched := r.entry != nil && r.source == reco.FromAPI && (r.content == profiled || q.id.usual())
	keep := fetched && p.keep(q.asked, r.entry)
	p.mu.Lock()
	delete(p.flights, q.about)
	p.mu.Unlock()
	close(f.done)
	if keep {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		p.share(ctx, q.asked, r.entry)
	}
	giveBack()
}

const (
	leasePoll   = 50 * time.Millisecond  // how often a pod that waits for another looks
	leaseAnswer = 500 * time.Millisecond // how long it waits for Redis
)

// turn waits until no other pod asks for the profile. It returns what another has brought
// meanwhile, or a function that lets the next have its turn; false if ctx ended first.
// Without Redis, everybody's turn is now: two calls do less harm than none.
func (p *Profiles) turn(ctx context.Context, q query) (brought found, giveBack func(), ok bool) {
	giveBack = func() {}
	if p.opt.Remote == nil || p.opt.Keys == nil { // nobody could bring us anything
		return found{}, giveBack, true
	}
	lease, owner := leasePrefix+q.about.text(), crand.Text()
	for {
		asking, cancel := context.WithTimeout(ctx, leaseAnswer)
		held, err := p.opt.Remote.Acquire(asking, lease, owner, p.opt.Budget+p.opt.CallTimeout+patience)
		cancel()
		if held {
			giveBack = func() { p.giveBack(lease, owner) }
		}
		if err != nil {
			return found{}, giveBack, true
		}
		if brought = p.look(q.asked, time.Now().Add(leaseAnswer)); p.judge(brought) == fresh && brought.stamp >= q.wanted {
			return brought, giveBack, true
		}
		if held {
			return found{}, giveBack, true
		}
		pause := time.NewTimer(leasePoll/2 + rand.N(leasePoll))
		select {
		case <-ctx.Done():
			pause.Stop()
			return found{}, giveBack, false
		case <-pause.C:
		}
	}
}

// giveBack ends a lease; one that Redis does not hear of ends by itself.
func (p *Profiles) giveBack(lease, owner string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.opt.Remote.Release(ctx, lease, owner); err != nil {
		p.opt.Log.Debug("a lease was not given back, and ends by itself", "error", err)
	}
}

// call asks the API, once it may.
func (p *Profiles) call(ctx context.Context, q query) (r result) {
	var started time.Time
	send := func() fashionai.Reply {
		started = time.Now()
		p.count.calls.Add(1)
		return p.opt.API.Fetch(q.id.path(), time.Time{}, "")
	}
	understand := func(reply *fashionai.Reply) breaker.Kind {
		r = p.understand(q, reply, started)
		return verdict(reply, &r)
	}
	if refused := p.guard.Call(ctx, send, understand); refused != nil {
		return result{reason: refused.Reason, retry: refused.Retry}
	}
	return r
}

// understand makes of a reply what the documentation says of it.
func (p *Profiles) understand(q query, reply *fashionai.Reply, started time.Time) result {
	e := &entry{content: missing, stamp: started.UnixMicro(), started: started, body: reply.Body, profile: q.asked}
	switch {
	case reply.Class == fashionai.OK && reply.Status == 200:
		id, ok := documented(reply.Body)
		if !ok {
			return p.foreign(reply)
		}
		e.content, e.profile = profiled, p.names.of(ByID, id)
	case reply.Class == fashionai.NotFound && reply.Status == 404:
		if !isObject(reply.Body) {
			return p.foreign(reply)
		}
	default:
		if reply.Class == fashionai.Unauthorized {
			p.opt.Log.Error("the profile API refuses the token", "status", reply.Status)
		}
		return result{reason: failed(reply), retry: reply.RetryAfter}
	}
	return result{source: reco.FromAPI, found: found{entry: e, profile: e.profile, stamp: e.stamp, since: started}}
}

func (p *Profiles) foreign(reply *fashionai.Reply) result {
	p.count.undocumented.Add(1)
	p.opt.Log.Warn("the profile API gave an answer that its documentation does not describe: it is passed on, and not remembered",
		"status", reply.Status, "bytes", len(reply.Body))
	return result{
		reason:  reco.BadAnswer,
		foreign: &Answer{Status: reply.Status, Body: reply.Body, JSON: isObject(reply.Body)},
	}
}

// failed is why a reply is no answer; of a status that is good elsewhere, the status.
func failed(reply *fashionai.Reply) reco.Reason {
	if reply.Class == fashionai.OK {
		return reco.HTTPStatus(reply.Status)
	}
	return reply.Reason()
}

// verdict is what a call says about the health of the API.
func verdict(reply *fashionai.Reply, r *result) breaker.Kind {
	switch reply.Class {
	case fashionai.OK, fashionai.NotFound:
		if r.foreign != nil && !r.foreign.JSON { // the page of something in between
			return breaker.Failure
		}
		return breaker.Success
	case fashionai.Rejected:
		return breaker.Success
	case fashionai.Unauthorized, fashionai.RateLimited:
		return breaker.Ignored
	case fashionai.Unreachable:
		return breaker.ConnectFailure
	default:
		return breaker.Failure
	}
}
