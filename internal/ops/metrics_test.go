package ops_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/encoding/protodelim"

	"vitrine/breaker"
	"vitrine/internal/ops"
	"vitrine/internal/reco"
)

var update = flag.Bool("update", false, "write the golden files anew")

func newMetrics() *ops.Metrics {
	return ops.NewMetrics(ops.MetricsOptions{
		Version: "v1.2.3", Commit: "abc", RedisOps: []string{"lookup", "store"}, RedisOutcomes: []string{"ok", "timeout"},
	})
}

func newBreakers(t *testing.T, names ...string) []ops.Breaker {
	t.Helper()
	all := make([]ops.Breaker, len(names))
	for i, name := range names {
		b, err := breaker.New(breaker.Defaults(name))
		if err != nil {
			t.Fatal(err)
		}
		all[i] = b
	}
	return all
}

func attach(t *testing.T, m *ops.Metrics, s ops.Sources) *ops.Metrics {
	t.Helper()
	if err := m.Attach(s); err != nil {
		t.Fatal(err)
	}
	return m
}

func scrapeAs(t *testing.T, m *ops.Metrics, accept string) (body, contentType string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
	r.Header.Set("Accept", accept)
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return w.Body.String(), w.Header().Get("Content-Type")
}

// series returns the values of a scrape by name and labels, as they are written.
func series(t *testing.T, m *ops.Metrics) map[string]float64 {
	t.Helper()
	text, _ := scrapeAs(t, m, "text/plain")
	all := map[string]float64{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all[line[:at]] = v
	}
	return all
}

// Every series there is at the start, so that a change of a name or a label is seen.
func TestGoldenMetricsAtStart(t *testing.T) {
	t.Parallel()
	m := attach(t, newMetrics(), ops.Sources{Breakers: newBreakers(t, "recommendation", "platform", "redis", "profile")})
	var lines []string
	for name, value := range series(t, m) {
		if strings.HasPrefix(name, "vitrine_") && !strings.Contains(name, "_bucket{") && !strings.HasPrefix(name, "vitrine_build_info") {
			lines = append(lines, fmt.Sprintf("%s %v\n", name, value))
		}
	}
	slices.Sort(lines)
	got := strings.Join(lines, "")
	const golden = "testdata/metrics.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestMetricsAreLintClean(t *testing.T) {
	t.Parallel()
	m := attach(t, newMetrics(), ops.Sources{
		Breakers: newBreakers(t, "redis"),
		Figures: []ops.Figure{
			{Name: "vitrine_panics_total", Help: "Panics recovered.", Counter: true, Value: func() float64 { return 1 }},
			{Name: "vitrine_catalogue_age_seconds", Help: "Age of the product feed, in seconds.", Value: func() float64 { return 2 }},
		},
	})
	text, _ := scrapeAs(t, m, "text/plain")
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("got %+v, %v, want none", problems, err)
	}
	for _, want := range []string{"vitrine_panics_total 1\n", "vitrine_catalogue_age_seconds 2\n", "go_goroutines ", "process_open_fds ", `vitrine_build_info{commit="abc",goversion="go`} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q", want)
		}
	}
}

func TestAttachRefusesWhatIsNoMetric(t *testing.T) {
	t.Parallel()
	one := func() float64 { return 1 }
	err := newMetrics().Attach(ops.Sources{Figures: []ops.Figure{
		{Name: "vitrine_nothing", Help: "h"},
		{Name: "panics_total", Help: "h", Counter: true, Value: one},
		{Name: "vitrine_panics", Help: "h", Counter: true, Value: one},
		{Name: "vitrine_age_total", Help: "h", Value: one},
		{Name: "vitrine_ag\xffe", Help: "h", Value: one},
		{Name: "vitrine_good", Help: "h", Value: one},
		{Name: "vitrine_good", Help: "h", Value: one},
	}})
	if err == nil {
		t.Fatal("got no error")
	}
	if got := strings.Count(err.Error(), "figure "); got != 6 {
		t.Errorf("got %d figures named, want 6: %v", got, err)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	m := attach(t, newMetrics(), ops.Sources{})
	m.ObserveRequest(reco.ProductView, reco.FromCache, reco.NoReason, 30*time.Microsecond)
	if text, kind := scrapeAs(t, m, "*/*"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") || strings.Contains(text, "# EOF") {
		t.Errorf("got %s, want Prometheus text", kind)
	}
	open, kind := scrapeAs(t, m, "application/openmetrics-text; version=1.0.0")
	if !strings.HasPrefix(kind, "application/openmetrics-text") || !strings.HasSuffix(open, "# EOF\n") {
		t.Errorf("got %s, want OpenMetrics", kind)
	}
	if strings.Contains(open, " # {") {
		t.Error("got exemplars, want none")
	}
	binary, _ := scrapeAs(t, m, "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	for reader := bytes.NewReader([]byte(binary)); ; {
		var family dto.MetricFamily
		if err := protodelim.UnmarshalFrom(reader, &family); err != nil {
			t.Fatalf("no vitrine_request_duration_seconds before: %v", err)
		}
		if family.GetName() == "vitrine_request_duration_seconds" {
			h := family.GetMetric()[0].GetHistogram()
			if h.Schema == nil || len(h.GetBucket()) == 0 {
				t.Errorf("got %v, want a histogram both native and classic", h)
			}
			return
		}
	}
}

func TestObserveRequest(t *testing.T) {
	t.Parallel()
	m := attach(t, newMetrics(), ops.Sources{})
	for range 3 {
		m.ObserveRequest(reco.ProductView, reco.FromCache, reco.NoReason, 40*time.Microsecond)
	}
	m.ObserveRequest(reco.CustomShelf, reco.FromNative, reco.Empty, 120*time.Millisecond)
	m.ObserveRequest(reco.CustomShelf, reco.FromStale, reco.HTTPStatus(503), time.Millisecond)
	m.ObserveRequest(reco.ShopTheLook, reco.FromNone, "http-99", time.Millisecond)
	m.ObserveRequest(reco.ShopTheLook, reco.FromNone, "http-600", time.Millisecond)
	m.ObserveRequest(reco.ShopTheLook, reco.FromNone, "http-+99", time.Millisecond)
	m.ObserveRequest(reco.ShopTheLook, reco.FromNone, "http-0503", time.Millisecond)
	m.ObserveRequest(reco.ShopTheLook, reco.FromNone, "somebody@example.org", time.Millisecond)
	m.ObserveRequest(0, reco.FromNone, reco.Empty, time.Millisecond)
	m.ObserveRequest(reco.CustomShelf+1, reco.FromNone, reco.Empty, time.Millisecond)
	m.ObserveRequest(reco.CustomShelf, reco.FromAPI+1, reco.Empty, time.Millisecond)
	got := series(t, m)
	for name, want := range map[string]float64{
		`vitrine_requests_total{event="productView",reason="",source="cache"}`:                    3,
		`vitrine_requests_total{event="customShelf",reason="empty",source="native"}`:              1,
		`vitrine_requests_total{event="customShelf",reason="http-503",source="stale"}`:            1,
		`vitrine_requests_total{event="shopTheLook",reason="other",source="none"}`:                5,
		`vitrine_request_duration_seconds_count{event="productView",source="cache"}`:              3,
		`vitrine_request_duration_seconds_bucket{event="productView",source="cache",le="0.0001"}`: 3,
		`vitrine_request_duration_seconds_sum{event="customShelf",source="native"}`:               .12,
		`vitrine_request_duration_seconds_bucket{event="customShelf",source="native",le="0.1"}`:   0,
		`vitrine_request_duration_seconds_bucket{event="customShelf",source="native",le="0.2"}`:   1,
		`vitrine_requests_total{event="categoryView",reason="",source="api"}`:                     0,
		`vitrine_request_duration_seconds_count{event="categoryView",source="api"}`:               0,
		`vitrine_request_duration_seconds_bucket{event="categoryView",source="api",le="+Inf"}`:    0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s: got %v, %t, want %v", name, value, there, want)
		}
	}
	total := 0.0
	for name, value := range got {
		if strings.HasPrefix(name, "vitrine_requests_total{") {
			total += value
		}
		if strings.Contains(name, "@") || strings.Contains(name, "invalid") {
			t.Errorf("got %s, want no such label", name)
		}
	}
	if total != 10 {
		t.Errorf("got %v requests, want 10", total)
	}
}

func TestObserveCalls(t *testing.T) {
	t.Parallel()
	m := attach(t, newMetrics(), ops.Sources{})
	for _, code := range []string{"200", "200", "503", "timeout", "unreachable", "42", "2000", "whatever"} {
		m.ObserveUpstream(code, 180*time.Millisecond)
	}
	m.ObserveRedis("lookup", "ok", time.Millisecond)
	m.ObserveRedis("store", "timeout", time.Millisecond)
	m.ObserveRedis("lookup", "hostile", time.Millisecond)
	m.ObserveRedis("SECRET", "ok", time.Millisecond)
	got := series(t, m)
	for name, want := range map[string]float64{
		`vitrine_upstream_requests_total{code="200"}`:                                2,
		`vitrine_upstream_requests_total{code="503"}`:                                1,
		`vitrine_upstream_requests_total{code="timeout"}`:                            1,
		`vitrine_upstream_requests_total{code="unreachable"}`:                        1,
		`vitrine_upstream_requests_total{code="other"}`:                              3,
		`vitrine_upstream_request_duration_seconds_count`:                            8,
		`vitrine_redis_operations_total{op="lookup",outcome="ok"}`:                   1,
		`vitrine_redis_operations_total{op="store",outcome="timeout"}`:               1,
		`vitrine_redis_operations_total{op="store",outcome="ok"}`:                    0,
		`vitrine_redis_operations_total{op="other",outcome="other"}`:                 2,
		`vitrine_redis_operation_duration_seconds_count{op="other",outcome="other"}`: 2,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s: got %v, %t, want %v", name, value, there, want)
		}
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	breakers := newBreakers(t, "recommendation", "redis")
	m := attach(t, newMetrics(), ops.Sources{
		Ledger: func() ops.Ledger {
			return ops.Ledger{
				Accepted: 45, Delivered: 1, Expired: 2, Parked: 3, Deduplicated: 4, Pending: 5,
				Dropped: ops.Dropped{Full: 6, DeadLetter: 7, Disk: 8},
				Retried: ops.Retried{Unsent: 9, Ambiguous: 10, HTTP: 11, StaleConnection: 12}, OldestPending: 1500 * time.Millisecond,
			}
		},
		Cache:    func() (int64, int64) { return 13, 14 },
		Journal:  func() ops.Journal { return ops.Journal{Bytes: 15, Segments: 16, Damaged: 17, Away: true, Errors: 18} },
		Breakers: breakers,
	})
	if err := breakers[0].Override(breaker.Open, time.Hour); err != nil {
		t.Fatal(err)
	}
	got := series(t, m)
	for name, want := range map[string]float64{
		"vitrine_events_accepted_total": 45, "vitrine_events_delivered_total": 1, "vitrine_events_expired_total": 2,
		"vitrine_events_parked_total": 3, "vitrine_events_deduplicated_total": 4, "vitrine_events_pending": 5,
		`vitrine_events_dropped_total{reason="full"}`: 6, `vitrine_events_dropped_total{reason="dead-letter"}`: 7, `vitrine_events_dropped_total{reason="disk"}`: 8,
		`vitrine_events_retried_total{cause="unsent"}`: 9, `vitrine_events_retried_total{cause="ambiguous"}`: 10,
		`vitrine_events_retried_total{cause="http"}`: 11, `vitrine_events_retried_total{cause="stale-connection"}`: 12,
		"vitrine_events_oldest_pending_seconds": 1.5,
		"vitrine_cache_bytes":                   13, "vitrine_cache_entries": 14,
		"vitrine_journal_bytes": 15, "vitrine_journal_segments": 16, "vitrine_journal_damaged_segments": 17,
		"vitrine_journal_away": 1, "vitrine_journal_errors_total": 18,
		`vitrine_breaker_state{name="recommendation"}`: 2, `vitrine_breaker_state{name="redis"}`: 0,
		`vitrine_breaker_transitions_total{name="recommendation"}`: 0,
	} {
		if value, there := got[name]; !there || value != want {
			t.Errorf("%s: got %v, %t, want %v", name, value, there, want)
		}
	}
}

// books is a ledger whose events move while it is read.
type books struct {
	mu sync.Mutex
	l  ops.Ledger
}

func (b *books) Ledger() ops.Ledger {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.l
}

func (b *books) move(i int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	to := []*uint64{
		&b.l.Delivered, &b.l.Expired, &b.l.Parked, &b.l.Deduplicated, &b.l.Dropped.Full, &b.l.Dropped.DeadLetter, &b.l.Dropped.Disk,
	}
	if i%3 != 0 && b.l.Pending > 0 {
		b.l.Pending--
		*to[i%len(to)]++
		return
	}
	b.l.Accepted++
	b.l.Pending++
}

func TestTheBooksBalanceAtEveryScrape(t *testing.T) {
	t.Parallel()
	var b books
	m := attach(t, newMetrics(), ops.Sources{Ledger: b.Ledger})
	stop := make(chan struct{})
	var movers sync.WaitGroup
	for worker := range 2 {
		movers.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				default:
					b.move(i)
				}
			}
		})
	}
	for range 50 {
		got := series(t, m)
		sum := 0.0
		for name, value := range got {
			for _, part := range []string{"delivered_total", "expired_total", "parked_total", "deduplicated_total", "dropped_total{", "pending"} {
				if strings.HasPrefix(name, "vitrine_events_"+part) {
					sum += value
				}
			}
		}
		if accepted := got["vitrine_events_accepted_total"]; accepted != sum {
			t.Errorf("got %v accepted and %v accounted for", accepted, sum)
		}
	}
	close(stop)
	movers.Wait()
}
