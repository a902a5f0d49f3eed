package catalog

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/reco"
)

// A clock that is set back must not make what was pushed before outlive what is
// pushed now.
func TestAClockSetBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Defaults(), nil, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ahead := time.Now().Add(time.Hour)
		c.apply([]Level{{ID: "a", Quantity: 9, At: ahead}}, ahead)
		if err := c.Push(t.Context(), []reco.Stock{{ID: "a", Quantity: 0}}); err != nil {
			t.Fatal(err)
		}
		if got := c.Stock("a"); !got.SoldOut {
			t.Errorf("Stock(a): got %+v, want sold out", got)
		}
		if got, want := c.pushes.levels()[0].At, time.Now(); !got.Equal(want) {
			t.Errorf("At: got %s, want %s, the clock's", got, want)
		}
	})
}
