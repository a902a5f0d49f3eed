package rig

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are a scrape: series as the exposition writes them, name{labels}, to values.
type Metrics map[string]float64

// Metrics scrapes the sidecar.
func (s *Sidecar) Metrics(ctx context.Context) (Metrics, error) {
	status, body, err := s.get(ctx, "/metrics")
	if err != nil {
		return nil, fmt.Errorf("scraping: %w", err)
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("scraping: status %d", status)
	}
	return parseMetrics(string(body)), nil
}

// parseMetrics reads the text format. Lines it does not understand are no series of
// ours: they are left out.
func parseMetrics(text string) Metrics {
	m := make(Metrics)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			m[line[:cut]] = v
		}
	}
	return m
}

// Sum adds up all series of a name, whatever their labels.
func (m Metrics) Sum(name string) float64 {
	total := 0.0
	for series, v := range m {
		if series == name || strings.HasPrefix(series, name+"{") {
			total += v
		}
	}
	return total
}

// Events are the counts of events.
type Events struct {
	Accepted     int64 `json:"accepted"`
	Delivered    int64 `json:"delivered"`
	Expired      int64 `json:"expired"`
	Dropped      int64 `json:"dropped"`
	Parked       int64 `json:"parked"`
	Deduplicated int64 `json:"deduplicated"`
	Pending      int64 `json:"pending"`
	Retried      int64 `json:"retried"`
}

// Events returns the counts of events in a scrape.
func (m Metrics) Events() Events {
	count := func(name string) int64 { return int64(m.Sum("vitrine_events_" + name)) }
	return Events{
		Accepted: count("accepted_total"), Delivered: count("delivered_total"), Expired: count("expired_total"),
		Dropped: count("dropped_total"), Parked: count("parked_total"), Deduplicated: count("deduplicated_total"),
		Pending: count("pending"), Retried: count("retried_total"),
	}
}

// Unbalanced is by how many events the counts do not add up: 0 in a healthy sidecar.
func (e Events) Unbalanced() int64 {
	return e.Accepted - e.Delivered - e.Expired - e.Dropped - e.Parked - e.Deduplicated - e.Pending
}

// Add returns the counts of two sidecars together.
func (e Events) Add(o Events) Events {
	return Events{
		Accepted: e.Accepted + o.Accepted, Delivered: e.Delivered + o.Delivered, Expired: e.Expired + o.Expired,
		Dropped: e.Dropped + o.Dropped, Parked: e.Parked + o.Parked, Deduplicated: e.Deduplicated + o.Deduplicated,
		Pending: e.Pending + o.Pending, Retried: e.Retried + o.Retried,
	}
}
