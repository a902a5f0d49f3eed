package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"vitrine/bench/fleet"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

const hitHelp = `Foretells, without a network, how many requests a cache answers: by lifetime, repeat
rate, pods, affinity and memory, for the shoppers of the traffic model; and what a
fleet asks of its Redis. With -verify it then runs four real sidecars and holds the
forecast against them.

The share is small by nature: a session's cache helps only who looks at the same
thing twice. What no cache can pass is printed beside it.
`

// hitOptions are the flags of hit.
type hitOptions struct {
	fleet  fleet.Options
	model  traffic.Model
	stale  time.Duration
	sample float64 // pages a second that are simulated
	length time.Duration
	verify bool
	binary string
}

// cmdHit forecasts the hit share.
func cmdHit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := hitOptions{model: traffic.Default()}
	f := newFlags("hit", hitHelp)
	f.IntVar(&o.fleet.Pods, "pods", 4, "sidecars beside one Redis, up to 10000")
	f.Float64Var(&o.fleet.Rate, "rate", 50, "requests a second to each")
	f.DurationVar(&o.fleet.Fresh, "fresh", time.Minute, "cache.fresh")
	f.IntVar(&o.fleet.FreshEvents, "fresh-events", 3, "cache.fresh_events")
	f.DurationVar(&o.stale, "stale", 30*time.Minute, "cache.stale")
	f.Int64Var(&o.fleet.Memory, "memory", 64<<20, "cache.memory, bytes")
	f.Int64Var(&o.fleet.Entry, "entry", 850, "bytes an answer takes")
	f.DurationVar(&o.fleet.Latency, "api", 180*time.Millisecond, "latency of the API")
	f.IntVar(&o.fleet.Cold, "api-cold", 2, "empty answers at the start of a session")
	f.Float64Var(&o.model.Bots, "bots", o.model.Bots, "share of pages fetched by bots")
	f.Float64Var(&o.model.Repeat, "repeat", o.model.Repeat, "share of product pages seen before in the session")
	f.Float64Var(&o.sample, "sample", 20, "pages a second to simulate; the rest of the fleet behaves like them")
	f.DurationVar(&o.length, "dur", 30*time.Minute, "how long to simulate; it takes seconds")
	f.BoolVar(&o.verify, "verify", false, "run four sidecars for a minute and compare")
	f.StringVar(&o.binary, "binary", "", "a built sidecar for -verify; empty builds the one of this module")
	f.Uint64Var(&o.model.Seed, "seed", 1, "picks the shoppers")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	o.fleet.Redis, o.fleet.Seed = true, o.model.Seed
	if err := o.validate(f.NArg()); err != nil {
		return usageError(stderr, err)
	}
	if err := o.write(stdout); err != nil {
		return failed(stderr, err)
	}
	if !o.verify {
		return exitOK
	}
	return o.check(ctx, stdout, stderr)
}

func (o *hitOptions) validate(rest int) error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	wrong(rest > 0, "there is an argument behind the flags")
	wrong(o.fleet.Pods < 1 || o.fleet.Pods > 10_000, "-pods must be between 1 and 10000")
	wrong(o.fleet.Rate <= 0 || o.fleet.Fresh <= 0 || o.fleet.Memory <= 0 || o.fleet.Entry <= 0, "-rate, -fresh, -memory and -entry must be positive")
	wrong(o.sample <= 0 || o.sample > 1000 || o.length <= 0 || o.length > 24*time.Hour, "-sample must be at most 1000 and -dur at most a day")
	return errors.Join(append(errs, o.model.Validate())...)
}

// simulate runs one case on the sample.
func (o *hitOptions) simulate(catalogue *shopdata.Catalogue, change func(*fleet.Options, *traffic.Model)) fleet.Shares {
	f, m := o.fleet, o.model
	change(&f, &m)
	crowd := traffic.NewCrowd(m, catalogue, o.sample)
	return fleet.Simulate(f, crowd.Requests(load.Arrivals{Curve: load.Constant(o.sample, o.length), Seed: m.Seed}.All()))
}

func (o *hitOptions) write(w io.Writer) error {
	catalogue := shopdata.New(1, 50_000, 200)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "\thit\tmemory\tRedis\tasked before\t")
	line := func(name string, change func(*fleet.Options, *traffic.Model)) fleet.Shares {
		s := o.simulate(catalogue, change)
		fmt.Fprintf(t, "%s\t%.1f %%\t%.1f %%\t%.1f %%\t%.1f %%\t\n", name, 100*s.Hit(), 100*s.Memory, 100*s.Redis, 100*s.Repeated)
		return s
	}
	base := line("as given, no affinity", func(*fleet.Options, *traffic.Model) {})
	line("with affinity", func(f *fleet.Options, _ *traffic.Model) { f.Affinity = true })
	line("no bots", func(_ *fleet.Options, m *traffic.Model) { m.Bots = 0 })
	for _, repeat := range []float64{0.16, 0.21, 0.28, 0.35} {
		line(fmt.Sprintf("repeat %.2f", repeat), func(_ *fleet.Options, m *traffic.Model) { m.Repeat = repeat })
	}
	for _, fresh := range []time.Duration{30 * time.Second, 2 * time.Minute, 10 * time.Minute} {
		line(fmt.Sprintf("fresh %v", fresh), func(f *fleet.Options, _ *traffic.Model) { f.Fresh = fresh })
	}
	for _, events := range []int{6, 12, 0} {
		line(fmt.Sprintf("fresh-events %d", events), func(f *fleet.Options, _ *traffic.Model) { f.FreshEvents = events })
	}
	for _, memory := range []int64{1 << 20, 4 << 20} {
		line(fmt.Sprintf("memory %d MiB, affinity", memory>>20), func(f *fleet.Options, _ *traffic.Model) { f.Memory, f.Affinity = memory, true })
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%d requests simulated for each line. An entry stays in a pod's memory for %v at %g requests/s.\n", base.Requests, o.fleet.Residence().Round(time.Second), o.fleet.Rate)
	l := o.fleet.Plan(base, o.stale)
	fmt.Fprintf(w, "%d pods: %.0f requests/s, Redis %.0f operations/s, %.1f MB/s, at most %d connections, %.1f GB of rankings\n",
		o.fleet.Pods, l.Requests, l.Operations, l.Bytes/1e6, l.Connections, l.Resident/1e9)
	return nil
}

// What the forecast may be off by: chance, and answers that took longer than the API's
// median.
const forecastError = 0.03

// check holds the forecast against four real sidecars, asked exactly what is simulated.
func (o *hitOptions) check(ctx context.Context, stdout, stderr io.Writer) int {
	tried := defaults()
	tried.model, tried.binary, tried.pods, tried.cold = o.model, o.binary, 4, o.fleet.Cold
	tried.model.Shoppers, tried.warm, tried.length, tried.rate = 100, 0, time.Minute, 100
	tried.latency.P50, tried.latency.P99 = o.fleet.Latency, o.fleet.Latency
	tried.env["VITRINE_CACHE_FRESH"], tried.env["VITRINE_CACHE_FRESH_EVENTS"] = o.fleet.Fresh.String(), strconv.Itoa(o.fleet.FreshEvents)
	run := &report.Run{Title: tried.describe("hit -verify")}
	f := o.fleet
	f.Pods, f.Rate = tried.pods, tried.rate/float64(tried.pods)
	catalogue := shopdata.New(1, tried.items, tried.categories)
	want := fleet.Simulate(f, tried.plan(load.Constant(tried.rate, tried.length), catalogue).requests)
	var operations float64
	err := onStage(ctx, &tried, run, func(t *trial) error {
		err := t.offer(ctx, tried.plan(load.Constant(tried.rate, tried.length), catalogue), nil, run, newProgress(stderr, os.Getenv))
		for _, p := range t.stage.pods {
			if m, err := p.current().Metrics(ctx); err == nil {
				operations += m.Sum("vitrine_redis_operations_total")
			}
		}
		return err
	})
	if err != nil {
		return failed(stderr, err)
	}
	got := 0.0
	for _, row := range run.Rows {
		if row.Name == "cache" {
			got = row.Share
		}
	}
	plan := f.Plan(want, o.stale)
	fmt.Fprintf(stdout, "\nfour real sidecars: hit %.1f %%, forecast %.1f %%; Redis operations for each request %.2f, forecast %.2f\n",
		100*got, 100*want.Hit(), operations/float64(max(1, run.Sent)), plan.Operations/plan.Requests)
	if len(run.Violations) > 0 {
		fmt.Fprintf(stdout, "VIOLATION  %s\n", run.Violations[0].Example)
		return exitViolation
	}
	if math.Abs(got-want.Hit()) > forecastError {
		fmt.Fprintln(stdout, "FAIL  the forecast is off by more than 3 points")
		return exitObjective
	}
	return exitOK
}
