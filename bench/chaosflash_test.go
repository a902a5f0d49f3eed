package main

import (
	"math"
	"slices"
	"testing"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/load"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

// The regular shoppers' seed is the guests' too, and tells them apart from each other.
func TestGuestsAreTold(t *testing.T) {
	names := make(map[string]bool)
	for _, regular := range []uint64{0, 1, 2, 77, 1 << 40, math.MaxUint64} {
		for seed, want := range map[uint64]bool{regular: false, flashSeed(regular): true} {
			model := traffic.Default()
			model.Seed, model.Shoppers, model.Bots = seed, 10, 0.5
			crowd := traffic.NewCrowd(model, shopdata.New(1, 100, 4), 1)
			first := crowd.Page(0).Requests[0]
			if names[first.Session] {
				t.Errorf("%s: is another crowd's too", first.Session)
			}
			names[first.Session] = true
			for range 20 {
				if session := crowd.Page(0).Requests[0].Session; isGuest(session) != want {
					t.Errorf("%s: got %v, want %v", session, !want, want)
				}
			}
		}
	}
}

// A hit is due to who asks the same again soon enough for its ranking to be there, and still
// fresh however what was asked together came in.
func TestHitsDue(t *testing.T) {
	r := &outcome{}
	ask := func(at time.Duration, session, item, class string) {
		r.samples = append(r.samples, point{at: at, session: session, kind: item, asks: item, class: class})
	}
	for _, again := range []struct {
		session string
		after   time.Duration
		between []string // half-way
		class   string
	}{
		{"kept", time.Second, []string{"y", "z"}, check.Cache},
		{"lost", time.Second, []string{"y", "z"}, check.Stale},
		{"moved on", time.Second, []string{"u", "v", "w"}, check.API},
		{"too soon", 100 * time.Millisecond, nil, check.API},
		{"too late", 55 * time.Second, nil, check.API},
	} {
		ask(0, again.session, "x", check.API)
		for _, item := range again.between {
			ask(again.after/2, again.session, item, check.API)
		}
		ask(again.after, again.session, "x", again.class)
	}
	ask(0, "together", "x", check.API)
	for _, item := range []string{"x", "y", "z"} {
		ask(time.Second, "together", item, check.Native)
	}
	ask(2*time.Second, "together", "y", check.Native)
	due, kept := r.hitsDue(500*time.Millisecond, time.Minute, func(p point) bool { return p.asks == "x" })
	if due != 3 || kept != 1 {
		t.Errorf("got %d of %d hits kept, want 1 of 3", kept, due)
	}
}

// The crowd comes while the others go on, in the order of time.
func TestMergeKeepsTheOrder(t *testing.T) {
	due := func(session string, at ...time.Duration) (all []load.Due[traffic.Request]) {
		for _, a := range at {
			all = append(all, load.Due[traffic.Request]{At: a, What: traffic.Request{Session: session}})
		}
		return all
	}
	regular, guests := due("r", 1, 3, 5, 9), due("g", 2, 3, 4)
	var got []load.Due[traffic.Request]
	for d := range merge(slices.Values(regular), slices.Values(guests)) {
		got = append(got, d)
	}
	if len(got) != len(regular)+len(guests) {
		t.Fatalf("got %d requests, want %d", len(got), len(regular)+len(guests))
	}
	if !slices.IsSortedFunc(got, func(a, b load.Due[traffic.Request]) int { return int(a.At - b.At) }) {
		t.Errorf("got %v, want the order of time", got)
	}
	for range merge(slices.Values(regular), slices.Values(guests)) {
		break // must not go on asking
	}
}
