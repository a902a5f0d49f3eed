package proxy

import (
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// recommend is a request's whole journey: POST /api/v1/products/protected/recommendation. It is
// a part of the trace from, if that is not zero.
func (p *Proxy) recommend(rc *fasthttp.RequestCtx, from trace.Context) {
	began := time.Now()
	body, refused := jsonBody(rc)
	if refused != nil {
		p.refuse(rc, refused)
		return
	}
	v := visits.Get().(*visit) //nolint:errcheck,forcetypeassert // the pool holds nothing else
	defer v.end()
	var err error
	if v.req, err = reco.ParseRequest(body); err != nil { // copies: nothing of rc outlives this call
		p.refuse(rc, malformed(err))
		return
	}
	v.from, v.span = p.trace("POST "+pathRecommendation, from, began)
	p.accept(v, began)
	p.answer(v, began.Add(p.Budget(&v.req)))
	writeAnswer(rc, v)
	p.observed(rc, v, time.Since(began))
}

// visit is a request on its way.
type visit struct {
	req    reco.Request
	from   trace.Context   // the trace its event is sent with; zero if none
	span   *trace.Span     // its own, or that of its page; nil if it is not traced
	held   cache.Found     // what memory had for it
	ticket delivery.Ticket // of its accepted event; a bot has none
	answer reco.Answer
}

// visits are used again, so that a memory hit allocates nothing for them.
var visits = sync.Pool{New: func() any { return new(visit) }} //nolint:gochecknoglobals // a pool holds no state

func (v *visit) end() {
	*v = visit{}
	visits.Put(v)
}

// accept makes the event of a request that has just come certain to reach the API.
func (p *Proxy) accept(v *visit, came time.Time) {
	if v.req.Bot {
		return
	}
	defer p.recovered(nil)
	v.held = p.opt.Rankings.Peek(v.req.Event, came) // memory only: no wait, no allocation
	wanted := v.held.Status != cache.Fresh && p.opt.Ladder.Wanted(&v.req)
	v.ticket = p.opt.Delivery.Accept(v.req.Event, came, v.from, wanted) // journalled when this returns
}

// answer finds the best list for an accepted request before the deadline.
func (p *Proxy) answer(v *visit, deadline time.Time) {
	defer p.recovered(func() { v.answer = leftover(&v.req) })
	v.answer = p.opt.Ladder.Answer(&v.req, v.held, &v.ticket, deadline, v.span)
}

// Budget is the longest this request's shopper waits.
func (p *Proxy) Budget(req *reco.Request) time.Duration {
	configured := p.budgets.Load().events[req.Type]
	if req.Budget == 0 {
		return configured
	}
	return min(req.Budget, mostBudget*configured)
}

// mostBudget is how many times the configured budget a request may ask for.
const mostBudget = 5

// recovered, deferred, keeps a panic on the way from costing the shopper the list:
// instead says what to do in place of what panicked.
func (p *Proxy) recovered(instead func()) {
	cause := recover()
	if cause == nil {
		return
	}
	p.panicked(cause)
	if instead != nil {
		instead()
	}
}

// leftover answers from the request alone.
func leftover(req *reco.Request) reco.Answer {
	a := reco.Answer{Reason: reco.Unreachable}
	if own := reco.NewRanking(req.Native); !own.Empty() {
		a.Ranking, a.Source = own, reco.FromNative
	}
	return a
}
