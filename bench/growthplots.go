package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"time"

	"vitrine/bench/baseline"
	"vitrine/bench/load"
	"vitrine/bench/marks"
	"vitrine/bench/rig"
	"vitrine/bench/stats"
	"vitrine/bench/traffic"
)

// cores gives the server 1, 2, … processors. The generator shares them when all are the
// server's, so that throughput goes by the server's own CPU.
func (g *grower) cores(ctx context.Context) ([]marks.Plot, error) {
	ours, bare := marks.Series{Name: "sidecar"}, marks.Series{Name: "bare handler"}
	for n := 1; n <= runtime.NumCPU(); n *= 2 {
		g.out.say(fmt.Sprintf("hits on %d processors", n))
		o := abDefaults()
		o.work.binary, o.blocks, o.conns = g.binary, g.blocks, 16*n
		o.work.pin, o.work.processors = false, n
		if !canPin() {
			o.work.processors = 0
		}
		r, err := o.ready(ctx, g.out)
		if err != nil {
			return nil, err
		}
		cost, ok := r.figure(serverCost)
		if !ok {
			return nil, errors.New("this system does not tell what processes use")
		}
		ours.Points = append(ours.Points, [2]float64{float64(n), 1e3 / cost.A})
		bare.Points = append(bare.Points, [2]float64{float64(n), 1e3 / cost.B})
	}
	first, last := ours.Points[0], ours.Points[len(ours.Points)-1]
	kept := func(s marks.Series) float64 { return 100 * s.Points[len(s.Points)-1][1] / s.Points[0][1] }
	return []marks.Plot{{
		Title: "Throughput per core, with cores", X: marks.Axis{Name: "processors"}, Y: marks.Axis{Name: "hits for each second of CPU", Unit: "thousand"},
		Series: []marks.Series{ours, bare},
		Says: fmt.Sprintf("On one processor a second of CPU serves %.0f thousand hits, on %.0f each serves %.0f thousand: %.0f %% of that; a bare handler keeps %.0f %%.",
			first[1], last[0], last[1], kept(ours), kept(bare)),
	}}, nil
}

// ready is compare for options made up here.
func (o *abOptions) ready(ctx context.Context, out *progress) (*abReport, error) {
	if err := o.validate(0); err != nil {
		return nil, err
	}
	return o.compare(ctx, out)
}

// lengths asks for longer and longer lists, one at a time.
func (g *grower) lengths(ctx context.Context) ([]marks.Plot, error) {
	ours, bare := marks.Series{Name: "sidecar"}, marks.Series{Name: "bare handler"}
	for _, ids := range []int{24, 250, 1000, 2500, 5000} {
		g.out.say(fmt.Sprintf("hits of %d ids", ids))
		o := abDefaults()
		o.work.binary, o.blocks, o.conns, o.round = g.binary, g.blocks, 1, 500*time.Millisecond
		o.work.ids, o.work.questions = ids, min(1000, 1_000_000/ids)
		r, err := o.ready(ctx, g.out)
		if err != nil {
			return nil, err
		}
		f, ok := r.figure("p50")
		if !ok {
			return nil, errNoFigure("p50")
		}
		ours.Points = append(ours.Points, [2]float64{float64(ids), f.A})
		bare.Points = append(bare.Points, [2]float64{float64(ids), f.B})
	}
	a, b := stats.Fit(ours.Points), stats.Fit(bare.Points)
	return []marks.Plot{{
		Title: "A hit's latency, with the length of the list", X: marks.Axis{Name: "ids of 25 bytes"}, Y: marks.Axis{Name: "p50, one request at a time", Unit: "µs"},
		Series: []marks.Series{ours, bare},
		Says: fmt.Sprintf("A hit takes %s and %s for each further id, %s; a bare handler %s and %s.",
			per(a.At0, "µs"), per(1e3*a.Slope, "ns"), linear(a.R2), per(b.At0, "µs"), per(1e3*b.Slope, "ns")),
	}}, nil
}

// entriesRate is slow enough for latencies to be the server's, and fast enough for a p99
// within seconds.
const entriesRate = 5000

// entries fills the memory tier with more and more sessions, one ranking each.
func (g *grower) entries(ctx context.Context) ([]marks.Plot, error) {
	p50, p99 := marks.Series{Name: "p50"}, marks.Series{Name: "p99"}
	resident, heap := marks.Series{Name: "resident"}, marks.Series{Name: "heap in use"}
	for n := 1000; n <= g.most; n *= 10 {
		g.out.say(fmt.Sprintf("filling the memory with %d rankings", n))
		err := g.filled(ctx, n, func(o *abOptions, t *vitrineTarget) error {
			o.rate, o.round = entriesRate, 4*time.Second
			g.out.say(fmt.Sprintf("hits among %d rankings", n))
			r, err := o.measure(ctx, t)
			if err != nil {
				return err
			}
			if err := t.sidecar.Collect(ctx); err != nil {
				return err
			}
			m, err := t.sidecar.Metrics(ctx)
			if err != nil {
				return err
			}
			at := float64(n)
			p50.Points = append(p50.Points, [2]float64{at, quantileOf(r.latency, 0.5)})
			p99.Points = append(p99.Points, [2]float64{at, quantileOf(r.latency, 0.99)})
			resident.Points = append(resident.Points, [2]float64{at, float64(t.sidecar.Usage().Resident) / (1 << 20)})
			heap.Points = append(heap.Points, [2]float64{at, m["go_memstats_heap_inuse_bytes"] / (1 << 20)})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	last := len(p50.Points) - 1
	line := stats.Fit(heap.Points)
	return []marks.Plot{
		{
			Title: "A hit's latency, with the entries in memory", X: marks.Axis{Name: "rankings in memory", Log: true}, Y: marks.Axis{Name: "latency at 5 000/s", Unit: "µs", Log: true},
			Series: []marks.Series{p50, p99},
			Says: fmt.Sprintf("From %.0f to %.0f entries the median goes from %s to %s µs and the 99th percentile from %s to %s µs.",
				p50.Points[0][0], p50.Points[last][0], marks.Digits(p50.Points[0][1]), marks.Digits(p50.Points[last][1]), marks.Digits(p99.Points[0][1]), marks.Digits(p99.Points[last][1])),
		},
		{
			Title: "Memory, with sessions", X: marks.Axis{Name: "sessions, one ranking of 600 bytes each", Log: true}, Y: marks.Axis{Name: "memory", Unit: "MiB", Log: true},
			Series: []marks.Series{resident, heap},
			Says: fmt.Sprintf("A session with its ranking takes %s bytes of heap: %s. Resident memory is up to %.1f times the heap, as the collector lets garbage lie until the heap has doubled.",
				marks.Digits(line.Slope*(1<<20)), linear(line.R2), worst(resident, heap)),
		},
	}, nil
}

// worst is the largest of a's values in terms of b's.
func worst(a, b marks.Series) float64 {
	most := 0.0
	for i := range a.Points {
		most = max(most, a.Points[i][1]/b.Points[i][1])
	}
	return most
}

// filled is hitting with room for so many rankings and their events.
func (g *grower) filled(ctx context.Context, questions int, do func(*abOptions, *vitrineTarget) error) error {
	return g.hitting(ctx, questions, settings{"VITRINE_CACHE_MEMORY": "4GiB", "VITRINE_OUTBOX_MAX_BYTES": "4GiB"}, do)
}

// backlog kills a sidecar that has accepted more and more events it could not deliver,
// and starts it again.
func (g *grower) backlog(ctx context.Context) ([]marks.Plot, error) {
	took := marks.Series{Name: "sidecar"}
	for _, n := range []int{0, g.most / 30, g.most / 10, g.most / 5, g.most / 3} {
		g.out.say(fmt.Sprintf("a backlog of %d events", n))
		starts := []float64{}
		for range 3 {
			d, err := g.replay(ctx, n)
			if err != nil {
				return nil, err
			}
			starts = append(starts, d.Seconds()*1e3)
		}
		took.Points = append(took.Points, [2]float64{float64(n), stats.Median(starts)})
	}
	line := stats.Fit(took.Points)
	return []marks.Plot{{
		Title: "Start, with the backlog", X: marks.Axis{Name: "events in the journal"}, Y: marks.Axis{Name: "from the fork until ready", Unit: "ms"},
		Series: []marks.Series{took},
		Says: fmt.Sprintf("The journal is read before the first request is taken: a start takes %s and %s for each event waiting, %s.",
			per(line.At0, "ms"), per(1e3*line.Slope, "µs"), linear(line.R2)),
	}}, nil
}

// replay returns how long a start takes with so many events waiting.
func (g *grower) replay(ctx context.Context, events int) (took time.Duration, err error) {
	upstream, err := baseline.StartUpstream(ctx, 24)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, upstream.Close()) }()
	sidecar, err := rig.StartSidecar(ctx, rig.Options{Binary: g.binary, Upstream: upstream.URL(), Token: "ab", Env: map[string]string{
		"VITRINE_OUTBOX_MAX_BYTES": "4GiB", "VITRINE_OUTBOX_MAX_AGE": "24h",
	}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, sidecar.Close()) }()
	if err := sidecar.Override(ctx, "recommendation", "open", time.Hour); err != nil {
		return 0, err
	}
	w := abDefaults().work
	w.questions = 1000
	t := newHTTPTarget(sidecar.Addr(), traffic.Path, w)
	t.anything = true // native, or nothing: the API is away
	if err := errors.Join(t.ask(ctx, events), t.close()); err != nil {
		return 0, err
	}
	sidecar.Kill()
	successor, err := sidecar.Restart(ctx)
	if err != nil {
		return 0, err
	}
	sidecar = successor
	m, err := sidecar.Metrics(ctx)
	if err == nil && m.Events().Accepted < int64(events) {
		err = fmt.Errorf("%d events of %d were read from the journal", m.Events().Accepted, events)
	}
	return sidecar.Started(), err
}

// looks is how often a page is fetched at each instant.
const looks = 9

// uptime fetches the pages people and Prometheus look at, from a sidecar that serves.
func (g *grower) uptime(ctx context.Context) ([]marks.Plot, error) {
	pages := []struct {
		name string
		get  func(*rig.Sidecar) error
	}{
		{"metrics", func(s *rig.Sidecar) error { _, err := s.Metrics(ctx); return err }},
		{"status page's data", func(s *rig.Sidecar) error { _, err := s.Admin(ctx, "/status.json"); return err }},
	}
	series := make([]marks.Series, len(pages))
	err := g.filled(ctx, 10_000, func(o *abOptions, t *vitrineTarget) error {
		serving, stop := context.WithCancel(ctx)
		defer stop()
		failure := make(chan error, 1)
		go func() { // ends with serving; awaited below
			o.rate, o.round = 1000, g.up+time.Minute
			_, err := o.measure(serving, t)
			failure <- err
		}()
		began := time.Now()
		for step := range 13 {
			sleep(ctx, time.Until(began.Add(g.up*time.Duration(step)/12)))
			g.out.say(fmt.Sprintf("a sidecar up for %v", time.Since(began).Round(time.Second)))
			for i, page := range pages {
				h := load.NewHistogram()
				for range looks {
					asked := time.Now()
					if err := page.get(t.sidecar); err != nil {
						return err
					}
					h.Record(time.Since(asked))
				}
				series[i].Name = page.name
				series[i].Points = append(series[i].Points, [2]float64{math.Round(time.Since(began).Seconds()), quantileOf(h, 0.5) / 1e3})
			}
		}
		stop()
		return <-failure
	})
	if err != nil {
		return nil, err
	}
	a, b := stats.Fit(series[0].Points), stats.Fit(series[1].Points)
	return []marks.Plot{{
		Title: "A look at it, with the time it is up", X: marks.Axis{Name: "up", Unit: "s"}, Y: marks.Axis{Name: "fetched and read, at 1 000 requests/s", Unit: "ms"},
		Series: series,
		Says: fmt.Sprintf("A scrape takes %s and the status page's data %s at first; a minute later %+.2f and %+.2f ms, by the lines nearest to the points.",
			per(a.At0, "ms"), per(b.At0, "ms"), 60*a.Slope, 60*b.Slope),
	}}, nil
}
