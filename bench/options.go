package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/traffic"
)

// options are those of every command that offers a shop's traffic to sidecars.
type options struct {
	// The load.
	rate    float64       // requests a second
	length  time.Duration // of what is measured
	warm    time.Duration // of what goes before it, checked but not measured
	even    bool
	model   traffic.Model
	workers int
	timeout time.Duration
	fresh   bool // a connection for each request

	// The shop and the API.
	items, categories int
	latency           fakeapi.Latency
	cold              int

	// The sidecars.
	binary   string
	redis    string // server, embedded or none
	topology string // of redis server: one, secure, sentinel or cluster; empty is one
	disk     int64  // bytes of a disk for the journal alone; 0 is the machine's
	device   bool   // that disk can fail
	names    bool   // the API is known by a name, which a name server of our own knows
	clock    bool   // the sidecar is one whose clock can be set
	relay    bool   // Redis is behind one of our own, which can make it slow
	unix     bool
	pods     int
	affinity bool
	env      settings
	tls      bool // the API speaks TLS, with an authority the sidecar is told to trust
	feed     bool // the sidecar has a catalogue of all products, all in stock

	// The verdict.
	check   float64
	settle  time.Duration
	slo     string
	json    string
	html    string
	over    string
	metrics *targets // is told where the sidecars' metrics are
}

func defaults() options {
	api := fakeapi.Realistic()
	return options{
		rate: 100, length: 30 * time.Second, warm: 5 * time.Second,
		model: traffic.Default(), workers: 4096, timeout: 10 * time.Second,
		items: 50_000, categories: 200, latency: api.Latency, cold: api.ColdEvents,
		redis: "server", pods: 1, env: settings{}, check: 1, settle: 30 * time.Second,
	}
}

// settings is a flag that may be given again and again: NAME=VALUE.
type settings map[string]string

// String is for the help text.
func (s settings) String() string { return "" }

// Set takes one.
func (s settings) Set(text string) error {
	name, value, ok := strings.Cut(text, "=")
	if !ok || !strings.HasPrefix(name, "VITRINE_") {
		return errors.New("want VITRINE_NAME=VALUE")
	}
	s[name] = value
	return nil
}

func (o *options) register(f *flag.FlagSet) {
	m := &o.model
	f.Float64Var(&o.rate, "rate", o.rate, "requests a second, on average")
	f.DurationVar(&o.length, "dur", o.length, "how long to measure")
	f.DurationVar(&o.warm, "warm", o.warm, "how long to offer the load before measuring")
	f.BoolVar(&o.even, "even", o.even, "pages at regular intervals, not as a Poisson process")
	f.Uint64Var(&m.Seed, "seed", m.Seed, "picks shoppers, arrivals and the API's dice")
	f.IntVar(&m.Shoppers, "shoppers", m.Shoppers, "sessions under way at once; 0 means as many as people's pauses amount to")
	f.Float64Var(&m.Repeat, "repeat", m.Repeat, "share of product pages seen before in the session")
	f.Float64Var(&m.ProductPages, "product-pages", m.ProductPages, "share of product pages among all")
	f.Float64Var(&m.LoggedIn, "logged-in", m.LoggedIn, "share of sessions with a user")
	f.Float64Var(&m.Bots, "bots", m.Bots, "share of pages fetched by bots, each with a session of its own")
	f.Float64Var(&m.DoubleFire, "double-fire", m.DoubleFire, "share of pages whose requests are all sent twice within 50 ms")
	f.Float64Var(&m.Length.Median, "session-median", m.Length.Median, "median number of pages in a session")
	f.Float64Var(&m.Length.Sigma, "session-sigma", m.Length.Sigma, "spread of its logarithm")
	f.Float64Var(&m.Gap.Median, "gap-median", m.Gap.Median, "median seconds between two pages of a session")
	f.Float64Var(&m.Gap.Sigma, "gap-sigma", m.Gap.Sigma, "spread of its logarithm")
	f.IntVar(&m.Limit, "limit", m.Limit, "products a shelf asks for; 0 is no limit")
	f.IntVar(&m.Native, "native", m.Native, "products of its own ordering the shop sends along")
	f.IntVar(&o.items, "items", o.items, "products of the shop")
	f.IntVar(&o.categories, "categories", o.categories, "categories of the shop")
	f.IntVar(&o.workers, "workers", o.workers, "most requests under way together")
	f.DurationVar(&o.timeout, "timeout", o.timeout, "how long to wait for one answer")
	f.DurationVar(&o.latency.P50, "api-p50", o.latency.P50, "median latency of the stand-in API")
	f.DurationVar(&o.latency.P99, "api-p99", o.latency.P99, "its 99th percentile")
	f.IntVar(&o.cold, "api-cold", o.cold, "empty answers at the start of a session")
	f.StringVar(&o.binary, "binary", o.binary, "a built sidecar; empty builds the one of this module")
	f.StringVar(&o.redis, "redis", o.redis, "server (a redis-server of our own), embedded or none")
	f.BoolVar(&o.unix, "unix", o.unix, "reach the sidecar over a unix socket")
	f.IntVar(&o.pods, "pods", o.pods, "sidecars beside one Redis")
	f.BoolVar(&o.affinity, "affinity", o.affinity, "a session stays with its sidecar; otherwise every request may go to another")
	f.BoolVar(&o.fresh, "new-connections", o.fresh, "open a connection for each request")
	f.Var(o.env, "set", "further configuration of the sidecar, VITRINE_NAME=VALUE; may be repeated")
	f.Float64Var(&o.check, "check", o.check, "share of answers whose list is computed anew and compared")
	f.DurationVar(&o.settle, "settle", o.settle, "how long to wait at the end for events to be delivered")
	f.StringVar(&o.slo, "slo", o.slo, `objectives, such as "p99<=300ms, p99@cache<=5ms, valid>=99.99%, share@native<=10%"`)
	f.StringVar(&o.json, "json", o.json, "file to write the report to as JSON")
	f.StringVar(&o.html, "html", o.html, "file to write the report to as a page")
	f.StringVar(&o.over, "over", o.over, "an older report, written by -json, to lay over the page")
}

// validate reports everything that is wrong with the options.
func (o *options) validate() error {
	var errs []error
	wrong := func(bad bool, text string) {
		if bad {
			errs = append(errs, errors.New(text))
		}
	}
	wrong(o.rate <= 0 || o.rate > 1e6, "-rate must be positive and at most a million")
	wrong(o.length <= 0 || o.warm < 0, "-dur must be positive, -warm not negative")
	wrong(o.pods < 1 || o.pods > 64, "-pods must be between 1 and 64 on one machine")
	wrong(o.workers < 1 || o.workers > 65_536, "-workers must be between 1 and 65536")
	wrong(o.items < 50 || o.categories < 1 || o.categories > o.items, "-items must be at least 50 and not fewer than -categories")
	wrong(o.check < 0 || o.check > 1, "-check must be between 0 and 1")
	wrong(o.timeout <= 0 || o.settle < 0, "-timeout must be positive, -settle not negative")
	wrong(o.redis != "server" && o.redis != "embedded" && o.redis != "none", "-redis must be server, embedded or none")
	wrong(o.pods > 1 && o.redis == "embedded", "-redis embedded is one sidecar's own: several need a server")
	_, err := report.ParseObjectives(o.slo)
	return errors.Join(append(errs, o.model.Validate(), err)...)
}

// arrivals are the instants of pages for a curve of requests a second.
func (o *options) arrivals(curve load.Curve) load.Arrivals {
	return load.Arrivals{Curve: curve.Scale(1 / o.model.RequestsPerPage()), Even: o.even, Seed: o.model.Seed}
}

// withWarmth puts the warm-up before a curve, at its first rate.
func (o *options) withWarmth(curve load.Curve) load.Curve {
	if o.warm == 0 {
		return curve
	}
	warm := load.Constant(curve[0].Rate, o.warm)
	for _, p := range curve {
		warm = append(warm, load.Point{At: o.warm + p.At, Rate: p.Rate})
	}
	return warm
}

func (o *options) describe(scenario string) string {
	return fmt.Sprintf("%s: %g requests/s for %v to %d sidecar(s), redis %s", scenario, o.rate, o.length, o.pods, o.redis)
}
