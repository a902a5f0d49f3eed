package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"vitrine/bench/load"
)

// scenario is a kind of day in a shop.
type scenario struct {
	name  string
	about string

	// set changes the defaults, before the flags are read. nil changes nothing.
	set func(*options)

	// curve is the rate over the measured time. nil is a constant one.
	curve func(*options) load.Curve

	// prepare is told the options as they are to be used.
	prepare func(*options)

	// during happens beside the load, from the start of what is measured. It returns
	// when it is done or ctx has ended.
	during func(ctx context.Context, o *options, s *stage) error
}

func scenarios() []scenario {
	return []scenario{
		{name: "steady", about: "a constant load by a few hundred sessions in every stage", set: func(o *options) {
			o.model.Shoppers = 300
		}},
		{name: "cold", about: "nothing warm: no warm-up, and every session is new to sidecar and API", set: func(o *options) {
			o.warm, o.model.Bots = 0, 1
		}},
		{name: "spike", about: "ten times the load within ten seconds, for a third of the time", curve: func(o *options) load.Curve {
			return load.Spike(o.rate, 10, 10*time.Second, o.length)
		}},
		{name: "flash-item", about: "one product gets a fifth of the product pages, for five minutes or most of the run", set: func(o *options) {
			o.model.Flash = 0.2
		}, prepare: func(o *options) {
			o.model.FlashFrom = o.warm + o.length/6
			o.model.FlashTo = o.model.FlashFrom + min(5*time.Minute, o.length*2/3)
		}},
		{name: "bots", about: "half of the pages go to bots with new sessions and any product", set: func(o *options) { o.model.Bots = 0.5 }},
		{name: "double-fire", about: "every page sends its requests twice within 50 ms", set: func(o *options) { o.model.DoubleFire = 1 }},
		{name: "diurnal", about: "a day in ten minutes, its peak 2.15 times the mean", set: func(o *options) {
			o.length = 10 * time.Minute
		}, curve: func(o *options) load.Curve {
			return load.Diurnal(o.rate, 2.15, o.length)
		}},
		{name: "new-connections", about: "a connection for each request", set: func(o *options) { o.fresh = true }},
		{name: "pods", about: "four sidecars beside one Redis; see -affinity", set: func(o *options) { o.pods = 4 }},
		{name: "deploy", about: "three sidecars restarted one after the other under load", set: func(o *options) {
			o.pods, o.length = 3, time.Minute
		}, during: deploy},
	}
}

func findScenario(name string) (scenario, error) {
	var names []string
	for _, s := range scenarios() {
		if s.name == name {
			return s, nil
		}
		names = append(names, s.name)
	}
	return scenario{}, fmt.Errorf("there is no scenario %q, only %s", name, strings.Join(names, ", "))
}

// rate is the measured curve of the scenario.
func (s scenario) rate(o *options) load.Curve {
	if s.curve == nil {
		return load.Constant(o.rate, o.length)
	}
	return s.curve(o)
}

// deploy restarts the sidecars one after the other, as a rolling update does: the
// shop's server stops sending to one, the one is told to end, and starts again.
func deploy(ctx context.Context, o *options, s *stage) error {
	pause := o.length / time.Duration(2*len(s.pods)+1)
	for _, p := range s.pods {
		if !sleep(ctx, pause) {
			return nil
		}
		// Who has been told to end is started again even if the load is over meanwhile.
		if err := p.restart(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("restarting a sidecar: %w", err)
		}
	}
	return nil
}

// sleep waits, and reports false if ctx ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
