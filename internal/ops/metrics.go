package ops

import (
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vitrine/internal/reco"
)

// MetricsOptions say what the metrics' labels may be.
type MetricsOptions struct {
	// Version and Commit are those of the program.
	Version, Commit string

	// RedisOps and RedisOutcomes are the label values op and outcome may take. Any
	// others are counted as "other".
	RedisOps, RedisOutcomes []string
}

// Metrics counts requests and calls, and serves every metric of the program. Its
// Observe methods take no lock, allocate nothing, and are safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests        [numTypes][numSources]tally
	latency         [numTypes][numSources]prometheus.Observer
	upstream        tally
	upstreamLatency prometheus.Histogram
	shadow          [numTypes]prometheus.Observer
	redis           map[redisLabels]redisSeries
}

const (
	numTypes   = len(reco.EventTypes)
	numSources = len(reco.Sources)

	// The label values that are there from the start: of reason, the one of an answer
	// that could not be better; of code, the three without which no graph is complete.
	reasonsAtStart = 1
	codesAtStart   = 3
)

type redisLabels struct{ op, outcome string }

type redisSeries struct {
	operations prometheus.Counter
	latency    prometheus.Observer
}

// NewMetrics returns metrics at zero.
func NewMetrics(o MetricsOptions) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		upstream: newTally("", "200", "timeout", "unreachable"),
		redis:    map[redisLabels]redisSeries{},
	}
	// A memory hit takes microseconds. The budget is 300 ms unless told otherwise, with a
	// bucket of its own for the answers at its end, and a request may ask for five times that.
	latency := prometheus.NewHistogramVec(histogram("vitrine_request_duration_seconds",
		"Time from a request's arrival to its answer, in seconds.",
		.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .2, .3, .31, .5, 1, 2), []string{"event", "source"})
	m.upstreamLatency = prometheus.NewHistogram(histogram("vitrine_upstream_request_duration_seconds",
		"Time one call of the API took, in seconds.",
		.01, .025, .05, .1, .2, .3, .5, .8, 1, 2, 5))
	m.registry.MustRegister(latency, m.upstreamLatency, &tallies{m},
		buildInfo(o), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))

	shadow := prometheus.NewSummaryVec(prometheus.SummaryOpts{ // a sum and a count
		Name: "vitrine_shadow_overlap_ratio",
		Help: "Share of the first 10 products shown in the mode shadow that the API has ranked among its first 10, from 0 to 1.",
	}, []string{"event"})
	m.registry.MustRegister(shadow)

	for t, kind := range reco.EventTypes {
		m.shadow[t] = shadow.WithLabelValues(kind.String())
		for s, source := range reco.Sources {
			m.requests[t][s] = newTally("http-", reasons()...)
			m.latency[t][s] = latency.WithLabelValues(kind.String(), source.String())
		}
	}
	m.registerRedis(o)
	return m
}

// reasons are the label values of reason, the commonest first.
func reasons() []string {
	all := []reco.Reason{
		reco.NoReason, reco.Empty, reco.Timeout, reco.Open, reco.Overload, reco.RateLimited, reco.Unreachable,
		reco.BadAnswer, reco.OutOfStock, reco.Holdout, reco.Bot, reco.ToppedUp,
	}
	names := make([]string, len(all))
	for i, reason := range all {
		names[i] = string(reason)
	}
	return names
}

func (m *Metrics) registerRedis(o MetricsOptions) {
	labels := []string{"op", "outcome"}
	operations := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vitrine_redis_operations_total", Help: "Redis operations.",
	}, labels)
	latency := prometheus.NewHistogramVec(histogram("vitrine_redis_operation_duration_seconds",
		"Time one Redis operation took, in seconds.",
		.0001, .00025, .0005, .001, .0025, .005, .01, .05, .15), labels)
	m.registry.MustRegister(operations, latency)

	series := func(op, outcome string) {
		m.redis[redisLabels{op, outcome}] = redisSeries{
			operations.WithLabelValues(op, outcome), latency.WithLabelValues(op, outcome),
		}
	}
	for _, op := range o.RedisOps {
		for _, outcome := range o.RedisOutcomes {
			series(op, outcome)
		}
	}
	series(other, other)
}

// histogram is both a classic one, for Prometheus as it comes, and a native one, whose
// buckets are each 10 % wider than the last, for who has it turned on: 160 of them
// reach from 2 µs to 2 s. Beyond that it grows coarser; it is never reset, which would
// reset the classic one with it.
func histogram(name, help string, buckets ...float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{
		Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor:    1.1,
		NativeHistogramMaxBucketNumber: 160,
	}
}

func buildInfo(o MetricsOptions) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "vitrine_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": o.Version, "commit": o.Commit, "goversion": runtime.Version()},
	})
	info.Set(1)
	return info
}

// ObserveRequest counts an answered request and the time it took.
func (m *Metrics) ObserveRequest(t reco.EventType, source reco.Source, reason reco.Reason, took time.Duration) {
	kind, from := int(t)-int(reco.EventTypes[0]), int(source)
	if kind < 0 || kind >= numTypes || from >= numSources {
		return // no event and no source of ours: there is no series for it
	}
	m.requests[kind][from].add(string(reason))
	m.latency[kind][from].Observe(took.Seconds())
}

// ObserveShadow counts a comparison of a native list that was shown with the API's ranking
// that was not: overlap is the share of the first products that both have.
func (m *Metrics) ObserveShadow(t reco.EventType, overlap float64) {
	if kind := int(t) - int(reco.EventTypes[0]); kind >= 0 && kind < numTypes {
		m.shadow[kind].Observe(overlap)
	}
}

// ObserveUpstream counts a call of the API and the time it took. The code is its HTTP
// status, "timeout" or "unreachable"; any other is counted as "other".
func (m *Metrics) ObserveUpstream(code string, took time.Duration) {
	m.upstream.add(code)
	m.upstreamLatency.Observe(took.Seconds())
}

// ObserveRedis counts a Redis operation and the time it took.
func (m *Metrics) ObserveRedis(op, outcome string, took time.Duration) {
	series, known := m.redis[redisLabels{op, outcome}]
	if !known {
		series = m.redis[redisLabels{other, other}]
	}
	series.operations.Inc()
	series.latency.Observe(took.Seconds())
}

// Attach adds what the other parts count. It is called once, before serving; the error
// names the figures that are no metrics.
func (m *Metrics) Attach(s Sources) error {
	errs := make([]error, 0, 1+len(s.Figures))
	for _, f := range s.Figures {
		if err := m.attach(f); err != nil {
			errs = append(errs, fmt.Errorf("figure %q: %w", f.Name, err))
		}
	}
	s.Breakers = slices.Clone(s.Breakers)
	if err := m.registry.Register(&scrape{s}); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (m *Metrics) attach(f Figure) error {
	switch {
	case f.Value == nil:
		return errors.New("it has no value")
	case !strings.HasPrefix(f.Name, "vitrine_"):
		return errors.New("its name must begin with vitrine_")
	case f.Counter != strings.HasSuffix(f.Name, "_total"):
		return errors.New("the name of a counter, and of nothing else, must end in _total")
	case f.Counter:
		return m.registry.Register(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: f.Name, Help: f.Help}, f.Value))
	default:
		return m.registry.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: f.Name, Help: f.Help}, f.Value))
	}
}

// Handler serves the metrics, as Prometheus text or OpenMetrics, whichever is asked
// for. At most four scrapes run at a time, the next are answered 503.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
	})
}
