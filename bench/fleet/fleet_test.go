package fleet_test

import (
	"iter"
	"testing"
	"time"

	"vitrine/bench/fleet"
	"vitrine/bench/load"
	"vitrine/bench/traffic"
)

// views yields one session's views of products, one every gap.
func views(gap time.Duration, ids ...string) iter.Seq[load.Due[traffic.Request]] {
	return func(yield func(load.Due[traffic.Request]) bool) {
		for i, id := range ids {
			d := load.Due[traffic.Request]{At: time.Duration(i+1) * gap, What: traffic.Request{Session: "s", Type: "productView", ID: id}}
			if !yield(d) {
				return
			}
		}
	}
}

func TestSimulate(t *testing.T) {
	base := fleet.Options{Pods: 1, Fresh: time.Minute, FreshEvents: 3, Memory: 1 << 20, Redis: true, Rate: 1, Entry: 1000}
	for _, c := range []struct {
		name   string
		change func(*fleet.Options)
		asked  iter.Seq[load.Due[traffic.Request]]
		want   float64 // hits
	}{
		{"again at once", nil, views(time.Second, "a", "a", "a"), 2},
		{"again too late", nil, views(2*time.Minute, "a", "a"), 0},
		{"after two others", nil, views(time.Second, "a", "b", "c", "a"), 1},
		{"after three others", nil, views(time.Second, "a", "b", "c", "d", "a"), 0},
		{"events do not count", func(o *fleet.Options) { o.FreshEvents = 0 }, views(time.Second, "a", "b", "c", "d", "a"), 1},
		{"before the answer is there", func(o *fleet.Options) { o.Latency = 5 * time.Second }, views(time.Second, "a", "a"), 0},
		{"the API is cold", func(o *fleet.Options) { o.Cold = 1 }, views(time.Second, "a", "a", "a"), 1},
	} {
		o := base
		if c.change != nil {
			c.change(&o)
		}
		got := fleet.Simulate(o, c.asked)
		if hits := got.Hit() * float64(got.Requests); hits < c.want-0.01 || hits > c.want+0.01 {
			t.Errorf("%s: got %v hits, want %v", c.name, hits, c.want)
		}
	}
}

// What memory does not hold Redis does: the tiers share the hits and lose none.
func TestTiersShareTheHits(t *testing.T) {
	o := fleet.Options{Pods: 1, Fresh: time.Minute, FreshEvents: 3, Memory: 1 << 20, Redis: true, Rate: 1, Entry: 1000}
	asked := views(time.Second, "a", "a", "b", "a", "b")
	roomy := fleet.Simulate(o, asked)
	o.Memory = 1
	tight := fleet.Simulate(o, asked)
	if roomy.Redis != 0 || tight.Memory != 0 || roomy.Hit() != tight.Hit() {
		t.Errorf("got %+v with memory and %+v without, want the same hits", roomy, tight)
	}
}
