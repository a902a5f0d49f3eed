package reco_test

import (
	"fmt"
	"strings"
	"testing"

	"vitrine/internal/reco"
)

// pageView is a body as storefronts send it, about 120 bytes.
const pageView = `{"userId":"90","sessionId":"6b1f0c1e-5a0e-4f4b-9d55-0f6a53c1d7aa","eventType":"productView","data":{"id":"979935-0042"}}`

func rankingOf(n int) reco.Ranking {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("product-%06d", i)
	}
	return reco.NewRanking(ids)
}

func BenchmarkParseRequest(b *testing.B) {
	body := []byte(pageView)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reco.ParseRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEventAppendJSON(b *testing.B) {
	event, err := reco.ParseEvent([]byte(pageView))
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst = event.AppendJSON(dst[:0])
	}
}

func BenchmarkRankingAll(b *testing.B) {
	ranking, bytes := rankingOf(24), 0
	b.ReportAllocs()
	for b.Loop() {
		for id := range ranking.All {
			bytes += len(id)
		}
	}
}

func BenchmarkParseRanking(b *testing.B) {
	body := []byte(rankingOf(24).JSON())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reco.ParseRanking(body); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkNewRanking is what dressing a list of the shop's own costs at its end.
func BenchmarkNewRanking(b *testing.B) {
	ids := rankingOf(200).IDs()
	b.ReportAllocs()
	for b.Loop() {
		reco.NewRanking(ids)
	}
}

// BenchmarkParseNative reads a request that brings the platform's own ordering.
func BenchmarkParseNative(b *testing.B) {
	products := strings.TrimPrefix(strings.TrimSuffix(rankingOf(200).JSON(), "}"), `{"products":`)
	body := []byte(`{"sessionId":"s","eventType":"customShelf","data":{"id":""},"vitrine":{"complete":true,"native":` + products + `}}`)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := reco.ParseRequest(body); err != nil {
			b.Fatal(err)
		}
	}
}
