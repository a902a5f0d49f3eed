package ops

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"vitrine/internal/reco"
)

const (
	sampleEvery = 5 * time.Second
	samples     = 12 // so that the oldest is a minute old
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
}

// SourceMinute is what came from one source.
type SourceMinute struct {
	Requests uint64  `json:"requests"`
	Share    float64 `json:"share"` // of all, 0 to 1
	// P50Ms and P99Ms are estimates from a histogram, in milliseconds.
	P50Ms float64 `json:"p50Ms"`
	P99Ms float64 `json:"p99Ms"`
}

// minute looks at the metrics every few seconds, so that somebody who comes to look
// sees what has been lately, not since the start.
type minute struct {
	metrics *Metrics

	mu  sync.Mutex
	old []sample // oldest first
}

// sample is the metrics' counts at one moment.
type sample struct {
	at      time.Time
	sources [numSources]distribution
	reasons map[string]uint64
}

// distribution is a classic histogram's: how many took at most so long.
type distribution struct {
	count  uint64
	bounds []float64 // seconds
	below  []uint64  // cumulative, one for each bound
}

func newMinute(m *Metrics) *minute {
	return &minute{metrics: m, old: []sample{m.sample()}}
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
		m.mu.Lock()
		if m.old = append(m.old, now); len(m.old) > samples {
			m.old = append(m.old[:0], m.old[1:]...)
		}
		m.mu.Unlock()
	}
}

// last compares now with the oldest sample.
func (m *minute) last() Minute {
	m.mu.Lock()
	then := m.old[0]
	m.mu.Unlock()
	now := m.metrics.sample()
	last := Minute{
		Seconds: now.at.Sub(then.at).Seconds(),
		Sources: map[string]SourceMinute{},
		Reasons: map[string]uint64{},
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

// sample reads the counts of requests.
func (m *Metrics) sample() sample {
	s := sample{at: time.Now(), reasons: map[string]uint64{}}
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
