package main

import (
	"testing"
	"time"

	"vitrine/bench/fakeapi"
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
