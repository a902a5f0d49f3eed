package main

import (
	"testing"

	"vitrine/bench/rig"
)

func TestLookupsAnswered(t *testing.T) {
	m := rig.Metrics{
		`vitrine_redis_operations_total{op="lookup",outcome="ok"}`:      7,
		`vitrine_redis_operations_total{op="lookup",outcome="late"}`:    2,
		`vitrine_redis_operations_total{op="lookup",outcome="refused"}`: 1,
		`vitrine_redis_operations_total{op="store",outcome="ok"}`:       50,
	}
	if all, answered := lookups(m); all != 10 || answered != 9 {
		t.Errorf("got %v of %v answered, want 9 of 10", answered, all)
	}
}
