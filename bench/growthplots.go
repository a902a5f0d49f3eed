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
	"vitrine/bench/report"
	"vitrine/bench/rig"
	"vitrine/bench/stats"
	"vitrine/bench/traffic"
)

// cores gives the server 1, 2, … processors. The generator shares them when all are the
// server's, so that throughput goes by the server's own CPU.
func (g *grower) cores(ctx context.Context) ([]marks.Plot, error) {
	ours, bare := marks.Series{Name: "sidecar"}, marks.Series{Name: "bare handler"}
	values := []int{}
	for n := 1; n <= runtime.NumCPU(); n *= 2 {
		values = append(values, n)
	}
	missing, err := g.each(ctx, values, "processors", func(ctx context.Context, n int) error {
		o := abDefaults()
		o.work.binary, o.blocks, o.conns = g.binary, g.blocks, 16*n
		o.work.pin, o.work.processors = false, n
		if !canPin() {
			o.work.processors = 0
		}
		r, err := o.ready(ctx, g.out)
		if err != nil {
			return err
		}
		served, ok := r.figure(capacity)
		if !ok {
			return errors.New("this system does not tell what processes use")
		}
		ours.Points = append(ours.Points, [2]float64{float64(n), served.A / 1e3})
		bare.Points = append(bare.Points, [2]float64{float64(n), served.B / 1e3})
		return nil
	})
	if err != nil {
		return nil, err
	}
	first, last := ours.Points[0], ours.Points[len(ours.Points)-1]
	kept := func(s marks.Series) float64 { return 100 * s.Points[len(s.Points)-1][1] / s.Points[0][1] }
	return []marks.Plot{{
		Title: "Throughput per core, with cores", X: marks.Axis{Name: "processors"}, Y: marks.Axis{Name: "hits for each second of CPU", Unit: "thousand"},
		Series: []marks.Series{ours, bare},
		Says: fmt.Sprintf("On one processor a second of CPU serves %.0f thousand hits, on %.0f each serves %.0f thousand: %.0f %% of that; a bare handler keeps %.0f %%.",
			first[1], last[0], last[1], kept(ours), kept(bare)) + missing,
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
	missing, err := g.each(ctx, []int{24, 250, 1000, 2500, 5000}, "ids", func(ctx context.Context, ids int) error {
		o := abDefaults()
		o.work.binary, o.blocks, o.conns = g.binary, g.blocks, 1
		o.work.ids, o.work.questions = ids, min(1000, 1_000_000/ids)
		r, err := o.ready(ctx, g.out)
		if err != nil {
			return err
		}
		f, ok := r.figure("p50")
		if !ok {
			return errNoFigure("p50")
		}
		ours.Points = append(ours.Points, [2]float64{float64(ids), f.A})
		bare.Points = append(bare.Points, [2]float64{float64(ids), f.B})
		return nil
	})
	if err != nil {
		return nil, err
	}
	a, b := stats.Fit(ours.Points), stats.Fit(bare.Points)
	return []marks.Plot{{
		Title: "A hit's latency, with the length of the list", X: marks.Axis{Name: "ids of 25 bytes"}, Y: marks.Axis{Name: "p50, one request at a time", Unit: "µs"},
		Series: []marks.Series{ours, bare},
		Says: fmt.Sprintf("A hit takes %s and %s for each further id, %s; a bare handler %s and %s.",
			per(a.At0, "µs"), per(1e3*a.Slope, "ns"), linear(ours, a.R2), per(b.At0, "µs"), per(1e3*b.Slope, "ns")) + missing,
	}}, nil
}

// entriesRate is slow enough for latencies to be the server's, and fast enough for a p99
// within seconds.
const entriesRate = 5000

// entries fills the memory tier with more and more sessions, one ranking each.
func (g *grower) entries(ctx context.Context) ([]marks.Plot, error) {
	p50, p99 := marks.Series{Name: "p50"}, marks.Series{Name: "p99"}
	resident, heap := marks.Series{Name: "resident"}, marks.Series{Name: "heap in use"}
	values, late, void := []int{}, []int{}, ""
	for n := 1000; n <= g.most; n *= 10 {
		values = append(values, n)
	}
	missing, err := g.each(ctx, values, "rankings in memory", func(ctx context.Context, n int) error {
		return g.filled(ctx, n, func(o *abOptions, t *vitrineTarget) error {
			o.rate, o.round, o.conns = entriesRate, 4*time.Second, openConns
			r, err := o.measure(ctx, t)
			if err != nil {
				return err
			}
			if r.lag.Rough(0.99) > report.MaxLag {
				late = append(late, n)
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
	})
	if err != nil {
		return nil, err
	}
	if len(late) > 0 {
		void = fmt.Sprintf(" VOID: the generator was late with %s entries, and these latencies are its own.", list(late))
	}
	last := len(p50.Points) - 1
	line := stats.Fit(heap.Points)
	return []marks.Plot{
		{
			Title: "A hit's latency, with the entries in memory", X: marks.Axis{Name: "rankings in memory", Log: true}, Y: marks.Axis{Name: "latency at 5 000/s", Unit: "µs", Log: true},
			Series: []marks.Series{p50, p99},
			Says: fmt.Sprintf("From %.0f to %.0f entries the median goes from %s to %s µs and the 99th percentile from %s to %s µs.",
				p50.Points[0][0], p50.Points[last][0], marks.Digits(p50.Points[0][1]), marks.Digits(p50.Points[last][1]), marks.Digits(p99.Points[0][1]), marks.Digits(p99.Points[last][1])) + missing + void,
		},
		{
			Title: "Memory, with sessions", X: marks.Axis{Name: "sessions, one ranking of 600 bytes each", Log: true}, Y: marks.Axis{Name: "memory", Unit: "MiB", Log: true},
			Series: []marks.Series{resident, heap},
			Says: fmt.Sprintf("A session with its ranking takes %s bytes of heap: %s. Resident memory is up to %.1f times the heap, as the collector lets garbage lie until the heap has doubled.",
				marks.Digits(line.Slope*(1<<20)), linear(heap, line.R2), worst(resident, heap)) + missing,
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
	missing, err := g.each(ctx, []int{0, g.most / 30, g.most / 10, g.most / 5, g.most / 3}, "events waiting", func(ctx context.Context, n int) error {
		starts, err := g.replays(ctx, n)
		if err == nil {
			took.Points = append(took.Points, [2]float64{float64(n), stats.Median(starts)})
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	line := stats.Fit(took.Points)
	return []marks.Plot{{
		Title: "Start, with the backlog", X: marks.Axis{Name: "events in the journal"}, Y: marks.Axis{Name: "from the fork until ready", Unit: "ms"},
		Series: []marks.Series{took},
		Says: fmt.Sprintf("The journal is read before the first request is taken: a start takes %s and %s for each event waiting, %s.",
			per(line.At0, "ms"), per(1e3*line.Slope, "µs"), linear(took, line.R2)) + missing,
	}}, nil
}

// restarts is how often a sidecar is started with the same backlog.
const restarts = 3

// replays returns how many milliseconds starts take with so many events waiting.
func (g *grower) replays(ctx context.Context, events int) (took []float64, err error) {
	upstream, err := baseline.StartUpstream(ctx, 24)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, upstream.Close()) }()
	upstream.Delay(time.Hour) // what waits keeps waiting
	sidecar, err := rig.StartSidecar(ctx, rig.Options{Binary: g.binary, Upstream: upstream.URL(), Token: "ab", Env: map[string]string{
		"VITRINE_OUTBOX_MAX_BYTES": "4GiB", "VITRINE_OUTBOX_MAX_AGE": "24h",
	}})
	if err != nil {
		return nil, err
	}
	defer func() {
		sidecar.Kill() // it would wait for the API
		err = errors.Join(err, sidecar.Close())
	}()
	if err := sidecar.Override(ctx, "recommendation", "open", time.Hour); err != nil {
		return nil, err
	}
	w := abDefaults().work
	w.questions = 1000
	t := newHTTPTarget(sidecar.Addr(), traffic.Path, w)
	t.anything = true // native, or nothing: the API is away
	if err := errors.Join(t.ask(ctx, events), t.close()); err != nil {
		return nil, err
	}
	for range restarts {
		sidecar.Kill()
		successor, err := sidecar.Restart(ctx)
		if err != nil {
			return nil, err
		}
		sidecar = successor
		m, err := sidecar.Metrics(ctx)
		if err != nil {
			return nil, err
		}
		if waiting := m.Events().Pending; waiting < int64(events) {
			return nil, fmt.Errorf("%d events of %d were read from the journal", waiting, events)
		}
		took = append(took, sidecar.Started().Seconds()*1e3)
	}
	return took, nil
}

// looks is how often a page is fetched at each instant.
const looks = 9

// lookedAt is a page that people or Prometheus fetch again and again.
type lookedAt struct {
	name string
	get  func(context.Context, *rig.Sidecar) error
}

// uptime fetches such pages from a sidecar that serves.
func (g *grower) uptime(ctx context.Context) ([]marks.Plot, error) {
	pages := []lookedAt{
		{"metrics", func(ctx context.Context, s *rig.Sidecar) error { _, err := s.Metrics(ctx); return err }},
		{"status page's data", func(ctx context.Context, s *rig.Sidecar) error { _, err := s.Admin(ctx, "/status.json"); return err }},
	}
	series := make([]marks.Series, len(pages))
	err := g.filled(ctx, 10_000, func(o *abOptions, t *vitrineTarget) error {
		serving, stop := context.WithCancel(ctx)
		defer stop()
		failure := make(chan error, 1)
		go func() { // ends with serving; awaited below
			o.rate, o.round = 1000, 10*time.Second
			var err error
			for err == nil && serving.Err() == nil {
				_, err = o.measure(serving, t)
			}
			failure <- err
		}()
		err := g.watch(ctx, t.sidecar, pages, series)
		stop()
		return errors.Join(err, <-failure)
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

// watch looks at the pages from time to time, and adds how long that took to their series.
func (g *grower) watch(ctx context.Context, s *rig.Sidecar, pages []lookedAt, series []marks.Series) error {
	const steps = 12
	began := time.Now()
	for step := range steps + 1 {
		sleep(ctx, time.Until(began.Add(g.length/8*time.Duration(step)/steps)))
		at := time.Since(began)
		g.out.say(fmt.Sprintf("up for %v", at.Round(time.Second)))
		for i, page := range pages {
			h := load.NewHistogram()
			for range looks {
				asked := time.Now()
				if err := page.get(ctx, s); err != nil {
					return err
				}
				h.Record(time.Since(asked))
			}
			series[i].Name = page.name
			series[i].Points = append(series[i].Points, [2]float64{math.Round(10*at.Seconds()) / 10, quantileOf(h, 0.5) / 1e3})
		}
	}
	return nil
}
