package ops_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"vitrine/internal/ops"
	"vitrine/internal/reco"
)

func BenchmarkObserveRequest(b *testing.B) {
	m := newMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.ObserveRequest(reco.ProductView, reco.FromCache, reco.NoReason, 40*time.Microsecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	m := newMetrics()
	if err := m.Attach(ops.Sources{}); err != nil {
		b.Fatal(err)
	}
	h := m.Handler()
	r := httptest.NewRequestWithContext(b.Context(), "GET", "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		b.SetBytes(int64(w.Body.Len()))
	}
}
