package ops

import (
	"github.com/prometheus/client_golang/prometheus"

	"vitrine/internal/reco"
)

// tallies shows what is counted in tallies, which the client library does not know.
type tallies struct{ m *Metrics }

//nolint:gochecknoglobals // constant descriptions
var (
	requestsTotal = prometheus.NewDesc("vitrine_requests_total",
		"Answered requests, by where the answer came from and why it was not better.",
		[]string{"event", "source", "reason"}, nil)
	upstreamTotal = prometheus.NewDesc("vitrine_upstream_requests_total",
		"Calls of the API, by HTTP status or how they failed.", []string{"code"}, nil)
)

// Describe is called once, when the collector is registered.
func (t *tallies) Describe(ch chan<- *prometheus.Desc) {
	ch <- requestsTotal
	ch <- upstreamTotal
}

// Collect is called at every scrape.
func (t *tallies) Collect(ch chan<- prometheus.Metric) {
	for kind := range t.m.requests {
		for source := range t.m.requests[kind] {
			t.m.requests[kind][source].each(reasonsAtStart, func(reason string, count uint64) {
				ch <- prometheus.MustNewConstMetric(requestsTotal, prometheus.CounterValue, float64(count),
					reco.EventTypes[kind].String(), reco.Sources[source].String(), reason)
			})
		}
	}
	t.m.upstream.each(codesAtStart, func(code string, count uint64) {
		ch <- prometheus.MustNewConstMetric(upstreamTotal, prometheus.CounterValue, float64(count), code)
	})
}

// scrape shows what the other parts count. Each of them is asked once a scrape, so that
// figures which belong together are of one instant.
type scrape struct{ from Sources }

// state is what the other parts said at one instant.
type state struct {
	ledger                   Ledger
	cacheBytes, cacheEntries int64
	journal                  Journal
}

func (s Sources) read() (now state) {
	if s.Ledger != nil {
		now.ledger = s.Ledger()
	}
	if s.Cache != nil {
		now.cacheBytes, now.cacheEntries = s.Cache()
	}
	if s.Journal != nil {
		now.journal = s.Journal()
	}
	return now
}

// single is a series, or several of one metric, that a state alone gives.
type single struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	label string // value of the one label, if there is one
	value func(*state) float64
}

func counter(name, help string, value func(*state) float64) single {
	return single{desc: prometheus.NewDesc(name, help, nil, nil), kind: prometheus.CounterValue, value: value}
}

func gauge(name, help string, value func(*state) float64) single {
	return single{desc: prometheus.NewDesc(name, help, nil, nil), kind: prometheus.GaugeValue, value: value}
}

//nolint:gochecknoglobals // constant descriptions
var (
	eventsDropped = prometheus.NewDesc("vitrine_events_dropped_total",
		"Events given up, by reason.", []string{"reason"}, nil)
	eventsRetried = prometheus.NewDesc("vitrine_events_retried_total",
		"Further tries to deliver an event, by cause.", []string{"cause"}, nil)
	breakerState = prometheus.NewDesc("vitrine_breaker_state",
		"What the breaker does with calls: 0 closed, 1 half-open, 2 open.", []string{"name"}, nil)
	breakerTransitions = prometheus.NewDesc("vitrine_breaker_transitions_total",
		"How often the breaker has left closed and come back to it.", []string{"name"}, nil)

	singles = []single{
		counter("vitrine_events_accepted_total", "Events this process became responsible for: new ones, those replayed from its journal, those taken over from Redis.",
			func(s *state) float64 { return float64(s.ledger.Accepted) }),
		counter("vitrine_events_delivered_total", "Events the API has received.",
			func(s *state) float64 { return float64(s.ledger.Delivered) }),
		counter("vitrine_events_expired_total", "Events that grew too old to be delivered.",
			func(s *state) float64 { return float64(s.ledger.Expired) }),
		counter("vitrine_events_parked_total", "Events handed over to Redis.",
			func(s *state) float64 { return float64(s.ledger.Parked) }),
		counter("vitrine_events_deduplicated_total", "Events that repeated another within its duplicate window.",
			func(s *state) float64 { return float64(s.ledger.Deduplicated) }),
		gauge("vitrine_events_pending", "Events accepted and not yet settled.",
			func(s *state) float64 { return float64(s.ledger.Pending) }),
		gauge("vitrine_events_oldest_pending_seconds", "Age of the oldest pending event, in seconds; 0 if there is none.",
			func(s *state) float64 { return s.ledger.OldestPending.Seconds() }),

		{eventsDropped, prometheus.CounterValue, "full", func(s *state) float64 { return float64(s.ledger.Dropped.Full) }},
		{eventsDropped, prometheus.CounterValue, "dead-letter", func(s *state) float64 { return float64(s.ledger.Dropped.DeadLetter) }},
		{eventsDropped, prometheus.CounterValue, "disk", func(s *state) float64 { return float64(s.ledger.Dropped.Disk) }},
		{eventsRetried, prometheus.CounterValue, "unsent", func(s *state) float64 { return float64(s.ledger.Retried.Unsent) }},
		{eventsRetried, prometheus.CounterValue, "ambiguous", func(s *state) float64 { return float64(s.ledger.Retried.Ambiguous) }},
		{eventsRetried, prometheus.CounterValue, "http", func(s *state) float64 { return float64(s.ledger.Retried.HTTP) }},
		{eventsRetried, prometheus.CounterValue, "stale-connection", func(s *state) float64 { return float64(s.ledger.Retried.StaleConnection) }},

		gauge("vitrine_cache_bytes", "Size of the memory tier, in bytes.",
			func(s *state) float64 { return float64(s.cacheBytes) }),
		gauge("vitrine_cache_entries", "Rankings in the memory tier.",
			func(s *state) float64 { return float64(s.cacheEntries) }),

		gauge("vitrine_journal_bytes", "Size of the event journal on disk, in bytes.",
			func(s *state) float64 { return float64(s.journal.Bytes) }),
		gauge("vitrine_journal_segments", "Segment files of the event journal.",
			func(s *state) float64 { return float64(s.journal.Segments) }),
		gauge("vitrine_journal_damaged_segments", "Segment files set aside because they could not be read to their end.",
			func(s *state) float64 { return float64(s.journal.Damaged) }),
		gauge("vitrine_journal_away", "1 while new events are kept in memory because the disk is full or refuses, else 0.",
			func(s *state) float64 {
				if s.journal.Away {
					return 1
				}
				return 0
			}),
		counter("vitrine_journal_errors_total", "Failed writes and syncs of the event journal.",
			func(s *state) float64 { return float64(s.journal.Errors) }),
	}
)

// Describe is called once, when the collector is registered.
func (c *scrape) Describe(ch chan<- *prometheus.Desc) {
	for _, s := range singles {
		ch <- s.desc
	}
	ch <- breakerState
	ch <- breakerTransitions
}

// Collect is called at every scrape.
func (c *scrape) Collect(ch chan<- prometheus.Metric) {
	now := c.from.read()
	for _, s := range singles {
		var labels []string
		if s.label != "" {
			labels = []string{s.label}
		}
		ch <- prometheus.MustNewConstMetric(s.desc, s.kind, s.value(&now), labels...)
	}
	for _, b := range c.from.Breakers {
		b := b.Snapshot()
		ch <- prometheus.MustNewConstMetric(breakerState, prometheus.GaugeValue, float64(b.State), b.Name)
		ch <- prometheus.MustNewConstMetric(breakerTransitions, prometheus.CounterValue, float64(b.Transitions), b.Name)
	}
}
