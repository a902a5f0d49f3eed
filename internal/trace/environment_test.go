package trace_test

import (
	"maps"
	"strings"
	"testing"
	"time"

	"vitrine/internal/trace"
)

const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318"

func TestTracingIsOffUnlessAskedFor(t *testing.T) {
	f := func(want bool, environ ...string) {
		t.Helper()
		if _, on, err := trace.FromEnvironment(environ); on != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", environ, on, err, want)
		}
	}
	f(false)
	f(false, "OTEL_SERVICE_NAME=shop", "OTEL_TRACES_SAMPLER=no such")
	f(false, "OTEL_EXPORTER_OTLP_ENDPOINT=")
	f(true, endpoint)
	f(true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://collector:4318/v1/traces")
	f(false, endpoint, "OTEL_SDK_DISABLED=TRUE")
	f(true, endpoint, "OTEL_SDK_DISABLED=1") // only true is true
	f(false, endpoint, "OTEL_TRACES_EXPORTER=none")
}

func TestEnvironment(t *testing.T) {
	o, _, err := trace.FromEnvironment([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://all:4318/base/",
		"OTEL_EXPORTER_OTLP_HEADERS=api-key=a%20b, x=1=2",
		"OTEL_EXPORTER_OTLP_TIMEOUT=2000",
		"OTEL_RESOURCE_ATTRIBUTES=service.name=other,k8s.pod.name=shop-1,deployment.environment.name=a%2Cb",
		"OTEL_SERVICE_NAME=shop",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio",
		"OTEL_TRACES_SAMPLER_ARG=0.25",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := o.URL, "http://all:4318/base/v1/traces"; got != want {
		t.Errorf("got URL %q, want %q", got, want)
	}
	if want := map[string]string{"api-key": "a b", "x": "1=2"}; !maps.Equal(o.Headers, want) {
		t.Errorf("got headers %v, want %v", o.Headers, want)
	}
	if got, want := o.Timeout, 2*time.Second; got != want {
		t.Errorf("got a timeout of %v, want %v", got, want)
	}
	want := map[string]string{"service.name": "shop", "k8s.pod.name": "shop-1", "deployment.environment.name": "a,b"}
	if !maps.Equal(o.Resource, want) {
		t.Errorf("got resource %v, want %v", o.Resource, want)
	}
}

func TestWhatIsSetForTracesCounts(t *testing.T) {
	o, _, err := trace.FromEnvironment([]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://all", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://traces/path",
		"OTEL_EXPORTER_OTLP_HEADERS=a=all", "OTEL_EXPORTER_OTLP_TRACES_HEADERS=a=traces",
		"OTEL_EXPORTER_OTLP_TIMEOUT=1", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=2",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
	})
	if err != nil {
		t.Fatal(err)
	}
	if o.URL != "http://traces/path" || o.Headers["a"] != "traces" || o.Timeout != 2*time.Millisecond {
		t.Errorf("got %+v, want what is set for traces", o)
	}
	if got, want := o.Resource["service.name"], "vitrine"; got != want {
		t.Errorf("got service %q by default, want %q", got, want)
	}
}

// What is wrong is said, without a value that may be secret, and the rest is used.
func TestWhatIsWrongIsSaid(t *testing.T) {
	f := func(variable, want string) {
		t.Helper()
		o, on, err := trace.FromEnvironment([]string{endpoint, variable})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q and no secret", variable, err, want)
		}
		if !on || o.URL != "http://collector:4318/v1/traces" {
			t.Errorf("%s: got %v, %q, want tracing on", variable, on, o.URL)
		}
	}
	f("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "only http/protobuf")
	f("OTEL_EXPORTER_OTLP_TIMEOUT=10s", "milliseconds")
	f("OTEL_EXPORTER_OTLP_HEADERS=secret", "OTEL_EXPORTER_OTLP_HEADERS")
	f("OTEL_EXPORTER_OTLP_HEADERS=a=%secret", "OTEL_EXPORTER_OTLP_HEADERS")
	f("OTEL_RESOURCE_ATTRIBUTES==secret", "OTEL_RESOURCE_ATTRIBUTES")
	f("OTEL_TRACES_SAMPLER=jaeger_remote", "parentbased_always_on is used")
	if _, _, err := trace.FromEnvironment([]string{endpoint, "OTEL_TRACES_SAMPLER_ARG=2"}); err != nil {
		t.Errorf("got %v for an argument of no meaning to the default sampler, want nil", err)
	}
	if _, _, err := trace.FromEnvironment([]string{endpoint, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=2"}); err == nil {
		t.Error("got nil for a share of 2, want an error")
	}
}

// The shares are those of OpenTelemetry's SDK for Go, v1.47.0, for these ids: all who serve a
// trace must agree. The first id is the least of a sampler's eyes, the last the greatest.
func TestSampler(t *testing.T) {
	ids := []string{
		"00000000000000000000000000000001",
		"00000000000000001fffffffffffffff",
		"00000000000000002000000000000000",
		"0af7651916cd43dd0448eb211c80319c", // its highest bit does not count
		"0af7651916cd43dd8448eb211c80319c",
		"4bf92f3577b34da6a3ce929d0e0e4736",
		"5b8efff798038103d269b633813fc60c",
		"0000000000000001ffffffffffffffff",
	}
	f := func(name, argument, want string) {
		t.Helper()
		o, _, err := trace.FromEnvironment([]string{endpoint, "OTEL_TRACES_SAMPLER=" + name, "OTEL_TRACES_SAMPLER_ARG=" + argument})
		if err != nil {
			t.Fatal(err)
		}
		o.Log = discard
		tr, err := trace.New(o)
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		for _, flags := range []string{"01", "00"} {
			for _, id := range ids {
				parent, _ := trace.Parse("00-" + id + "-b7ad6b7169203331-" + flags)
				kept := tr.Client("", parent) != nil
				if again := tr.Server("", parent, time.Time{}) != nil; again != kept {
					t.Errorf("%s %s: got %v for the request of a call with %v", name, argument, again, kept)
				}
				got.WriteByte("-+"[btoi(kept)])
			}
			got.WriteByte(' ')
		}
		if got := strings.TrimSpace(got.String()); got != want {
			t.Errorf("%s %s: got %s, want %s", name, argument, got, want)
		}
	}
	f("always_on", "", "++++++++ ++++++++")
	f("always_off", "", "-------- --------")
	f("parentbased_always_on", "", "++++++++ --------")
	f("parentbased_always_off", "", "++++++++ --------")
	f("parentbased_traceidratio", "0", "++++++++ --------")
	f("traceidratio", "", "++++++++ ++++++++")
	f("traceidratio", "0", "-------- --------")
	f("traceidratio", "0.01", "+------- +-------")
	f("traceidratio", "0.125", "++-+---- ++-+----")
	f("traceidratio", "0.25", "++++---- ++++----")
	f("traceidratio", "0.5", "++++---- ++++----")
	f("traceidratio", "0.9", "+++++++- +++++++-")
	f("traceidratio", "1", "++++++++ ++++++++")
}

// A trace that begins here is kept or not by its own id.
func TestTheShareOfTracesThatBeginHere(t *testing.T) {
	f := func(name, argument string, least, most int) {
		t.Helper()
		o, _, err := trace.FromEnvironment([]string{endpoint, "OTEL_TRACES_SAMPLER=" + name, "OTEL_TRACES_SAMPLER_ARG=" + argument})
		if err != nil {
			t.Fatal(err)
		}
		o.Log = discard
		tr, err := trace.New(o)
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		for range 10_000 {
			got += btoi(tr.Server("", trace.Context{}, time.Time{}) != nil)
		}
		if got < least || got > most {
			t.Errorf("%s %s: got %d of 10000 kept, want %d to %d", name, argument, got, least, most)
		}
	}
	f("parentbased_always_on", "", 10_000, 10_000)
	f("parentbased_always_off", "", 0, 0)
	f("parentbased_traceidratio", "0.3", 2_600, 3_400) // eight deviations either way
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
