package delivery

import (
	"log/slog"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/reco"
)

// nothing is an API and a cache that nobody calls.
type nothing struct{}

func (nothing) Recommend(fashionai.Call) (out fashionai.Outcome) { return out }

func (nothing) Accept(reco.Event) (m cache.Mark) { return m }

func (nothing) Store(reco.Event, reco.Ranking, time.Time, cache.Mark) bool { return false }

func (nothing) StoreEmpty(reco.Event) {}

// idle returns a Delivery that is not run.
func idle(t *testing.T) *Delivery {
	t.Helper()
	b, err := breaker.New(breaker.Defaults("recommendation"))
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(Options{
		API: nothing{}, Breaker: b, Rankings: nothing{}, Log: slog.New(slog.DiscardHandler),
		MaxInFlight: 1, Timeout: time.Second, MaxAge: time.Hour, MaxMemory: 1 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// An event whose acknowledgement was lost lies in its stream twice. Both entries are taken
// over, handed back before it was sent, and taken over again: one of them must be left.
func TestAnEventInAStreamTwiceIsHandedBackOnce(t *testing.T) {
	d := idle(t)
	e := reco.Event{Type: reco.ProductView, Session: "s", Item: "a"}
	now := time.Now()
	r := journal.Record{ID: newID(now), Time: now.UnixNano(), Body: e.AppendJSON(nil)}
	const stream = 3
	inRedis := map[string]bool{"1-0": true, "2-0": true}
	for range 3 {
		d.lend(stream, now.Add(time.Hour))
		for _, entry := range []string{"1-0", "2-0"} {
			if inRedis[entry] {
				d.borrow(stream, entry, r, nil)
			}
		}
		if got := d.lent()[stream][scheduled]; got != 1 {
			t.Fatalf("got %d events to send, with %v in Redis; want 1", got, inRedis)
		}
		d.recall(stream)
		d.handBack(stream, func(entry string) bool { return inRedis[entry] })
		told := d.returnedOf(stream)
		for _, gone := range told {
			delete(inRedis, gone.entry)
		}
		d.closeLoans(told)
	}
	if len(inRedis) != 1 || !inRedis["2-0"] {
		t.Errorf("got %v left in Redis, want the later entry", inRedis)
	}
	if s := d.Stats(); s.Accepted != s.Parked+s.Deduplicated || s.Pending != 0 || s.Parked != 3 || s.Deduplicated != 1 {
		t.Errorf("got %+v, want the event parked again three times, and one entry recognised", s)
	}
}
