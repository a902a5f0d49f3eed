package lists

import (
	"context"
	"net/http"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// asked is what a flight answers. Who wants nothing from before does not join one that may
// bring it.
type asked struct {
	key    key
	forced bool
}

// result is what asking has come to.
type result struct {
	entry  *entry      // nil if there is none
	source reco.Source // of the entry: the API, or another pod
	// pass is what the API said, where that is not to be remembered: it is passed on if
	// there is nothing better.
	pass *Answer
	// reason is why there is no entry, retry when to try again if that is known.
	reason reco.Reason
	retry  time.Duration
}

// flight is one asking of the API, for all who wait for the answer.
type flight struct {
	question
	as     asked
	owner  key           // of whose session the answer is; zero = everybody's
	done   chan struct{} // closed when result is there
	result result

	erased bool // the session has gone meanwhile; guarded by Lists.mu
}

// flightsPerSlot bounds the flights under way and waiting for their turn: so many for
// each call that may be under way. Beyond it requests are refused.
const flightsPerSlot = 4

// ask returns what the API, or another pod, says in answer to q before the deadline.
func (l *Lists) ask(q question, forced bool, deadline time.Time) result {
	f := l.join(q, forced)
	if f == nil {
		return result{reason: reco.Overload}
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-f.done:
		return f.result
	case <-timer.C:
		return result{reason: reco.Timeout}
	}
}

// join returns the flight that is under way for a question, or starts one; nil if there
// are too many. It is awaited by Run.
func (l *Lists) join(q question, forced bool) *flight {
	at := asked{q.key, forced}
	l.mu.Lock()
	defer l.mu.Unlock()
	if f, ok := l.flights[at]; ok {
		return f
	}
	if l.ended || len(l.flights) >= flightsPerSlot*l.opt.MaxInFlight {
		return nil
	}
	f := &flight{question: q, as: at, done: make(chan struct{})}
	if q.session != "" {
		f.owner = l.hash("session", []byte(q.session))
	}
	l.flights[at] = f
	l.running.Go(func() { l.fly(f) })
	return f
}

// fly brings an answer and remembers it. Who waits is told before Redis is.
func (l *Lists) fly(f *flight) {
	f.result = l.bring(f)
	e := f.result.entry
	l.mu.Lock()
	delete(l.flights, f.as)
	if e != nil && !f.erased {
		l.memory.keep(f.key, e)
	}
	l.mu.Unlock()
	close(f.done)
	if e != nil && f.result.source == reco.FromAPI {
		l.share(f.question, e)
	}
}

// bring asks Redis, unless it must be the API, and then the API. What is stale or about to
// be in Redis is kept for the case that the API has no answer.
func (l *Lists) bring(f *flight) result {
	ctx, cancel := context.WithDeadline(context.Background(), l.deadline())
	defer cancel()
	if e := l.look(ctx, f.question); e != nil {
		if !f.as.forced && l.judge(e) == fresh && !l.aging(e) {
			return result{entry: e, source: reco.FromCache}
		}
		l.memory.keep(f.key, e)
	}
	return l.call(ctx, f)
}

// call asks the API, if it may.
func (l *Lists) call(ctx context.Context, f *flight) (r result) {
	var started time.Time
	send := func() fashionai.Reply {
		started = time.Now()
		return l.send(f.question)
	}
	weigh := func(reply *fashionai.Reply) (kind breaker.Kind) {
		r, kind = l.weigh(f, reply, started)
		return kind
	}
	if refused := l.guard.Call(ctx, send, weigh); refused != nil {
		return result{reason: refused.Reason, retry: refused.Retry}
	}
	return r
}

func (l *Lists) send(q question) fashionai.Reply {
	l.count.calls.Add(1)
	if l.table[q.kind].method == http.MethodPost {
		return l.opt.API.Post(q.path, q.body, time.Time{}, "")
	}
	return l.opt.API.Fetch(q.path, time.Time{}, "")
}

// weigh says what a reply is worth, and what it says about the health of the API.
func (l *Lists) weigh(f *flight, reply *fashionai.Reply, started time.Time) (result, breaker.Kind) {
	e := &entry{kind: f.kind, status: reply.Status, body: reply.Body, started: started, owner: f.owner}
	pass := &Answer{Status: reply.Status, Body: reply.Body, JSON: true, Source: reco.FromAPI}
	object := isObject(reply.Body)
	switch {
	case reply.Class == fashionai.OK && reply.Status == http.StatusOK:
		c, err := l.table[f.kind].check(reply.Body)
		switch {
		case err == nil && !c.empty:
			e.body, e.until = c.body, c.until
			return result{entry: e, source: reco.FromAPI}, breaker.Success
		case err == nil:
			return result{pass: pass, reason: reco.Empty}, breaker.Success
		case object:
			l.undocumented(f.kind, reply)
			return result{pass: pass, reason: reco.BadAnswer}, breaker.Success
		}
	case reply.Class == fashionai.NotFound && reply.Status == http.StatusNotFound && object:
		return result{entry: e, source: reco.FromAPI}, breaker.Success
	case reply.Class == fashionai.Rejected && object:
		return result{pass: pass, reason: reply.Reason()}, breaker.Success
	}
	return l.failed(f.kind, reply)
}

// failed is the end of a call that has brought nothing to serve.
func (l *Lists) failed(k Kind, reply *fashionai.Reply) (result, breaker.Kind) {
	r := result{reason: reply.Reason(), retry: reply.RetryAfter}
	switch reply.Class {
	case fashionai.RateLimited:
		return r, breaker.Ignored
	case fashionai.Unauthorized:
		l.opt.Log.Error("the API refuses the token for a list", "list", k.String(), "status", reply.Status)
		return r, breaker.Ignored
	case fashionai.Unreachable:
		return r, breaker.ConnectFailure
	case fashionai.OK, fashionai.NotFound, fashionai.Rejected: // the page of something in between
		l.undocumented(k, reply)
		r.reason = reco.BadAnswer
	default:
	}
	return r, breaker.Failure
}

func (l *Lists) undocumented(k Kind, reply *fashionai.Reply) {
	l.count.undocumented.Add(1)
	l.opt.Log.Warn("the API gave a list that is not as documented: it is not remembered",
		"list", k.String(), "status", reply.Status, "bytes", len(reply.Body))
}
