package cache_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"vitrine/cache"
	"vitrine/internal/redis"
	"vitrine/internal/trace"
)

// collected is a collector that keeps what it is sent.
type collected struct{ spans []*otlp.Span }

// RoundTrip takes a post.
func (c *collected) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var posted collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &posted); err != nil {
		return nil, err
	}
	for _, resource := range posted.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// traced lets ask read Redis below the span of a request, and returns what became of the
// reads that were told of.
func traced(t *testing.T, ask func(request *trace.Span)) (outcomes []string) {
	t.Helper()
	sent := new(collected)
	tracer, err := trace.New(trace.Options{
		URL: "http://collector", Transport: sent, Sampler: trace.KeepAll(), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = tracer.Run(ctx) }) // it ends with ctx
	request := tracer.Server("POST /path", trace.Context{}, time.Now())
	ask(request)
	request.End()
	stop()
	running.Wait()

	whole := sent.spans[len(sent.spans)-1]
	for _, s := range sent.spans[:len(sent.spans)-1] {
		if s.GetName() != "HMGET" || s.GetKind() != otlp.Span_SPAN_KIND_CLIENT || !slices.Equal(s.GetParentSpanId(), whole.GetSpanId()) {
			t.Errorf("got %v, want a client's HMGET below the request", s)
		}
		for _, a := range s.GetAttributes() {
			if a.GetKey() == "vitrine.outcome" {
				outcomes = append(outcomes, a.GetValue().GetStringValue())
			}
		}
		failed := s.GetStatus().GetCode() == otlp.Status_STATUS_CODE_ERROR
		if last := outcomes[len(outcomes)-1]; failed != (last == "late" || last == "error") {
			t.Errorf("got status %v of what was %s", s.GetStatus(), last)
		}
	}
	return outcomes
}

// failing takes every batch and carries out none.
type failing struct{ deaf }

func (failing) Pipe(b redis.Batch) error {
	go b.Done(nil, errors.New("READONLY of a key"))
	return nil
}
func (failing) Publish(context.Context, string, string) error { return nil }

// A read of Redis is a call below its request, and what it brought is told; one that was not
// made is not, nor is what memory answers.
func TestReadsOfRedisAreTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, shared := pods(t)
		known, order := view("s", "a"), browse("s", "dresses")
		learn(t, here, known, ranking("p1"))
		here.Freeze(order, cache.Order{Ranking: ranking("p1", "p2")})
		synctest.Wait()
		impatient := memory(t, func(o *cache.Options) {
			o.Remote, o.RemoteBudget, o.HashKey = slow{shared, 50 * time.Millisecond}, 5*time.Millisecond, hashKey
		})
		f := func(what string, want []string, reads func(request *trace.Span)) {
			t.Helper()
			if got := traced(t, reads); !slices.Equal(got, want) {
				t.Errorf("%s: got %q, want %q", what, got, want)
			}
		}
		f("another pod's ranking, then nobody's", []string{"hit", "miss"}, func(request *trace.Span) {
			there.Lookup(known, soon(), request)
			there.Lookup(view("s", "b"), soon(), request)
		})
		f("an order, then none", []string{"hit", "miss"}, func(request *trace.Span) {
			there.Frozen(order, soon(), request)
			there.Frozen(browse("s", "shoes"), soon(), request)
		})
		f("memory", nil, func(request *trace.Span) { here.Lookup(known, soon(), request) })
		f("too late", []string{"late", "late"}, func(request *trace.Span) {
			impatient.Lookup(known, soon(), request)
			impatient.Frozen(order, soon(), request)
		})
		f("failing", []string{"error", "error"}, func(request *trace.Span) {
			c := pod(t, failing{})
			c.Lookup(known, soon(), request)
			c.Frozen(order, soon(), request)
		})
		f("away", nil, func(request *trace.Span) { pod(t, away{}).Lookup(known, soon(), request) })
		time.Sleep(time.Second) // the late ones
	})
}
