package fakeapi_test

import (
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

// The stand-in must not be what limits a run: 2 000 calls a second is the least.
func BenchmarkRecommendation(b *testing.B) {
	api, err := fakeapi.Start(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 50_000, 100)}})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = api.Close() }()
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	var session atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			body := eventBody("s"+strconv.FormatInt(session.Add(1), 10), "", fakeapi.ProductView, "p1")
			r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, api.URL()+recommendation, strings.NewReader(body))
			if err != nil {
				b.Error(err)
				return
			}
			r.Header.Set(fakeapi.TokenHeader, fakeapi.DefaultToken)
			r.Header.Set("Content-Type", "application/json")
			if a, err := send(c, r); err != nil || len(a.products) == 0 {
				b.Errorf("got %v %v", a.products, err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
