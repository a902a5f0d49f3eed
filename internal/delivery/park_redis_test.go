package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// These tests ask a real redis-server, in real time: what the stand-in cannot know is
// what Redis does.

const patience = 30 * time.Second

// quick answers at once.
func quick(_ int, e reco.Event) fashionai.Outcome { return ranked(e) }

// realPod is a pod with a journal of its own, beside a real Redis.
type realPod struct {
	*delivery.Delivery
	parking *delivery.Parking
	breaker *breaker.Breaker
	dir     string
	halt    func() // ends taking over, as a process does before it drains
	close   func() // ends everything, as at the end of a process
}

func startReal(t *testing.T, server *redistest.Server, common *api, away bool, change ...func(*delivery.ParkingOptions)) *realPod {
	t.Helper()
	p := &realPod{dir: t.TempDir()}
	log := slog.New(slog.DiscardHandler)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	b := breaker.Defaults("recommendation")
	b.OnChange = func(breaker.Change) { p.BreakerChanged() }
	var err error
	p.breaker, err = breaker.New(b)
	must(err)
	outbox, err := journal.Open(journal.Options{Dir: p.dir, MaxBytes: 64 << 20})
	must(err)
	p.Delivery, err = delivery.New(delivery.Options{
		API: common, Breaker: p.breaker, Log: log, Journal: outbox,
		Rankings:    &rankings{counts: map[string]cache.Mark{}, stored: map[reco.Event]reco.Ranking{}},
		MaxInFlight: 8, Timeout: 2 * time.Second, MaxAge: 30 * time.Minute, MaxMemory: 1 << 20,
	})
	must(err)
	if away {
		must(p.breaker.Override(breaker.Open, 0))
	}
	rb, err := breaker.New(redis.BreakerOptions())
	must(err)
	client, err := redis.New(redis.Options{URL: server.URL(), Budget: 5 * time.Millisecond, Breaker: rb, Log: log})
	must(err)
	o := delivery.ParkingOptions{Delivery: p.Delivery, Redis: client, Log: log, MaxBytes: 64 << 20}
	for _, f := range change {
		f(&o)
	}
	p.parking, err = delivery.NewParking(o)
	must(err)

	below := run(t, outbox.Run, client.Run, p.Delivery.Run)
	p.halt = run(t, p.parking.Run)
	p.close = sync.OnceFunc(func() {
		p.halt()
		below()
		must(client.Close())
		must(outbox.Close())
	})
	t.Cleanup(p.close)
	return p
}

// run runs parts until they are told to stop.
func run(t *testing.T, parts ...func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() {
			if err := part(ctx); err != nil {
				t.Errorf("got %v from a part, want nil", err)
			}
		})
	}
	return sync.OnceFunc(func() { cancel(); all.Wait() })
}

func (p *realPod) accept(t *testing.T, sessions, n int) {
	t.Helper()
	for i := range n {
		for s := range sessions {
			p.Accept(view(fmt.Sprint("s", s), fmt.Sprint(i)), false)
		}
	}
}

func (p *realPod) drain(grace time.Duration) {
	p.halt()
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	p.Drain(ctx, p.parking)
}

// until waits for something to become true.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

func (p *realPod) untilDelivered(t *testing.T, n uint64) {
	t.Helper()
	until(t, fmt.Sprint(n, " events delivered"), func() bool { return p.Stats().Delivered >= n })
}

// emptied checks that the streams are, once the last acknowledgements are through.
func (p *realPod) emptied(t *testing.T) {
	t.Helper()
	until(t, "nothing left in Redis", func() bool {
		c, err := p.parking.Contents(t.Context())
		return err == nil && c.Events == 0
	})
}

func TestRedisCarriesEventsToAnotherPod(t *testing.T) {
	t.Parallel()
	server, common := redistest.Start(t), &api{answer: quick}
	a := startReal(t, server, common, true)
	a.accept(t, 12, 5)
	a.drain(patience)
	if s := a.Stats(); s.Parked != 60 || s.Pending != 0 {
		t.Fatalf("got %+v, want all 60 parked", s)
	}
	a.close()
	if err := os.RemoveAll(a.dir); err != nil {
		t.Fatal(err)
	}
	for i := range 16 {
		key := fmt.Sprintf("v1:parked:{%d}", i)
		if server.Do("EXISTS", key) == "1" && server.Do("PTTL", key) == "-1" {
			t.Errorf("%s has no life", key)
		}
	}
	b := startReal(t, server, common, false)
	b.untilDelivered(t, 60)
	b.emptied(t)
	if twice := common.inOrder(t, 12, 5); twice > 0 {
		t.Errorf("got %d events twice, want none", twice)
	}
}

func TestRedisCarriesOnAfterAKilledPod(t *testing.T) {
	t.Parallel()
	server, common := redistest.Start(t), &api{answer: quick}
	a := startReal(t, server, common, true)
	a.accept(t, 12, 5)
	a.drain(patience)
	b := startReal(t, server, common, false)
	b.untilDelivered(t, 20)
	b.halt() // it neither drains nor gives anything back
	if err := b.breaker.Override(breaker.Open, 0); err != nil {
		t.Fatal(err)
	}
	until(t, "nothing under way", func() bool { return b.Stats().InFlight == 0 })
	unheard := b.Stats().Delivered
	c := startReal(t, server, common, false)
	for i := range 16 {
		server.Do("DEL", fmt.Sprintf("v1:parked:{%d}:lease", i)) // as if their time was over
	}
	c.untilDelivered(t, 60-unheard)
	c.emptied(t)
	if twice := common.inOrder(t, 12, 5); twice > 4 {
		t.Errorf("got %d events twice, want at most those that Redis had not heard of", twice)
	}
}

func TestRedisThatRefusesIsTriedAgain(t *testing.T) {
	for name, trouble := range map[string]struct{ begin, end []string }{
		"OOM":      {[]string{"CONFIG", "SET", "maxmemory", "1"}, []string{"CONFIG", "SET", "maxmemory", "0"}},
		"READONLY": {[]string{"REPLICAOF", "127.0.0.1", "1"}, []string{"REPLICAOF", "NO", "ONE"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, common := redistest.Start(t), &api{answer: quick}
			a := startReal(t, server, common, true)
			a.accept(t, 5, 4)
			server.Do(trouble.begin...)
			a.drain(time.Second)
			if s := a.Stats(); s.Parked != 0 || s.Pending != 20 {
				t.Fatalf("got %+v, want all kept while Redis refuses", s)
			}
			server.Do(trouble.end...)
			a.drain(patience)
			if s := a.Stats(); s.Parked != 20 || s.Pending != 0 {
				t.Fatalf("got %+v, want all parked once it does not", s)
			}
			b := startReal(t, server, common, false)
			b.untilDelivered(t, 20)
			if twice := common.inOrder(t, 5, 4); twice > 0 {
				t.Errorf("got %d events twice, want none", twice)
			}
		})
	}
}

func TestRedisEmptiedIsFilledAgain(t *testing.T) {
	t.Parallel()
	server, common := redistest.Start(t), &api{answer: quick}
	a := startReal(t, server, common, true, parkAfter(time.Millisecond))
	a.accept(t, 5, 4)
	until(t, "all parked", func() bool { return a.Stats().Parked == 20 })
	server.Do("FLUSHALL")
	until(t, "all parked again", func() bool {
		c, err := a.parking.Contents(t.Context())
		return err == nil && c.Events == 20
	})
	b := startReal(t, server, common, false)
	b.untilDelivered(t, 3)
	server.Do("FLUSHALL") // with the group, the leases, and what is on loan
	b.untilDelivered(t, 20)
	if twice := common.inOrder(t, 5, 4); twice > 0 {
		t.Errorf("got %d events twice, want none", twice)
	}
}

func TestAGroupThatIsGoneComesBack(t *testing.T) {
	t.Parallel()
	server, common := redistest.Start(t), &api{answer: quick}
	a := startReal(t, server, common, true)
	a.accept(t, 5, 4)
	a.drain(patience)
	b := startReal(t, server, common, false)
	b.untilDelivered(t, 3)
	for i := range 16 {
		if key := fmt.Sprintf("v1:parked:{%d}", i); server.Do("EXISTS", key) == "1" {
			server.Do("XGROUP", "DESTROY", key, "vitrine")
		}
	}
	b.untilDelivered(t, 20)
	b.emptied(t)
	if twice := common.inOrder(t, 5, 4); twice > 0 {
		t.Errorf("got %d events twice, want none", twice)
	}
}

func TestRedisSaysHowMuchIsParked(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	a := startReal(t, server, &api{answer: quick}, true, func(o *delivery.ParkingOptions) { o.MaxBytes = 300 << 10 })
	a.accept(t, 300, 20)
	a.drain(patience)
	s := a.Stats()
	if s.Parked < 500 || s.Pending < 500 {
		t.Errorf("got %d parked and %d kept, want the bound between them", s.Parked, s.Pending)
	}
	used := 0
	for i := range 16 {
		var n int
		if _, err := fmt.Sscan(server.Do("MEMORY", "USAGE", fmt.Sprintf("v1:parked:{%d}", i)), &n); err != nil {
			t.Fatal(err)
		}
		used += n
	}
	if used > 330<<10 {
		t.Errorf("got %d bytes in Redis, want the bound of %d kept", used, 300<<10)
	}
}
