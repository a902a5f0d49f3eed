package trace_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"vitrine/internal/trace"
)

// fakeCollector takes traces as a collector does, without a network, so that time can be a bubble's.
type fakeCollector struct {
	t *testing.T

	mu       sync.Mutex
	answers  []func() (*http.Response, error) // to the next posts; then it is well
	posts    int
	header   http.Header // of the last post
	spans    []*otlp.Span
	resource []*common.KeyValue
}

// RoundTrip takes a post.
func (c *fakeCollector) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts++
	if c.header = r.Header; len(c.answers) > 0 {
		answer := c.answers[0]
		c.answers = c.answers[1:]
		return answer()
	}
	var request collector.ExportTraceServiceRequest
	if err := (proto.UnmarshalOptions{}).Unmarshal(body, &request); err != nil {
		c.t.Errorf("decoding a post: %v", err)
	}
	for _, r := range request.GetResourceSpans() {
		c.resource = r.GetResource().GetAttributes()
		for _, s := range r.GetScopeSpans() {
			if got := s.GetScope().GetName(); got != "vitrine" {
				c.t.Errorf("got scope %q, want vitrine", got)
			}
			c.spans = append(c.spans, s.GetSpans()...)
		}
	}
	// What the published types do not know would be kept there.
	if unknown := request.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		c.t.Errorf("got unknown fields %x, want none", unknown)
	}
	return status(http.StatusOK)()
}

func status(code int, header ...string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: code, Header: h, Body: io.NopCloser(strings.NewReader(""))}, nil
	}
}

func refused() (*http.Response, error) { return nil, errors.New("connection refused") }

func (c *fakeCollector) posted() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.posts
}

// tracer returns a Tracer that keeps everything and runs until stop, in front of a collector
// that gives these answers before it is well.
func tracer(t *testing.T, answers ...func() (*http.Response, error)) (tr *trace.Tracer, c *fakeCollector, log *bytes.Buffer, stop func()) {
	t.Helper()
	c, log = &fakeCollector{t: t, answers: answers}, new(bytes.Buffer)
	tr, err := trace.New(trace.Options{
		URL: "http://collector:4318/v1/traces", Transport: c, Sampler: trace.KeepAll(), Version: "v1",
		Headers:  map[string]string{"Authorization": "secret"},
		Resource: map[string]string{"service.name": "shop", "host.name": "h"},
		Log:      slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := tr.Run(ctx); err != nil {
			t.Errorf("got %v from Run, want nil", err)
		}
	})
	return tr, c, log, func() {
		cancel()
		running.Wait()
	}
}

// texts are attributes by their keys.
func texts(of []*common.KeyValue) map[string]string {
	m := make(map[string]string)
	for _, a := range of {
		m[a.GetKey()] = cmp.Or(a.GetValue().GetStringValue(), a.GetValue().String())
	}
	return m
}

// What a collector gets is what was noted, as the published types decode it.
func TestASpanArrivesAsItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, _, stop := tracer(t)
		from, _ := trace.Parse(header)
		began := time.Now().Add(-time.Second)
		request := tr.Server("POST /path", from, began)
		request.Set("vitrine.source", "api")
		request.Set("vitrine.reason", "")
		request.SetInt("http.response.status_code", 200)
		call := tr.Client("POST", request.Context())
		time.Sleep(time.Second)
		call.Fail("timeout")
		call.End()
		request.End()
		stop()

		if len(c.spans) != 2 {
			t.Fatalf("got %d spans, want 2", len(c.spans))
		}
		gotCall, gotRequest := c.spans[0], c.spans[1]
		if got, want := hex.EncodeToString(gotRequest.GetParentSpanId()), "b7ad6b7169203331"; got != want {
			t.Errorf("got the request below %s, want %s", got, want)
		}
		if got, want := gotCall.GetParentSpanId(), gotRequest.GetSpanId(); !bytes.Equal(got, want) {
			t.Errorf("got the call below %x, want %x, the request", got, want)
		}
		for _, s := range c.spans {
			if got, want := hex.EncodeToString(s.GetTraceId()), "0af7651916cd43dd8448eb211c80319c"; got != want {
				t.Errorf("%s: got trace %s, want %s", s.GetName(), got, want)
			}
			if len(s.GetSpanId()) != 8 || s.GetFlags() != 1 {
				t.Errorf("%s: got id %x and flags %d, want 8 bytes and 1", s.GetName(), s.GetSpanId(), s.GetFlags())
			}
		}
		if got, want := gotRequest.GetStartTimeUnixNano(), uint64(began.UnixNano()); got != want {
			t.Errorf("got the request's start at %d, want %d", got, want)
		}
		if got, want := gotRequest.GetEndTimeUnixNano()-gotRequest.GetStartTimeUnixNano(), uint64(2*time.Second); got != want {
			t.Errorf("got a request of %d ns, want %d", got, want)
		}
		if got, want := gotRequest.GetKind(), otlp.Span_SPAN_KIND_SERVER; got != want {
			t.Errorf("got kind %v, want %v", got, want)
		}
		if got, want := gotCall.GetKind(), otlp.Span_SPAN_KIND_CLIENT; got != want {
			t.Errorf("got kind %v, want %v", got, want)
		}
		if got := gotRequest.GetStatus().GetCode(); got != otlp.Status_STATUS_CODE_UNSET {
			t.Errorf("got the request's status %v, want none", got)
		}
		if got := gotCall.GetStatus(); got.GetCode() != otlp.Status_STATUS_CODE_ERROR || got.GetMessage() != "timeout" {
			t.Errorf("got the call's status %v, want an error, timeout", got)
		}
		want := map[string]string{"vitrine.source": "api", "http.response.status_code": "int_value:200"}
		if got := texts(gotRequest.GetAttributes()); !maps.Equal(got, want) {
			t.Errorf("got attributes %v, want %v", got, want)
		}
		want = map[string]string{"service.name": "shop", "host.name": "h"}
		if got := texts(c.resource); !maps.Equal(got, want) {
			t.Errorf("got resource %v, want %v", got, want)
		}
		if got := c.header; got.Get("Content-Type") != "application/x-protobuf" || got.Get("Authorization") != "secret" {
			t.Errorf("got headers %v, want those of protobuf and the configured one", got)
		}
		if got, want := tr.Stats(), (trace.Stats{Exported: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// What is not kept is nil, and everything may be said of it.
func TestNothingIsSentOfWhatIsNotSampled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, _, stop := tracer(t)
		unsampled, _ := trace.Parse(header[:len(header)-1] + "0")
		request := tr.Server("POST", unsampled, time.Now())
		request.Set("k", "v")
		request.SetInt("k", 1)
		request.Fail("why")
		request.End()
		if got := request.Context(); got != (trace.Context{}) {
			t.Errorf("got %v as the context of no span, want none", got)
		}
		tr.Client("POST", unsampled).End()
		tr.Client("POST", trace.Context{}).End() // a call begins no trace
		stop()
		if got := c.posted(); got != 0 {
			t.Errorf("got %d posts, want 0", got)
		}
	})
}

func TestARequestWithoutAContextBeginsATrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, _, stop := tracer(t)
		request := tr.Server("POST", trace.Context{}, time.Now())
		if again, ok := trace.Parse(request.Context().String()); !ok || !again.Sampled() || again != request.Context() {
			t.Errorf("got context %v, want a valid one that is sampled", request.Context())
		}
		request.End()
		stop()
		if len(c.spans) != 1 || len(c.spans[0].GetParentSpanId()) != 0 {
			t.Errorf("got %v, want one span without a parent", c.spans)
		}
	})
}

// Spans go together, every five seconds or as soon as there are many.
func TestSpansGoInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, _, stop := tracer(t)
		defer stop()
		some := func(n int) {
			for range n {
				tr.Server("POST", trace.Context{}, time.Now()).End()
			}
			synctest.Wait()
		}
		some(511)
		if got := c.posted(); got != 0 {
			t.Errorf("got %d posts for a few spans, want 0 yet", got)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := c.posted(); got != 1 {
			t.Errorf("got %d posts after a while, want 1", got)
		}
		some(512)
		if got := c.posted(); got != 2 {
			t.Errorf("got %d posts for many spans, want 2", got)
		}
	})
}

// While the collector is away spans are queued, then dropped; nobody waits, and none is lost uncounted.
func TestACollectorThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, log, stop := tracer(t, refused, status(http.StatusServiceUnavailable, "Retry-After", "20"), refused, refused, refused)
		const spans = 5000
		for range 512 {
			tr.Server("POST", trace.Context{}, time.Now()).End()
		}
		synctest.Wait() // they are on their way
		before := time.Now()
		for range spans - 512 {
			tr.Server("POST", trace.Context{}, time.Now()).End()
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("got spans that took %v to end, want none", waited)
		}
		if got, want := tr.Stats().Dropped, uint64(spans-512-2048); got != want {
			t.Errorf("got %d dropped with a full queue, want %d", got, want)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := c.posted(); got != 2 {
			t.Errorf("got %d posts after a second, want 2", got)
		}
		time.Sleep(20*time.Second - 500*time.Millisecond - 1) // the second came after half a second or more
		synctest.Wait()
		if got := c.posted(); got != 2 {
			t.Errorf("got %d posts before Retry-After was over, want 2", got)
		}
		time.Sleep(time.Minute)
		stop()
		if got, want := tr.Stats(), (trace.Stats{Exported: 2048, Dropped: spans - 2048}); got != want {
			t.Errorf("got %+v when the collector is back, want %+v", got, want)
		}
		for _, text := range []string{"connection refused", "status 503", "spans=512"} {
			if !strings.Contains(log.String(), text) {
				t.Errorf("got a log without %q:\n%s", text, log)
			}
		}
	})
}

// What is refused for good is not sent again.
func TestARefusedBatchIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr, c, _, stop := tracer(t, status(http.StatusBadRequest), status(http.StatusFound, "Location", "http://elsewhere/"))
		for range 2 {
			tr.Server("POST", trace.Context{}, time.Now()).End()
			time.Sleep(time.Minute)
		}
		stop()
		if got, want := tr.Stats(), (trace.Stats{Dropped: 2}); got != want || c.posts != 2 {
			t.Errorf("got %+v after %d posts, want %+v after 2", got, c.posts, want)
		}
	})
}

// A collector that hangs holds up the end of the process for half a second.
func TestStoppingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.DiscardHandler)
		tr, err := trace.New(trace.Options{URL: "http://collector", Transport: hanging{}, Sampler: trace.KeepAll(), Log: log})
		if err != nil {
			t.Fatal(err)
		}
		for range 1000 {
			tr.Server("POST", trace.Context{}, time.Now()).End()
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tr.Run(ctx) }()
		synctest.Wait() // it is posting
		before := time.Now()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if got, want := time.Since(before), 500*time.Millisecond; got != want {
			t.Errorf("got it stopped after %v, want %v", got, want)
		}
		if got, want := tr.Stats(), (trace.Stats{Dropped: 1000}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// hanging is a collector that never answers.
type hanging struct{}

// RoundTrip waits until nobody waits for it any more.
func (hanging) RoundTrip(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

func TestOptions(t *testing.T) {
	f := func(o trace.Options, want string) {
		t.Helper()
		_, err := trace.New(o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got %v, want %q", o, err, want)
		}
	}
	log := slog.New(slog.DiscardHandler)
	f(trace.Options{URL: "collector:4318", Log: log}, "http or https URL")
	f(trace.Options{URL: "http://:secret@%zz/", Log: log}, "http or https URL")
	f(trace.Options{URL: "http://collector", Timeout: -1, Log: log}, "Timeout")
	f(trace.Options{URL: "http://collector"}, "Log")
	if _, err := trace.New(trace.Options{URL: "http://:secret@%zz/", Log: log}); strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v, want the password left out", err)
	}
}

var discard = slog.New(slog.DiscardHandler)
