package ops

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"vitrine/internal/reco"
)

const (
	sampleEvery = 5 * time.Second
	minuteOf    = 12           // samples: the oldest of them is a minute old
	samples     = 5 * minuteOf // are kept, about 1.5 KB each, for the charts
)

// Minute is where the answers of the last minute came from.
type Minute struct {
	// Seconds is how far back it reaches: a minute, less after the start.
	Seconds float64 `json:"seconds"`
	// Requests is how many were answered.
	Requests uint64 `json:"requests"`
	// Sources tells them apart by source; only those that occurred are there.
	Sources map[string]SourceMinute `json:"sources"`
	// Reasons counts those that could have been better, by why they were not.
	Reasons map[string]uint64 `json:"reasons"`
	// TokenRefused counts calls of the API that were answered 401 or 403.
	TokenRefused uint64 `json:"tokenRefused"`
}

// SourceMinute is what came from one source.
type SourceMinute struct {
	Requests uint64  `json:"requests"`
	Share    float64 `json:"share"` // of all, 0 to 1
	// P50Ms and P99Ms are estimates from a histogram, in milliseconds.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
}

// Moment is what was answered in a few seconds, and how many events were pending at their end.
type Moment struct {
	At      time.Time `json:"at"` // their end
	Seconds float64   `json:"seconds"`
	// Sources counts the answers by source; only those that occurred are there.
	Sources map[string]uint64 `json:"sources"`
	// P50Ms and P99Ms are estimates over all answers, in milliseconds; 0 if there were none.
	P50Ms   float64 `json:"p50Ms"`
	P99Ms   float64 `json:"p99Ms"`
	Pending uint64  `json:"pending"`
}

// minute looks at the metrics every few seconds, so that somebody who comes to look
// sees what has been lately, not since the start.
type minute struct {
	metrics *Metrics
	pending func() uint64

	mu  sync.Mutex
	old []sample // oldest first
}

// sample is the metrics' counts at one moment.
type sample struct {
	at      time.Time
	sources [numSources]distribution
	reasons map[string]uint64
	refused uint64 // calls of the API, for the token's sake
	pending uint64
}

// distribution is a classic histogram's: how many took at most so long.
type distribution struct {
	count  uint64
	bounds []float64 // seconds
	below  []uint64  // cumulative, one for each bound
}

func newMinute(m *Metrics, from Sources) *minute {
	pending := func() uint64 { return 0 }
	if from.Ledger != nil {
		pending = func() uint64 { return from.Ledger().Pending }
	}
	return &minute{metrics: m, pending: pending, old: []sample{m.sample()}}
}

// run looks at the metrics until ctx is done.
func (m *minute) run(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := m.metrics.sample()
		now.pending = m.pending()
		m.mu.Lock()
		if m.old = append(m.old, now); len(m.old) > samples {
			m.old = append(m.old[:0], m.old[1:]...)
		}
		m.mu.Unlock()
	}
}

// history compares each sample with the one before, oldest first.
func (m *minute) history() []Moment {
	m.mu.Lock()
	old := slices.Clone(m.old)
	m.mu.Unlock()
	moments := make([]Moment, 0, len(old))
	for i := 1; i < len(old); i++ {
		moments = append(moments, old[i].since(&old[i-1]))
	}
	return moments
}

func (s *sample) since(then *sample) Moment {
	m := Moment{At: s.at.UTC(), Seconds: s.at.Sub(then.at).Seconds(), Sources: map[string]uint64{}, Pending: s.pending}
	var all distribution
	for i, source := range reco.Sources {
		d := s.sources[i].less(&then.sources[i])
		if d.count > 0 {
			m.Sources[source.String()] = d.count
		}
		all.merge(&d)
	}
	if all.count > 0 {
		m.P50Ms, m.P99Ms = all.quantile(.5)*1000, all.quantile(.99)*1000
	}
	return m
}

// last compares now with the sample of a minute ago.
func (m *minute) last() Minute {
	m.mu.Lock()
	then := m.old[max(0, len(m.old)-minuteOf)]
	m.mu.Unlock()
	now := m.metrics.sample()
	last := Minute{
		Seconds: now.at.Sub(then.at).Seconds(),
		Sources: map[string]SourceMinute{},
		Reasons: map[string]uint64{},

		TokenRefused: now.refused - then.refused,
	}
	for i := range now.sources {
		last.Requests += now.sources[i].count - then.sources[i].count
	}
	for i, source := range reco.Sources {
		if d := now.sources[i].less(&then.sources[i]); d.count > 0 {
			last.Sources[source.String()] = SourceMinute{
				Requests: d.count,
				Share:    float64(d.count) / float64(last.Requests),
				P50Ms:    d.quantile(.5) * 1000,
				P99Ms:    d.quantile(.99) * 1000,
			}
		}
	}
	for reason, count := range now.reasons {
		if n := count - then.reasons[reason]; n > 0 {
			last.Reasons[reason] = n
		}
	}
	return last
}

// sample reads the counts.
func (m *Metrics) sample() sample {
	s := sample{at: time.Now(), reasons: map[string]uint64{}}
	m.upstream.each(0, func(code string, count uint64) {
		if code == "401" || code == "403" {
			s.refused += count
		}
	})
	for kind := range m.latency {
		for source, o := range m.latency[kind] {
			s.sources[source].add(read(o))
			m.requests[kind][source].each(0, func(reason string, count uint64) {
				if reason != "" {
					s.reasons[reason] += count
				}
			})
		}
	}
	return s
}

// read returns what a histogram of ours holds now.
func read(o prometheus.Observer) *dto.Histogram {
	var m dto.Metric
	if h, ok := o.(prometheus.Histogram); !ok || h.Write(&m) != nil {
		return nil // never: it is one, and writing it cannot fail
	}
	return m.GetHistogram()
}

// add adds a histogram with the same bounds as all others.
func (d *distribution) add(h *dto.Histogram) {
	d.count += h.GetSampleCount()
	if d.bounds == nil {
		for _, b := range h.GetBucket() {
			d.bounds = append(d.bounds, b.GetUpperBound())
		}
		d.below = make([]uint64, len(d.bounds))
	}
	for i, b := range h.GetBucket() {
		d.below[i] += b.GetCumulativeCount()
	}
}

// merge adds a distribution with the same bounds.
func (d *distribution) merge(more *distribution) {
	if d.bounds == nil {
		d.bounds, d.below = more.bounds, make([]uint64, len(more.bounds))
	}
	d.count += more.count
	for i := range more.below {
		d.below[i] += more.below[i]
	}
}

// less returns what came after then.
func (d *distribution) less(then *distribution) distribution {
	after := distribution{count: d.count - then.count, bounds: d.bounds, below: make([]uint64, len(d.below))}
	for i := range d.below {
		after.below[i] = d.below[i] - then.below[i]
	}
	return after
}

// quantile estimates how long the quickest share q of them took at most, in seconds,
// as Prometheus does: evenly spread within a bucket, and never beyond the last bound.
func (d *distribution) quantile(q float64) float64 {
	rank := q * float64(d.count)
	lower, fewer := 0.0, uint64(0)
	for i, upper := range d.bounds {
		if float64(d.below[i]) >= rank {
			share := (rank - float64(fewer)) / math.Max(1, float64(d.below[i]-fewer))
			return lower + (upper-lower)*share
		}
		lower, fewer = upper, d.below[i]
	}
	return lower
}
