package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/fakeshop"
	"vitrine/internal/config"
	"vitrine/internal/logs"
)

// How the stand-in API's time goes, unless it may not go away. It is well for long
// enough in between that the breaker forgets: after an outage soon after another it waits
// longer.
const (
	outageAfter  = 20 * time.Second
	outageFor    = 10 * time.Second
	outagePeriod = 3 * time.Minute
)

// cmdDemo runs everything on this machine: a stand-in API, a small shop, the sidecar with
// an embedded Redis, and shoppers. It keeps nothing on disk. It ends with ctx, or by
// itself after --for.
func cmdDemo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("vitrine demo", flag.ContinueOnError)
	flags.SetOutput(stderr)
	length := flags.Duration("for", 0, "stop after this long; 0 = when told to")
	outage := flags.Bool("outage", true, "let the stand-in API go away for 10 s, first after 20 s and then every 3 minutes")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case err != nil:
		return exitUsage
	case flags.NArg() > 0 || *length < 0:
		fmt.Fprintln(stderr, "vitrine demo: takes --for and --outage only, and no time can be negative")
		return exitUsage
	}
	d, err := newDemo(ctx, *outage)
	if err != nil {
		fmt.Fprintln(stderr, "vitrine demo:", err)
		return exitFailed
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if *length > 0 {
		defer time.AfterFunc(*length, stop).Stop()
	}
	if err := d.run(ctx, stdout); err != nil {
		fmt.Fprintln(stderr, "vitrine demo:", err)
		return exitFailed
	}
	return exitOK
}

// demo is the sidecar between two stand-ins.
type demo struct {
	outage  bool
	api     *fakeapi.Server
	shop    *fakeshop.Server
	sidecar *sidecar
}

// newDemo starts the stand-ins and makes the sidecar. What it has to complain of is to be
// seen on its status page alone.
func newDemo(ctx context.Context, outage bool) (d *demo, err error) {
	d = &demo{outage: outage}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	if d.api, err = fakeapi.Start(fakeapi.Realistic()); err != nil {
		return d, fmt.Errorf("starting the stand-in API: %w", err)
	}
	if outage {
		if err = d.api.Play(everyMinute()); err != nil {
			return d, fmt.Errorf("planning the outage: %w", err)
		}
	}
	if d.shop, err = fakeshop.Start(fakeshop.Options{Catalogue: d.api.Rankings().Catalogue}); err != nil {
		return d, fmt.Errorf("starting the shop: %w", err)
	}
	handler := logs.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelWarn})) //nolint:sloglint // a DiscardHandler would have nothing noted
	c := demoConfig(d.api.URL(), d.shop.URL())
	d.sidecar, err = newSidecar(ctx, c, slog.New(handler), handler, nil)
	if errors.Is(err, syscall.EADDRINUSE) { // another sidecar, or another demo
		const free = "127.0.0.1:0"
		c.Listen, c.Probe.Listen, c.Admin.Listen = free, free, free
		d.sidecar, err = newSidecar(ctx, c, slog.New(handler), handler, nil)
	}
	return d, err
}

// demoConfig is the default configuration, with this machine for everything outside it.
// No file and no variable changes it: the demo is the same everywhere.
func demoConfig(api, shop string) config.Config {
	c := config.Default()
	c.Probe.Listen = "127.0.0.1:8378"
	c.Upstream.URL = config.Address(api)
	c.Upstream.Token = config.NewSecret(fakeapi.DefaultToken)
	c.Redis.URL = "embedded"
	c.Outbox.Dir = inMemory
	c.Platform.Kind = "http"
	c.Platform.Source = config.Source{URL: config.Address(shop + "/native?category={id}"), IDs: "items.#.productId"}
	c.Platform.Similar = config.Source{URL: config.Address(shop + "/similar?product={id}"), IDs: "items.#.productId"}
	c.Platform.Shelf = config.Source{URL: config.Address(shop + "/shelf"), IDs: "items.#.productId"}
	return c
}

func (d *demo) close() error {
	var errs []error
	if d.shop != nil {
		errs = append(errs, d.shop.Close())
	}
	if d.api != nil {
		errs = append(errs, d.api.Close())
	}
	return errors.Join(errs...)
}

// run shows the shop at work until ctx ends or the sidecar fails, and closes everything.
// The shoppers go first and the stand-ins last, as in a pod.
func (d *demo) run(ctx context.Context, stdout io.Writer) (err error) {
	defer func() { err = errors.Join(err, d.close()) }()
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	failed := make(chan error, 1)
	go func() { failed <- d.sidecar.run(serving) }() // awaited below

	var seen tally
	shopping, leave := context.WithCancel(ctx)
	defer leave()
	crowd := newCrowd("http://"+d.sidecar.data.Addr().String()+recommendationPath, d.api.Rankings().Catalogue, &seen)
	gone := make(chan struct{})
	go func() { // awaited below
		crowd.run(shopping)
		close(gone)
	}()

	fmt.Fprint(stdout, d.greeting())
	err = d.watch(ctx, stdout, &seen, failed)
	leave()
	<-gone
	if err == nil {
		stop()
		err = <-failed
	}
	fmt.Fprint(stdout, d.farewell(seen.total()))
	return err
}

// everyMinute is a well API that is away for a while once a minute.
func everyMinute() fakeapi.Script {
	return fakeapi.Script{Repeat: true, Phases: []fakeapi.Phase{
		{Name: "well", For: outageAfter},
		{Name: away, For: outageFor, Faults: []fakeapi.Fault{{Answer: fakeapi.Refuse}}},
		{Name: "well again", For: outagePeriod - outageAfter - outageFor},
	}}
}

// away is the phase in which the API refuses connections.
const away = "away"

// watch prints a line every second until ctx ends; a sidecar that ends by itself is an error.
func (d *demo) watch(ctx context.Context, stdout io.Writer, seen *tally, failed <-chan error) error {
	const headEvery = 20 // lines
	second := time.NewTicker(time.Second)
	defer second.Stop()
	began, phase := time.Now(), ""
	var delivered uint64
	for line := 0; ; line++ {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return errors.Join(errors.New("the sidecar has stopped"), err)
		case <-second.C:
		}
		now := d.api.Stats().Phase
		if (now == away) != (phase == away) {
			fmt.Fprintln(stdout, announcement(now))
		}
		phase = now
		if line%headEvery == 0 {
			fmt.Fprint(stdout, heading)
		}
		events := d.sidecar.delivery.Stats()
		fmt.Fprintln(stdout, report{
			at: time.Since(began), views: seen.take(),
			delivered: events.Delivered - delivered, pending: events.Pending,
			breaker: d.sidecar.breakers.recommendation.State(),
		})
		delivered = events.Delivered
	}
}
