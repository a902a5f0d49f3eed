package main

import (
	"slices"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/load"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

func TestKnee(t *testing.T) {
	steady := fakeapi.Latency{P50: 100 * time.Millisecond}
	if got, want := knee(20, steady), 200.0; got != want {
		t.Errorf("got %v requests a second, want %v", got, want)
	}
	p := phases{before: 2 * time.Second, during: 4 * time.Second, after: 8 * time.Second}
	curve := kneeCurve(100, p)
	if got, want := curve.Total(), 2*100+4*200+8*25.0; got != want {
		t.Errorf("got %v arrivals, want %v", got, want)
	}
	if got, want := curve.Length(), p.length(); got != want {
		t.Errorf("got a curve of %v, want %v", got, want)
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

func TestGuestsAreTold(t *testing.T) {
	for seed, want := range map[uint64]bool{1: false, 2: false, flashSeed: true} {
		model := traffic.Default()
		model.Seed, model.Shoppers, model.Bots = seed, 10, 0.5
		crowd := traffic.NewCrowd(model, shopdata.New(1, 100, 4), 1)
		for range 20 {
			if session := crowd.Page(0).Requests[0].Session; isGuest(session) != want {
				t.Errorf("%s: got %v, want %v", session, !want, want)
			}
		}
	}
}
