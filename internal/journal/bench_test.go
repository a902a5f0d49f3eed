package journal_test

import (
	"bytes"
	"context"
	"sync/atomic"
	"testing"

	"vitrine/internal/journal"
)

// openForAppend returns a journal whose first segment has room for many records.
func openForAppend(tb testing.TB) *journal.Journal {
	tb.Helper()
	j, err := journal.Open(journal.Options{Dir: tb.TempDir(), SegmentBytes: 64 << 20, MaxBytes: 128 << 20})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := j.Close(); err != nil {
			tb.Error(err)
		}
	})
	return j
}

// Half of an Append's time is the page fault at each new 4 KiB of the mapping.
func BenchmarkAppend(b *testing.B) {
	r := journal.Record{Time: 1, Key: 2, Body: bytes.Repeat([]byte("b"), 200)}
	j := openForAppend(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Append(r); err != nil { // full

			b.StopTimer()
			j = openForAppend(b)
			b.StartTimer()
		}
	}
}

// Here Run works beside the appenders; what it cannot keep up with is refused, and reported.
func BenchmarkAppendParallel(b *testing.B) {
	r := journal.Record{Time: 1, Key: 2, Body: bytes.Repeat([]byte("b"), 200)}
	j := openForAppend(b)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error)
	go func() { done <- j.Run(ctx) }()
	var refused atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			at, err := j.Append(r)
			if err != nil {
				refused.Add(1)
				continue
			}
			if err := j.Settle(at); err != nil {
				b.Error(err)
			}
		}
	})
	stop()
	if err := <-done; err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(refused.Load())/float64(b.N), "refused/op")
}

func BenchmarkSettle(b *testing.B) {
	j := openForAppend(b)
	at := mustAppend(b, j, numbered(1, 200))
	b.ReportAllocs()
	for b.Loop() {
		mustSettle(b, j, at)
	}
}

func BenchmarkRead(b *testing.B) {
	j := openForAppend(b)
	at := mustAppend(b, j, numbered(1, 200))
	buffer := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := j.Read(at, buffer); err != nil {
			b.Fatal(err)
		}
	}
}
