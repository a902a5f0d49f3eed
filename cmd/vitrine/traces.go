package main

import (
	"fmt"
	"net/url"
	"strconv"

	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/ops"
	"vitrine/internal/trace"
)

// makeTracer makes the sender of spans, if the environment asks for one. What is wrong there
// costs spans, not the shop.
func (s *sidecar) makeTracer() error {
	if s.origin == nil {
		return nil
	}
	o, on, err := trace.FromEnvironment(s.origin.environ)
	if err != nil {
		s.log.Warn("tracing: the environment is not as it should be", "error", err)
	}
	if !on {
		return nil
	}
	o.Version, _ = buildVersion()
	if o.Resource["service.version"] == "" {
		o.Resource["service.version"] = o.Version
	}
	o.Log = s.log
	tracer, err := trace.New(o)
	if err != nil {
		s.log.Error("tracing is off", "error", err)
		return nil
	}
	s.tracer = tracer
	s.base = append(s.base, part{"traces", tracer.Run})
	return nil
}

// eventAPI is the API as events are delivered to it: counted, and traced if spans are made.
func (s *sidecar) eventAPI() (delivery.API, error) {
	api := measured{s.api, s.metrics, s.log}
	if s.tracer == nil {
		return api, nil
	}
	u, err := url.Parse(string(s.conf.Upstream.URL))
	if err != nil {
		return nil, fmt.Errorf("upstream.url: %w", err)
	}
	return traced{api, s.tracer, u.Hostname()}, nil
}

// traced is an API with a span for every call, if the trace of the event's request is kept.
// An event is delivered when it can be, maybe by another process than the one that accepted
// it; its span is below the request's all the same.
type traced struct {
	delivery.API
	tracer *trace.Tracer
	host   string // the API's
}

// Recommend posts an event, with its span in place of the request's as what the API is below.
func (t traced) Recommend(c fashionai.Call) fashionai.Outcome {
	from, _ := trace.Parse(c.Traceparent) // none, if there is none
	span := t.tracer.Client("POST recommendation", from)
	if span == nil {
		return t.API.Recommend(c)
	}
	c.Traceparent = span.Context().String()
	out := t.API.Recommend(c)
	t.tell(span, &out)
	return out
}

// tell ends a call's span with what came of it; nothing of the event.
func (t traced) tell(span *trace.Span, out *fashionai.Outcome) {
	span.Set("http.request.method", "POST")
	span.Set("server.address", t.host)
	span.Set("vitrine.outcome", out.Class.String())
	if out.Status != 0 {
		span.SetInt("http.response.status_code", out.Status)
	}
	if out.StaleRetries > 0 {
		span.SetInt("http.request.resend_count", out.StaleRetries)
	}
	switch {
	case out.Class == fashionai.OK || out.Class == fashionai.Empty:
	case out.Status >= 400:
		span.Set("error.type", strconv.Itoa(out.Status))
		span.Fail(out.Class.String())
	default:
		span.Set("error.type", out.Class.String())
		span.Fail(out.Class.String())
	}
	span.End()
}

// traceFigures is what the metrics tell of spans: zeros, if none are made.
func (s *sidecar) traceFigures() []ops.Figure {
	counter := func(name, help string, of func(trace.Stats) uint64) ops.Figure {
		return ops.Figure{Name: name, Help: help, Counter: true, Value: func() float64 {
			if s.tracer == nil {
				return 0
			}
			return float64(of(s.tracer.Stats()))
		}}
	}
	return []ops.Figure{
		counter("vitrine_trace_spans_exported_total", "Spans that the trace collector has taken.", func(t trace.Stats) uint64 { return t.Exported }),
		counter("vitrine_trace_spans_dropped_total", "Spans given up: too many waited, or the trace collector did not take them.", func(t trace.Stats) uint64 { return t.Dropped }),
	}
}
