package fallback_test

import (
	"fmt"
	"testing"
	"time"

	"vitrine/fallback"
)

// kept keeps the compiler from leaving out what is measured.
var kept bool

// What a request pays for a native ordering that is there.
func BenchmarkAskAndWait(b *testing.B) {
	shop := &shopFake{}
	n := start(b, fallback.NativeOptions{Platform: shop})
	for i := range 1000 {
		ranking, _, _ := n.Ask(view(fmt.Sprint(i))).Wait(time.Now().Add(time.Second))
		kept = ranking.Empty()
	}
	event := view("500")
	b.ReportAllocs()
	for b.Loop() {
		_, _, kept = n.Ask(event).Wait(time.Time{})
	}
}
