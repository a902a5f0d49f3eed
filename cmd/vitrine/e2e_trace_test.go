package main_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"vitrine/bench/fakeapi"
)

const (
	traceID     = "0af7651916cd43dd8448eb211c80319c"
	traceparent = "00-" + traceID + "-b7ad6b7169203331-01"
	unsampled   = "00-" + traceID + "-b7ad6b7169203331-00"
)

// askTraced asks as a part of a trace.
func (s *sidecar) askTraced(path, question string, traceparents ...string) int {
	s.t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, s.data+path, strings.NewReader(question))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header["Traceparent"] = traceparents
	r.Header.Set("Tracestate", "vendor=session-of-somebody")
	resp, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode
}

// traceparents are what the API was sent with each item.
func traceparents(api *fakeapi.Server) map[string]string {
	sent := make(map[string]string)
	for _, e := range api.Ledger() {
		sent[e.ID] = e.Traceparent
	}
	return sent
}

// The API gets an event with the traceparent of its request, with tracing off, and also when
// another process delivers it.
func TestE2ETraceparent(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	s.askTraced(recommendation, productView("s1", "now"), traceparent)
	s.askTraced(recommendation, productView("s1", "not-kept"), unsampled)
	s.askTraced(recommendation, productView("s2", "invalid"), strings.ToUpper(traceparent))
	s.askTraced(recommendation, productView("s2", "two"), traceparent, traceparent)
	s.ask(productView("s2", "none"))
	page := `{"events":[` + productView("s3", "page1") + `,` + productView("s3", "page2") + `]}`
	if got := s.askTraced("/v1/page", page, traceparent); got != http.StatusOK {
		t.Errorf("got status %d for a page, want 200", got)
	}
	s.settled(7)
	sick(t, api, fakeapi.Fault{Status: http.StatusServiceUnavailable})
	s.askTraced(recommendation, productView("s4", "later"), traceparent)
	s.kill()

	sick(t, api, fakeapi.Fault{})
	next := start(t, api.URL(), "--outbox.dir="+s.outbox)
	eventually(t, "the event is delivered", func() bool { return next.metrics()["vitrine_events_delivered_total"] >= 1 })
	want := map[string]string{
		"now": traceparent, "not-kept": unsampled, "invalid": "", "two": "", "none": "",
		"page1": traceparent, "page2": traceparent, "later": traceparent,
	}
	if got := traceparents(api); !maps.Equal(got, want) {
		t.Errorf("got the API sent %v, want %v", got, want)
	}
	if got := next.metrics()["vitrine_trace_spans_exported_total"]; got != 0 {
		t.Errorf("got %v spans exported with tracing off, want 0", got)
	}
}

// traceCollector is where spans go.
type traceCollector struct {
	*httptest.Server

	mu    sync.Mutex
	raw   []byte // all that was posted
	spans []*otlp.Span
}

func newTraceCollector(t *testing.T) *traceCollector {
	t.Helper()
	c := new(traceCollector)
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var posted collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(body, &posted)
		}
		if err != nil || r.URL.Path != "/v1/traces" {
			http.Error(w, "no traces", http.StatusBadRequest)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.raw = append(c.raw, body...)
		for _, r := range posted.GetResourceSpans() {
			for _, s := range r.GetScopeSpans() {
				c.spans = append(c.spans, s.GetSpans()...)
			}
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// of returns the spans of a kind, by when they began.
func (c *traceCollector) of(kind otlp.Span_SpanKind) []*otlp.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	some := slices.DeleteFunc(slices.Clone(c.spans), func(s *otlp.Span) bool { return s.GetKind() != kind })
	slices.SortFunc(some, func(a, b *otlp.Span) int { return int(a.GetStartTimeUnixNano()) - int(b.GetStartTimeUnixNano()) })
	return some
}

// attributesOf are the attributes of a span, numbers in figures.
func attributesOf(s *otlp.Span) map[string]string {
	all := make(map[string]string)
	for _, a := range s.GetAttributes() {
		all[a.GetKey()] = a.GetValue().GetStringValue()
		if n := a.GetValue().GetIntValue(); n != 0 {
			all[a.GetKey()] = http.StatusText(int(n))
		}
	}
	return all
}

// A request that is sampled has a span, below it is the call that carries its event, and below
// that whatever the API does. Nothing in them is of a person, and of other requests there is nothing.
func TestE2ESpans(t *testing.T) {
	t.Parallel()
	api, traces := newAPI(t), newTraceCollector(t)
	s := launchIn(t, []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.URL, "OTEL_SERVICE_NAME=shop-front", "OTEL_TRACES_SAMPLER=parentbased_always_off",
	}, "--upstream.url="+api.URL(), "--upstream.token="+fakeapi.DefaultToken, "--budget=10s")
	s.awaitReady()
	question := `{"userId":"user-secret","sessionId":"session-secret","eventType":"productView","data":{"id":"item-secret"}}`
	s.askTraced(recommendation, question, traceparent)
	s.settled(1)
	s.askTraced(recommendation, question, traceparent) // a hit
	s.settled(2)
	s.askTraced("/v1/page", `{"events":[`+question+`]}`, traceparent)
	s.settled(3)
	s.askTraced(recommendation, productView("session-secret", "not-kept"), unsampled)
	s.ask(productView("session-secret", "none"))
	s.call(http.MethodGet, s.probes+"/livez", "") // a self-call
	s.settled(5)
	if got := s.stop(); got != 0 {
		t.Fatalf("got exit code %d, want 0", got)
	}

	requests, calls := traces.of(otlp.Span_SPAN_KIND_SERVER), traces.of(otlp.Span_SPAN_KIND_CLIENT)
	if len(requests) != 3 || len(calls) != 3 || len(traces.spans) != 6 {
		t.Fatalf("got %d requests and %d calls among %d spans, want 3 and 3 of 6", len(requests), len(calls), len(traces.spans))
	}
	var sent []string
	for _, e := range api.Ledger() {
		sent = append(sent, e.Traceparent)
	}
	for i, request := range requests {
		if got := hex.EncodeToString(request.GetTraceId()); got != traceID {
			t.Errorf("request %d: got trace %s, want %s", i, got, traceID)
		}
		if got, want := hex.EncodeToString(request.GetParentSpanId()), "b7ad6b7169203331"; got != want {
			t.Errorf("request %d: got it below %s, want %s", i, got, want)
		}
		if got, want := calls[i].GetParentSpanId(), request.GetSpanId(); !bytes.Equal(got, want) {
			t.Errorf("call %d: got it below %x, want its request %x", i, got, want)
		}
		if got, want := sent[i], "00-"+traceID+"-"+hex.EncodeToString(calls[i].GetSpanId())+"-01"; got != want {
			t.Errorf("call %d: got the API sent %q, want %q", i, got, want)
		}
	}
	if want := []string{unsampled, ""}; !slices.Equal(sent[3:], want) {
		t.Errorf("got the API sent %q with what is not sampled, want %q", sent[3:], want)
	}
	for i, want := range []map[string]string{
		{"vitrine.source": "api", "vitrine.cache_status": "vitrine; fwd=miss; fwd-status=200; stored"},
		{"vitrine.source": "cache"},
	} {
		got := attributesOf(requests[i])
		if i == 1 && !strings.HasPrefix(got["vitrine.cache_status"], "vitrine; hit; ") {
			t.Errorf("got cache status %q of a hit, want a hit", got["vitrine.cache_status"])
		}
		want["vitrine.event.type"], want["http.response.status_code"], want["http.route"] = "productView", "OK", recommendation
		for key, value := range want {
			if got[key] != value {
				t.Errorf("request %d: got %s %q, want %q", i, key, got[key], value)
			}
		}
	}
	if got := attributesOf(requests[2]); got["http.route"] != "/v1/page" || got["vitrine.source"] != "" {
		t.Errorf("got a page's request with %v, want its route and no single source", got)
	}
	if got := attributesOf(calls[0]); got["vitrine.outcome"] != "ok" || got["server.address"] != "127.0.0.1" {
		t.Errorf("got a call with %v, want an ok one to 127.0.0.1", got)
	}
	for _, secret := range []string{"secret", "somebody", fakeapi.DefaultToken} {
		if bytes.Contains(traces.raw, []byte(secret)) {
			t.Errorf("got %q among what the collector was sent, want nothing of a person", secret)
		}
	}
	if !bytes.Contains(traces.raw, []byte("shop-front")) {
		t.Error("got no service name, want that of the environment")
	}
}

// Reading Redis is a call below the request, which does not name the session; of a request that is not
// sampled there is no span.
func TestE2ESpansOfRedis(t *testing.T) {
	t.Parallel()
	api, traces := newAPI(t), newTraceCollector(t)
	s := launchIn(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + traces.URL, "OTEL_TRACES_SAMPLER=parentbased_always_off"},
		"--upstream.url="+api.URL(), "--upstream.token="+fakeapi.DefaultToken, "--budget=10s", "--redis.url=embedded", "--redis.budget=5s")
	s.awaitReady()
	s.askTraced(recommendation, productView("session-secret", "a"), traceparent)
	s.askTraced(recommendation, productView("session-secret", "b"), unsampled)
	s.settled(2)
	if got := s.stop(); got != 0 {
		t.Fatalf("got exit code %d, want 0", got)
	}
	requests, calls := traces.of(otlp.Span_SPAN_KIND_SERVER), traces.of(otlp.Span_SPAN_KIND_CLIENT)
	if len(requests) != 1 || len(calls) != 2 {
		t.Fatalf("got %d requests and %d calls, want 1 and 2", len(requests), len(calls))
	}
	names := make(map[string]string)
	for _, call := range calls {
		names[call.GetName()] = attributesOf(call)["vitrine.outcome"]
		if got, want := call.GetParentSpanId(), requests[0].GetSpanId(); !bytes.Equal(got, want) {
			t.Errorf("%s: got it below %x, want the request %x", call.GetName(), got, want)
		}
	}
	if want := map[string]string{"HMGET": "miss", "POST recommendation": "ok"}; !maps.Equal(names, want) {
		t.Errorf("got calls %v, want %v", names, want)
	}
	if bytes.Contains(traces.raw, []byte("secret")) {
		t.Error("got the session among what the collector was sent, want nothing of it")
	}
}

// A collector that is away costs spans: they are counted, and shoppers do not notice.
func TestE2ECollectorAway(t *testing.T) {
	t.Parallel()
	api, gone := newAPI(t), newTraceCollector(t)
	gone.Close()
	s := launchIn(t, []string{"OTEL_EXPORTER_OTLP_ENDPOINT=" + gone.URL, "OTEL_TRACES_SAMPLER=no such"},
		"--upstream.url="+api.URL(), "--upstream.token="+fakeapi.DefaultToken, "--budget=10s")
	s.awaitReady()
	if s.log.find("tracing: the environment is not as it should be") == nil {
		t.Errorf("got no word of a sampler that there is none of, want one:\n%s", s.log)
	}
	if got := s.ask(productView("s", "a")); got.source != "api" {
		t.Errorf("got %v, want the API's answer", got)
	}
	s.settled(1)
	if got := s.stop(); got != 0 {
		t.Errorf("got exit code %d, want 0", got)
	}
	if s.log.find("traces are dropped: the collector does not take them") == nil {
		t.Errorf("got no word of traces that were dropped, want one:\n%s", s.log)
	}
}
