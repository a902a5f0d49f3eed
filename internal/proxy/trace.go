package proxy

import (
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/trace"
)

// Tracer begins the spans of requests. [trace.Tracer] is one.
type Tracer interface {
	// Server begins the span of a request under way since began, which came with a context, the
	// zero one if with none. It returns nil for one that is not sampled.
	Server(name string, from trace.Context, began time.Time) *trace.Span
}

// trace begins the span of a request that came with a context, the zero one if with none,
// and returns what its events are sent with. Unless it is sampled that is what it came with: a trace
// that nobody keeps is passed on, and none is begun.
func (p *Proxy) trace(name string, from trace.Context, began time.Time) (trace.Context, *trace.Span) {
	if p.opt.Tracer == nil {
		return from, nil
	}
	span := p.opt.Tracer.Server(name, from, began)
	if span == nil {
		return from, nil
	}
	return span.Context(), span
}

// contextOf reads the header traceparent: zero unless there is one, and a valid one.
//
// tracestate is not read: it is for those who serve the trace, and the API is somebody else's.
func contextOf(rc *fasthttp.RequestCtx, seen surveyed) trace.Context {
	if !seen.traced {
		return trace.Context{}
	}
	values := rc.Request.Header.PeekAll("Traceparent")
	if len(values) != 1 {
		return trace.Context{}
	}
	from, _ := trace.Parse(values[0])
	return from
}

// tell ends the request's span, if it has one, with what became of the request; nothing of
// the session or of what it looked at.
func (v *visit) tell() {
	if v.span == nil {
		return
	}
	v.span.Set("vitrine.event.type", v.req.Type.String())
	v.span.Set("vitrine.source", v.answer.Source.String())
	v.span.Set("vitrine.reason", string(v.answer.Reason))
	v.span.Set("vitrine.cache_status", string(appendCacheStatus(nil, &v.answer)))
	if v.ticket.Accepted() {
		v.span.Set("vitrine.event.id", v.ticket.ID.String())
	}
	endSpan(v.span, pathRecommendation)
}

// endSpan ends the span of a request that was answered at that path.
func endSpan(s *trace.Span, path string) {
	s.Set("http.request.method", fasthttp.MethodPost)
	s.Set("http.route", path)
	s.SetInt("http.response.status_code", fasthttp.StatusOK)
	s.End()
}
