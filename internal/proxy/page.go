package proxy

import (
	"strconv"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// page answers POST /v1/page: all shelves of a page, side by side under one budget. It is
// a part of the trace from, if that is not zero.
func (p *Proxy) page(rc *fasthttp.RequestCtx, from trace.Context) {
	began := time.Now()
	body, refused := jsonBody(rc)
	if refused != nil {
		p.refuse(rc, refused)
		return
	}
	page, err := reco.ParsePageful(body)
	if err != nil {
		p.refuse(rc, malformed(err))
		return
	}
	from, span := p.trace("POST "+pathPage, from, began)
	shelves := p.shelves(page, from, span, began)
	dst := append(rc.Response.Body(), `{"results":[`...)
	for i := range shelves {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendShelf(dst, &shelves[i])
	}
	rc.Response.Header.SetContentType("application/json")
	rc.Response.Header.Set("Cache-Control", "private, no-store")
	rc.Response.SetBody(append(dst, `]}`...))
	if span != nil {
		span.SetInt("vitrine.page.events", len(shelves))
		endSpan(span, pathPage)
	}
}

// shelves answers every event of a page: accepted one after the other, in the page's
// order, then answered side by side.
func (p *Proxy) shelves(page reco.Pageful, from trace.Context, span *trace.Span, began time.Time) []visit {
	budget := p.budgets.Load().page
	if page.Budget > 0 {
		budget = min(page.Budget, mostBudget*budget)
	}
	shelves := make([]visit, len(page.Requests))
	for i := range shelves {
		shelves[i].req, shelves[i].from, shelves[i].span = page.Requests[i], from, span
		p.accept(&shelves[i], began)
	}
	var all sync.WaitGroup
	for i := range shelves {
		v, own := &shelves[i], budget
		if v.req.Budget > 0 {
			own = min(own, v.req.Budget)
		}
		all.Go(func() {
			p.answer(v, began.Add(own))
			p.opt.Observe(v.req.Type, &v.answer, time.Since(began))
		})
	}
	all.Wait()
	return shelves
}

// appendShelf appends one result of a page.
func appendShelf(dst []byte, s *visit) []byte {
	list := s.answer.Ranking.JSON()
	dst = append(dst, list[:len(list)-1]...) // it is an object: its other members follow
	dst = append(dst, `,"source":"`...)
	dst = append(dst, s.answer.Source.String()...)
	dst = append(dst, '"')
	if s.answer.Reason != reco.NoReason {
		dst = append(dst, `,"reason":"`...)
		dst = append(dst, s.answer.Reason...)
		dst = append(dst, '"')
	}
	if s.answer.Source == reco.FromCache || s.answer.Source == reco.FromStale {
		dst = strconv.AppendInt(append(dst, `,"age":`...), int64(s.answer.Age/time.Second), 10)
	}
	if s.ticket.Accepted() {
		dst = append(dst, `,"event":"`...)
		dst = append(s.ticket.ID.AppendTo(dst), '"')
	}
	return append(dst, '}')
}
