package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// pod is a rig beside a Redis that other pods share, and an API they share too.
type pod struct {
	*rig
	link    *link
	parking *delivery.Parking
	stop    func() // ends taking over and parking, as a process does before it drains
}

// startPod runs a pod until the test ends. It must be called in a bubble.
func startPod(t *testing.T, shared *shelf, a *api, change ...func(*delivery.ParkingOptions)) *pod {
	t.Helper()
	p := newPod(t, shared, a)
	p.park(t, p.link, change...)
	return p
}

// startAway runs a pod for which the API is away from the start.
func startAway(t *testing.T, shared *shelf, a *api, change ...func(*delivery.ParkingOptions)) *pod {
	t.Helper()
	p := newPod(t, shared, a)
	p.cut(t)
	p.park(t, p.link, change...)
	return p
}

func newPod(t *testing.T, shared *shelf, a *api) *pod {
	t.Helper()
	p := &pod{rig: start(t), link: &link{shelf: shared}}
	p.api.common = a
	return p
}

func (p *pod) park(t *testing.T, shared delivery.Redis, change ...func(*delivery.ParkingOptions)) {
	t.Helper()
	o := delivery.ParkingOptions{
		Delivery: p.Delivery, Redis: shared, MaxBytes: 64 << 20,
		Log: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&o)
	}
	var err error
	if p.parking, err = delivery.NewParking(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- p.parking.Run(ctx) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	t.Cleanup(p.stop)
}

// leave is what a process does at SIGTERM.
func (p *pod) leave() {
	p.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	p.Drain(ctx, p.parking)
}

// cut makes the API be away for this pod.
func (p *pod) cut(t *testing.T) {
	t.Helper()
	if err := p.breaker.Override(breaker.Open, 0); err != nil {
		t.Fatal(err)
	}
}

// accept takes in n events for each of so many sessions, in turn.
func (p *pod) accept(sessions, n int) {
	for i := range n {
		for s := range sessions {
			p.Accept(view(fmt.Sprint("s", s), fmt.Sprint(i)), false)
			time.Sleep(time.Millisecond)
		}
	}
}

// inOrder checks that the API has received n events of each session, first in order,
// and returns how many were received twice.
func (a *api) inOrder(t *testing.T, sessions, n int) (twice int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := map[reco.Event]bool{}
	next := map[string]int{}
	for _, e := range a.received {
		if seen[e] {
			twice++
			continue
		}
		seen[e] = true
		if want := fmt.Sprint(next[e.Session]); e.Item != want {
			t.Errorf("session %s: got event %s first, want %s", e.Session, e.Item, want)
		}
		next[e.Session]++
	}
	if len(seen) != sessions*n {
		t.Errorf("got %d different events at the API, want %d", len(seen), sessions*n)
	}
	return twice
}

func (s *shelf) empty(t *testing.T) {
	t.Helper()
	if left := s.items(); len(left) > 0 {
		t.Errorf("got %d events left in Redis, want none", len(left))
	}
}

func TestWhatAPodParksAnotherDelivers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(40, 25)
		began := time.Now()
		a.leave()
		if s := a.Stats(); s.Parked != 1000 || s.Pending != 0 || time.Since(began) > time.Second {
			t.Errorf("got %+v after %v, want 1000 parked at once", s, time.Since(began))
		}
		b := startPod(t, shared, common)
		for range 1000 {
			time.Sleep(100 * time.Millisecond)
			b.balanced(t)
		}
		if s := b.Stats(); s.Accepted != 1000 || s.Delivered != 1000 {
			t.Errorf("got %+v, want 1000 taken over and delivered", s)
		}
		if twice := common.inOrder(t, 40, 25); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		shared.empty(t)
		for key, life := range shared.lives {
			if life < time.Hour {
				t.Errorf("got a life of %v for %s, want it well beyond that of an event", life, key)
			}
		}
		if len(shared.lives) != 16 {
			t.Errorf("got %d streams with a life, want 16", len(shared.lives))
		}
	})
}

func TestPodsShareTheTakingOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(200, 10)
		a.leave()
		pods := []*pod{startPod(t, shared, common), startPod(t, shared, common), startPod(t, shared, common)}
		time.Sleep(70 * time.Second)
		synctest.Wait()
		for i, p := range pods {
			if s := p.Stats(); s.Delivered < 200 {
				t.Errorf("pod %d: got %d delivered, want a fair part of 2000", i, s.Delivered)
			}
		}
		if twice := common.inOrder(t, 200, 10); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		shared.empty(t)
	})
}

func TestADrainDeliversWhileTheAPITakesEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShelf()
		a := startPod(t, shared, nil)
		a.accept(10, 2)
		a.leave()
		if s := a.Stats(); s.Delivered != 20 || s.Parked != 0 {
			t.Errorf("got %+v, want all delivered", s)
		}
	})
}

func TestACallThatFailsWhileDrainingIsParked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShelf()
		a := startPod(t, shared, nil)
		a.api.set(func(int, reco.Event) fashionai.Outcome {
			time.Sleep(2 * time.Second)
			return outcome(fashionai.Timeout, 0)
		})
		a.accept(1, 10)
		began := time.Now()
		a.leave()
		if s := a.Stats(); s.Parked != 10 || s.Pending != 0 || time.Since(began) > 5*time.Second {
			t.Errorf("got %+v after %v, want all 10 parked", s, time.Since(began))
		}
		next := 0
		for _, body := range shared.items() {
			if !strings.Contains(body, fmt.Sprintf(`"id":"%d"`, next)) {
				t.Errorf("got %s as entry %d", body, next)
			}
			next++
		}
	})
}

func TestADrainParksTheOldestAsFarAsThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShelf()
		a := startAway(t, shared, nil, func(o *delivery.ParkingOptions) { o.MaxBytes = 40_000 })
		a.accept(100, 10)
		a.leave()
		s := a.Stats()
		if s.Parked < 150 || s.Parked > 250 || s.Pending != 1000-int(s.Parked) {
			t.Fatalf("got %+v, want some 200 parked and the others pending", s)
		}
		newest := fmt.Sprintf(`"id":"%d"`, (s.Parked-1)/100)
		for _, body := range shared.items() {
			if _, item, _ := strings.Cut(body, `"data":{`); item[:len(newest)] > newest {
				t.Errorf("got %s parked, want the oldest %d", body, s.Parked)
			}
		}
		b := startAway(t, shared, nil)
		b.accept(1, 1)
		b.leave()
		if s := b.Stats(); s.Parked != 1 {
			t.Errorf("got %+v, want a pod with a larger bound to park", s)
		}
	})
}

func TestRedisTroubleIsTriedAgainWhileDraining(t *testing.T) {
	for _, trouble := range []error{
		redis.ReplyError("OOM command not allowed when used memory > 'maxmemory'."),
		redis.ReplyError("READONLY You can't write against a read only replica."),
		redis.ErrUnavailable,
	} {
		synctest.Test(t, func(t *testing.T) {
			shared := newShelf()
			a := startAway(t, shared, nil)
			a.accept(20, 20)
			over := time.Now().Add(4 * time.Second)
			a.link.failing(func(what string) error {
				if what == "xadd" && time.Now().Before(over) {
					return trouble
				}
				return nil
			})
			a.leave()
			if s := a.Stats(); s.Parked != 400 || s.Pending != 0 {
				t.Errorf("%v: got %+v, want 400 parked in the end", trouble, s)
			}
			b := startAway(t, shared, nil)
			b.link.failing(func(string) error { return trouble })
			b.accept(5, 1)
			b.leave()
			if s := b.Stats(); s.Parked != 0 || s.Pending != 5 {
				t.Errorf("%v: got %+v, want all kept", trouble, s)
			}
		})
	}
}

func TestAnEventAppendedTwiceIsDeliveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startPod(t, shared, common)
		a.link.lostAck = 3
		a.cut(t)
		a.accept(10, 5)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s := b.Stats(); s.Delivered != 50 || s.Deduplicated == 0 {
			t.Errorf("got %+v, want 50 delivered and the others recognised", s)
		}
		if twice := common.inOrder(t, 10, 5); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		shared.empty(t)
	})
}

func TestAKilledPodsTakeoverIsGoneOnWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(40, 5)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(3 * time.Second)
		b.stop() // killed: it neither drains nor gives anything back
		b.cut(t)
		underWay := b.Stats().InFlight
		time.Sleep(time.Second)
		synctest.Wait()
		before := len(common.items())
		if before == 0 || before == 200 {
			t.Fatalf("got %d delivered by the first, want it in the middle", before)
		}
		c := startPod(t, shared, common)
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 40, 5); twice > underWay {
			t.Errorf("got %d events twice, want at most the %d under way", twice, underWay)
		}
		c.balanced(t)
		shared.empty(t)
	})
}

func TestALostLeaseStopsTheSending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(40, 10)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(3 * time.Second)
		b.link.failing(func(string) error { return redis.ErrUnavailable })
		time.Sleep(15 * time.Second)
		before := len(common.items())
		time.Sleep(10 * time.Second)
		if got := len(common.items()); got != before {
			t.Errorf("got %d events sent after the leases had ended, want none", got-before)
		}
		b.balanced(t)
		startPod(t, shared, common)
		time.Sleep(30 * time.Second)
		b.link.failing(nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 40, 10); twice > 8 {
			t.Errorf("got %d events twice, want at most those under way when Redis went", twice)
		}
		shared.empty(t)
	})
}

func TestALeaseThatRedisForgotIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(40, 10)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(3 * time.Second)
		shared.endLeases()
		c := startPod(t, shared, common)
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 40, 10); twice > 30 { // two pods, 20 a second each, for a good second
			t.Errorf("got %d of 400 events twice, want those of a second at most", twice)
		}
		b.balanced(t)
		c.balanced(t)
		shared.empty(t)
	})
}

func TestAnOutageInTheMiddleHandsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(40, 10)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(3 * time.Second)
		b.cut(t)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		s := b.Stats()
		if s.Pending != 0 || s.Parked == 0 || s.Accepted != s.Parked+s.Delivered {
			t.Errorf("got %+v, want what was not delivered to be handed back", s)
		}
		b.breaker.Auto()
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 40, 10); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		b.balanced(t)
		shared.empty(t)
	})
}

func TestParkedEventsProbeTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(10, 3)
		a.leave()
		common.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Unreachable, 0) })
		b := startPod(t, shared, common) // its breaker opens on the first events it takes over
		time.Sleep(time.Minute)
		if got := b.breaker.State(); got == breaker.Closed {
			t.Fatal("the breaker is closed, want it open")
		}
		common.set(func(_ int, e reco.Event) fashionai.Outcome {
			if e.Session == "s0" {
				return outcome(fashionai.ServerError, 500)
			}
			return ranked(e)
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := b.Stats(); s.Delivered != 27 {
			t.Errorf("got %+v, want all delivered but those of the poisoned session", s)
		}
		b.balanced(t)
	})
}

func parkAfter(after time.Duration) func(*delivery.ParkingOptions) {
	return func(o *delivery.ParkingOptions) { o.After = after }
}

func TestALongOutageParksWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common, parkAfter(time.Minute))
		a.accept(10, 2)
		time.Sleep(58 * time.Second)
		synctest.Wait()
		if s := a.Stats(); s.Parked != 0 || s.Pending != 20 {
			t.Fatalf("got %+v after less than a minute, want nothing parked", s)
		}
		time.Sleep(4 * time.Second)
		synctest.Wait()
		if s := a.Stats(); s.Parked != 20 || s.Pending != 0 {
			t.Fatalf("got %+v after a minute, want all parked", s)
		}
		a.Accept(view("s3", "2"), false) // follows its session
		a.Accept(view("other", "0"), false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := a.Stats(); s.Parked != 21 || s.Pending != 1 {
			t.Errorf("got %+v, want the session's next event parked behind the others", s)
		}
		a.breaker.Auto()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if s := a.Stats(); s.Delivered != 22 || s.Pending != 0 {
			t.Errorf("got %+v, want all delivered", s)
		}
		shared.empty(t)
	})
}

func TestRedisThatForgotIsToldAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common, parkAfter(time.Second))
		a.accept(10, 3)
		time.Sleep(10 * time.Second)
		shared.flush()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := len(shared.items()); got != 30 {
			t.Fatalf("got %d events in Redis after it was emptied, want all 30 again", got)
		}
		a.breaker.Auto()
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 10, 3); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
	})
}

func TestRedisEmptiedInTheMiddleOfATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(20, 5)
		a.leave()
		b := startPod(t, shared, common)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		onLoan := b.Stats().Pending
		before := len(common.items()) - b.Stats().InFlight
		shared.flush()
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if got := len(common.items()); got < before+onLoan || onLoan == 0 {
			t.Errorf("got %d delivered, want those %d and the %d that were taken over already", got, before, onLoan)
		}
		b.balanced(t)
		if s := b.Stats(); s.Pending != 0 {
			t.Errorf("got %+v, want nothing stuck", s)
		}
	})
}

func TestRubbishInAStreamIsBuried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		id, now := "01890000-0000-7000-8000-00000000000a", fmt.Sprint(time.Now().UnixNano())
		body := string(view("s", "a").AppendJSON(nil))
		for _, values := range []map[string]string{
			{"id": "x", "accepted": now, "body": body},
			{"id": id, "accepted": "yesterday", "body": body},
			{"id": id, "accepted": "9223372036854775807", "body": body},
			{"id": id, "accepted": "-9223372036854775808", "body": body},
			{"id": id, "accepted": now, "body": `{"sessionId":""}`},
			{"id": id, "accepted": now, "body": strings.Repeat("x", 2<<20)},
			{"what": "is this"},
			{"id": id, "accepted": now, "body": body}, // an honest one behind them all
		} {
			if _, err := (&link{shelf: shared}).XAdd(t.Context(), "v1:parked:{7}", values); err != nil {
				t.Fatal(err)
			}
		}
		p := startPod(t, shared, common)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := p.Stats(); s.Dropped[delivery.DeadLetter] != 7 || s.Delivered != 1 || s.Accepted != 8 {
			t.Errorf("got %+v, want 7 buried and 1 delivered", s)
		}
		shared.empty(t)
		if c, err := p.parking.Contents(t.Context()); err != nil || c.DeadLetters != 7 || c.Events != 0 {
			t.Errorf("got %+v, %v, want 7 dead letters in Redis", c, err)
		}
	})
}

func TestAParkedEventTheAPIRejectsCanBeRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(3, 1)
		a.leave()
		common.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Rejected, 422) })
		b := startPod(t, shared, common)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := b.Stats(); s.Dropped[delivery.DeadLetter] != 3 {
			t.Fatalf("got %+v, want 3 dead letters", s)
		}
		shared.empty(t)
		common.set(nil)
		time.Sleep(time.Hour) // older than an event may get
		if n, err := b.parking.Redrive(t.Context()); n != 3 || err != nil {
			t.Fatalf("got %d, %v, want 3 redriven", n, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := b.Stats(); s.Delivered != 3 || s.Expired != 0 {
			t.Errorf("got %+v, want them delivered", s)
		}
		b.balanced(t)
		shared.empty(t)
	})
}

func TestParkedEventsGoOnGrowingOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(100, 20)
		time.Sleep(20 * time.Minute)
		a.accept(10, 1)
		a.leave()
		time.Sleep(11 * time.Minute)
		b := startPod(t, shared, common)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := b.Stats(); s.Expired != 2000 || s.Delivered != 10 {
			t.Errorf("got %+v, want 2000 expired and 10 delivered", s)
		}
		shared.empty(t)
	})
}

func TestParkingOptionsAreChecked(t *testing.T) {
	_, err := delivery.NewParking(delivery.ParkingOptions{After: -1, MaxBytes: -1})
	for _, want := range []string{"required", "After", "MaxBytes"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to tell of %s", err, want)
		}
	}
}
