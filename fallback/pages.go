package fallback

import (
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// Orders keeps the order of a list while a shopper turns its pages. [cache.Cache] is one.
type Orders interface {
	// Freeze keeps the order that e was answered in, in place of the one before.
	Freeze(e reco.Event, o cache.Order)
	// Frozen returns the order frozen last for e, not later than the deadline, and
	// false if there is none. Its calls are below the span under.
	Frozen(e reco.Event, deadline time.Time, under *trace.Span) (cache.Order, bool)
}

// page answers with one page of a list. The first page freezes the list as it is then,
// dressed; the others are cut from it, so that they repeat nothing and miss nothing. If
// it is forgotten, the page asked for freezes it anew.
func (a *asking) page(held cache.Found) reco.Answer {
	if order, found := a.frozen(); found {
		a.ticket.Release()
		a.path.frozen(order)
		return a.cut(reco.Answer{
			Ranking: order.Ranking, Source: order.Source, Reason: order.Reason,
			Age: order.Age, TTL: order.TTL, Tier: order.Tier,
		})
	}
	asked := a.req
	whole := *asked
	whole.Limit = 0 // it is the page's
	a.req = &whole
	answer := a.list(held)
	a.req = asked
	a.freeze(answer)
	return a.cut(answer)
}

func (a *asking) frozen() (cache.Order, bool) {
	if a.opt.Orders == nil || a.req.Page.Number == 1 || a.req.Bot {
		return cache.Order{}, false
	}
	return a.opt.Orders.Frozen(a.req.Event, a.deadline, a.span)
}

// freeze keeps the order of an answer for the pages to come. A bot's is not worth that,
// and an explanation changes nothing.
func (a *asking) freeze(whole reco.Answer) {
	if a.opt.Orders == nil || a.req.Bot || a.path != nil {
		return
	}
	a.opt.Orders.Freeze(a.req.Event, cache.Order{
		Ranking: whole.Ranking, Source: whole.Source, Reason: whole.Reason, Age: whole.Age, TTL: whole.TTL,
	})
}

// cut cuts the page out of a whole list. What may no longer be shown goes from it, and
// nothing comes in its place: that is on another page.
func (a *asking) cut(whole reco.Answer) reco.Answer {
	sources := a.path.sources(whole)
	ids := pageOf(whole.Ranking.IDs(), a.req.Page)
	dressed := a.dresser.Dress(&Job{
		Request: a.req,
		Head:    Course{Ranking: reco.NewRanking(ids), Source: whole.Source},
		At:      time.Now(),
		Trace:   a.path.dressing(),
	})
	a.path.restore(sources, dressed.Ranking)
	return conclude(whole, dressed, cache.Found{})
}

// pageOf returns the part of a list that is on a page: none of it beyond its end.
func pageOf[T any](list []T, p reco.Page) []T {
	if p.Number-1 > len(list)/p.Size { // before it is multiplied: both may be huge
		return nil
	}
	start := min(len(list), (p.Number-1)*p.Size)
	return list[start:min(len(list), start+p.Size)]
}
