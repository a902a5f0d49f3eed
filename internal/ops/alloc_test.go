//go:build !race

package ops_test

import (
	"testing"
	"time"

	"vitrine/internal/reco"
)

// Under the race detector the compiler allocates where it otherwise need not.
func TestObservingAllocatesNothing(t *testing.T) {
	m := newMetrics()
	took, code := 300*time.Microsecond, "503"
	for name, observe := range map[string]func(){
		"a hit":              func() { m.ObserveRequest(reco.ProductView, reco.FromCache, reco.NoReason, took) },
		"a fallback":         func() { m.ObserveRequest(reco.CategoryView, reco.FromNative, reco.Empty, took) },
		"an API's status":    func() { m.ObserveRequest(reco.CategoryView, reco.FromNative, "http-503", took) },
		"an unknown reason":  func() { m.ObserveRequest(reco.CategoryView, reco.FromNative, "unheard of", took) },
		"a call of the API":  func() { m.ObserveUpstream(code, took) },
		"a Redis operation":  func() { m.ObserveRedis("lookup", "ok", took) },
		"an unknown command": func() { m.ObserveRedis("unheard of", "ok", took) },
	} {
		if got := testing.AllocsPerRun(100, observe); got != 0 {
			t.Errorf("%s: got %v allocations, want none", name, got)
		}
	}
}
