package breaker_test

import (
	"testing"
	"time"

	"vitrine/breaker"
)

func BenchmarkClosed(b *testing.B) {
	br, err := breaker.New(breaker.Defaults("recommendation"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		p, err := br.Admit()
		if err != nil {
			b.Fatal(err)
		}
		p.Done(breaker.Outcome{Kind: breaker.Success, Took: 180 * time.Millisecond})
	}
}

func BenchmarkRefused(b *testing.B) {
	br, err := breaker.New(breaker.Defaults("recommendation"))
	if err != nil {
		b.Fatal(err)
	}
	if err := br.Override(breaker.Open, 0); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := br.Admit(); err == nil {
			b.Fatal("admitted")
		}
	}
}
