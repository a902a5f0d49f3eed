package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// catalogue is what the shop sells, and what the API recommends.
func catalogue() *shopdata.Catalogue { return shopdata.New(1, 50_000, 200) }

// shop is the pod's other container: the bench's steady load, and a record of what it asked.
type shop struct {
	crowd   *traffic.Crowd
	client  *wire.Client
	waits   *load.Histogram
	answers atomic.Int64

	mu      sync.Mutex
	asked   map[event]int  // accepted events
	sources map[string]int // of their answers
	late    int            // answers
	failed  []error
}

// event is what the API's ledger tells of one.
type event struct{ Session, Type, ID string }

// mostFailures bounds what is remembered of failures, not what is counted.
const mostFailures = 5

const (
	// requestTimeout is the client's time-out of the README: the budget and 200 ms. An answer
	// later than that is counted, and no more: on a machine that does something else, the
	// machine may be what is late.
	requestTimeout = 500 * time.Millisecond
	// mostWait is what even such a machine must not need.
	mostWait = 5 * time.Second
)

func newShop(address string, rate float64) *shop {
	model := traffic.Default()
	model.Shoppers = 300 // as in the bench's scenario steady
	return &shop{
		crowd:  traffic.NewCrowd(model, catalogue(), rate/model.RequestsPerPage()),
		client: wire.NewClient(address, false), waits: load.NewHistogram(),
		asked: make(map[event]int), sources: make(map[string]int),
	}
}

// open is the shop's business for a time.
func (s *shop) open(ctx context.Context, rate float64, length time.Duration, seed uint64) {
	pages := load.Arrivals{Curve: load.Constant(rate/traffic.Default().RequestsPerPage(), length), Seed: seed}
	const atOnce = 1024
	load.Open(ctx, s.crowd.Requests(pages.All()), atOnce, s.ask)
}

// close is the end of the shop's container: its connections go with it.
func (s *shop) close() { s.client.Close() }

// ask asks for one list. Its wait counts from the instant at which it was due.
func (s *shop) ask(r traffic.Request, due time.Time) {
	var a wire.Answer
	err := s.client.Do(r.AppendHTTP(nil), &a, time.Now().Add(mostWait))
	wait := time.Since(due)
	var list struct{ Products []string }
	switch {
	case err != nil:
	case a.Status != 200:
		err = fmt.Errorf("status %d: %.200s", a.Status, a.Body)
	default:
		err = json.Unmarshal(a.Body, &list)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits.Record(wait)
	if wait > requestTimeout {
		s.late++
	}
	s.answers.Add(1)
	if err != nil {
		if len(s.failed) < mostFailures {
			s.failed = append(s.failed, err)
		}
		return
	}
	s.sources[a.Header("Vitrine-Source")]++
	if a.Header("Vitrine-Event") != "" {
		s.asked[event{r.Session, r.Type, r.ID}]++
	}
}

// missing is how many accepted events the API has not had, of how many.
func (s *shop) missing(had map[event]int) (missing, accepted int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for e, n := range s.asked {
		accepted += n
		missing += max(n-had[e], 0)
	}
	return missing, accepted
}
