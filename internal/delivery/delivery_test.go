package delivery_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// api is an API in the test's hands: it keeps a ledger, and answers as it is told.
type api struct {
	mu       sync.Mutex
	received []reco.Event
	answer   func(n int, e reco.Event) fashionai.Outcome // nil answers with one product after 100 ms
	common   *api                                        // if not nil, answers instead: the API of several pods
	timed    func(e reco.Event) fashionai.Outcome        // if not nil, answers instead, and takes its time once it has the event
}

func (a *api) Recommend(c fashionai.Call) fashionai.Outcome {
	e, err := reco.ParseEvent(c.Body)
	if err != nil {
		return outcome(fashionai.Rejected, 400)
	}
	a.mu.Lock()
	a.received = append(a.received, e)
	n, answer := len(a.received), a.answer
	a.mu.Unlock()
	if a.common != nil {
		return a.common.Recommend(c)
	}
	started := time.Now()
	var out fashionai.Outcome
	switch {
	case a.timed != nil:
		c.Sent()
		out = a.timed(e)
	case answer == nil:
		c.Sent()
		time.Sleep(100 * time.Millisecond)
		out = ranked(e)
	default:
		if out = answer(n, e); out.Class != fashionai.Unreachable {
			c.Sent()
		}
	}
	out.Took = time.Since(started)
	return out
}

func (a *api) items() (items []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.received {
		items = append(items, e.Item)
	}
	return items
}

func (a *api) set(answer func(int, reco.Event) fashionai.Outcome) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = answer
}

func ranked(e reco.Event) fashionai.Outcome {
	out := outcome(fashionai.OK, 200)
	out.Ranking = reco.NewRanking([]string{"r-" + e.Session + "-" + e.Item})
	return out
}

func outcome(c fashionai.Class, status int) fashionai.Outcome {
	return fashionai.Outcome{Result: fashionai.Result{Class: c, Status: status}}
}

// rankings is a cache that only takes notes.
type rankings struct {
	mu     sync.Mutex
	counts map[string]cache.Mark
	stored map[reco.Event]reco.Ranking
	empty  int
}

func (r *rankings) Accept(e reco.Event) cache.Mark {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[e.Session]++
	return r.counts[e.Session]
}

func (r *rankings) Store(e reco.Event, ranking reco.Ranking, _ time.Time, _ cache.Mark) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored[e] = ranking
	return true
}

func (r *rankings) StoreEmpty(reco.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.empty++
}

// rig is a Delivery that runs, and what it talks to.
type rig struct {
	*delivery.Delivery
	api      *api
	rankings *rankings
	breaker  *breaker.Breaker
}

// start runs a Delivery until the test ends. It must be called in a bubble.
func start(t *testing.T, change ...func(*delivery.Options)) *rig {
	t.Helper()
	r := &rig{
		api:      &api{},
		rankings: &rankings{counts: map[string]cache.Mark{}, stored: map[reco.Event]reco.Ranking{}},
	}
	var err error
	b := breaker.Defaults("recommendation")
	b.OnChange = func(breaker.Change) { r.BreakerChanged() }
	if r.breaker, err = breaker.New(b); err != nil {
		t.Fatal(err)
	}
	o := delivery.Options{
		API: r.api, Breaker: r.breaker, Rankings: r.rankings,
		Log:         slog.New(slog.DiscardHandler),
		MaxInFlight: 8, Timeout: 2 * time.Second, MaxAge: 30 * time.Minute, MaxMemory: 1 << 20,
	}
	for _, f := range change {
		f(&o)
	}
	if r.Delivery, err = delivery.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // Cleanup ends it, after t.Context has ended
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		r.balanced(t)
	})
	return r
}

// balanced checks the ledger's identity.
func (r *rig) balanced(t *testing.T) {
	t.Helper()
	s := r.Stats()
	sum := s.Delivered + s.Expired + s.Parked + s.Deduplicated + uint64(s.Pending)
	for _, n := range s.Dropped {
		sum += n
	}
	if s.Accepted != sum {
		t.Errorf("the ledger does not add up: %d accepted, %d accounted for: %+v", s.Accepted, sum, s)
	}
	var retried uint64
	for _, n := range s.Retried {
		retried += n
	}
	if posts := uint64(len(r.api.items())); posts > s.Accepted+retried {
		t.Errorf("phantom signals: %d posts of %d events and %d retries", posts, s.Accepted, retried)
	}
}

func view(session, item string) reco.Event {
	return reco.Event{Type: reco.ProductView, Session: session, Item: item}
}

func (r *rig) ask(e reco.Event, budget time.Duration) delivery.Result {
	ticket := r.Accept(e, true)
	return ticket.Wait(time.Now().Add(budget))
}

func TestAWaitBringsTheRanking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		got := r.ask(view("s", "a"), time.Second)
		if got.Reason != reco.NoReason || got.Ranking.JSON() != `{"products":["r-s-a"]}` || !got.Stored || got.Status != 200 || got.Collapsed {
			t.Errorf("got %+v, want the API's ranking", got)
		}
		if s := r.Stats(); s.Accepted != 1 || s.Delivered != 1 || s.Pending != 0 {
			t.Errorf("got %+v, want one event, delivered", s)
		}
	})
}

func TestTheBudgetEndsAWaitButNotTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		began := time.Now()
		got := r.ask(view("s", "a"), 30*time.Millisecond)
		if took := time.Since(began); got.Reason != reco.Timeout || took != 30*time.Millisecond {
			t.Errorf("got %q after %v, want timeout after 30ms", got.Reason, took)
		}
		time.Sleep(70 * time.Millisecond)
		synctest.Wait()
		if _, ok := r.rankings.stored[view("s", "a")]; !ok {
			t.Error("the late ranking was not stored")
		}
	})
}

func TestASessionGoesInOrderAndFourAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		var want []string
		for i := range 10 {
			item := fmt.Sprint(i)
			want = append(want, item)
			r.Accept(view("s", item), false)
		}
		for _, n := range []int{4, 8, 10} {
			synctest.Wait()
			if got := r.api.items(); !slices.Equal(got, want[:n]) {
				t.Errorf("got %v under way, want %v", got, want[:n])
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestAnEventThatDidNotLeaveHoldsItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(n int, e reco.Event) fashionai.Outcome {
			if n == 1 {
				return outcome(fashionai.Unreachable, 0)
			}
			return ranked(e)
		})
		r.Accept(view("s", "a"), false)
		r.Accept(view("s", "b"), false)
		synctest.Wait() // so that a's is the first call
		r.Accept(view("other", "c"), false)
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.api.items(); !slices.Equal(got, []string{"a", "c", "a", "b"}) {
			t.Errorf("got %v, want a again before b, and c not held up", got)
		}
		if s := r.Stats(); s.Retried[delivery.Unsent] != 1 || s.Delivered != 3 {
			t.Errorf("got %+v, want one retry and three delivered", s)
		}
	})
}

func TestNobodyWaitsBehindAnEventThatDidNotLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Unreachable, 0) })
		r.ask(view("s", "a"), time.Second)
		began := time.Now()
		if got := r.ask(view("s", "b"), time.Second); got.Reason != reco.Unreachable || time.Since(began) != 0 {
			t.Errorf("got %q after %v, want unreachable at once", got.Reason, time.Since(began))
		}
	})
}

func TestAnEventTheAPIHasHadDoesNotHoldItsSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(n int, e reco.Event) fashionai.Outcome {
			if n == 1 {
				return outcome(fashionai.ServerError, 503)
			}
			return ranked(e)
		})
		if got := r.ask(view("s", "a"), time.Second); got.Reason != "http-503" {
			t.Errorf("got %q, want http-503 at once", got.Reason)
		}
		r.Accept(view("s", "b"), false)
		synctest.Wait()
		if got := r.api.items(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("got %v, want b while a backs off", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.api.items(); !slices.Equal(got, []string{"a", "b", "a"}) {
			t.Errorf("got %v, want a again", got)
		}
	})
}

func TestOneQuestionIsOneWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		const askers = 1000
		results := make(chan delivery.Result, askers)
		for range askers {
			go func() { results <- r.ask(view("s", "a"), time.Second) }()
		}
		collapsed := 0
		for range askers {
			got := <-results
			if got.Reason != reco.NoReason {
				t.Fatalf("got %q, want the shared ranking", got.Reason)
			}
			if got.Collapsed {
				collapsed++
			}
		}
		if collapsed < askers-4 {
			t.Errorf("got %d collapsed answers, want at least %d", collapsed, askers-4)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := len(r.api.items()); got != askers {
			t.Errorf("got %d events delivered, want %d", got, askers)
		}
	})
}

func TestTooManyWaitingIsOverloadAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *delivery.Options) { o.MaxInFlight = 2 })
		overload := 0
		for i := range 8 {
			e := view(fmt.Sprint("s", i), "a")
			ticket := r.Accept(e, true)
			synctest.Wait()
			began := time.Now()
			go func() {
				if ticket.Wait(began.Add(time.Second)).Reason == reco.Overload {
					if took := time.Since(began); took != 0 {
						t.Errorf("got overload after %v, want at once", took)
					}
					overload++
				}
			}()
			synctest.Wait()
		}
		if overload != 4 { // 2 under way, 2 ahead
			t.Errorf("got %d of 8 refused, want 4", overload)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := len(r.api.items()); got != 8 {
			t.Errorf("got %d delivered, want all 8", got)
		}
	})
}

func TestAnOutageReleasesWaitersAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Unreachable, 0) })
		for i := range 5 {
			r.ask(view(fmt.Sprint("s", i), "a"), time.Second)
		}
		synctest.Wait()
		if got := r.breaker.State(); got != breaker.Open {
			t.Fatalf("got breaker %v, want open", got)
		}
		began := time.Now()
		if got := r.ask(view("s", "b"), time.Second); got.Reason != reco.Open || time.Since(began) != 0 {
			t.Errorf("got %q after %v, want open at once", got.Reason, time.Since(began))
		}
		time.Sleep(10 * time.Minute)
		r.api.set(nil)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		if s := r.Stats(); s.Delivered != 6 || s.Pending != 0 {
			t.Errorf("got %+v, want all six delivered", s)
		}
	})
}

func TestABacklogDrainsAtTheReplayRateAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		if err := r.breaker.Override(breaker.Open, time.Hour); err != nil {
			t.Fatal(err)
		}
		const sessions, each = 20, 10
		for i := range each {
			for s := range sessions {
				r.Accept(view(fmt.Sprint("s", s), fmt.Sprint(i)), false)
			}
		}
		time.Sleep(2 * time.Minute) // the live rate of the last minute is 0 again
		r.breaker.Auto()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := len(r.api.items()); got < 95 || got > 105 {
			t.Errorf("got %d sent after 5 s, want 100: twenty a second", got)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		next := map[string]int{}
		for _, e := range r.api.received {
			if want := fmt.Sprint(next[e.Session]); e.Item != want {
				t.Fatalf("session %s: got event %s, want %s", e.Session, e.Item, want)
			}
			next[e.Session]++
		}
		if s := r.Stats(); s.Delivered != sessions*each {
			t.Errorf("got %d delivered, want %d", s.Delivered, sessions*each)
		}
	})
}

func TestProbesComeFromDifferentSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		poison := func(_ int, e reco.Event) fashionai.Outcome {
			if e.Session == "poison" {
				return outcome(fashionai.ServerError, 500)
			}
			return ranked(e)
		}
		r.api.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Unreachable, 0) })
		r.Accept(view("poison", "p"), false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := r.breaker.State(); got == breaker.Closed {
			t.Fatal("the breaker is closed, want it open")
		}
		for i := range 3 {
			r.Accept(view(fmt.Sprint("good", i), "x"), false)
		}
		r.api.set(poison)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := r.breaker.State(); got != breaker.Closed {
			t.Errorf("got breaker %v, want closed: a poison event held it open", got)
		}
	})
}

// Whether the API may be called again soon, or may already and nothing was left to do so
// with: what comes meanwhile is sent as soon as it may be.
func TestWhatComesWhileTheAPIIsAwayIsSentAsSoonAsItMay(t *testing.T) {
	for what, early := range map[string]time.Duration{
		"at once": time.Hour, "just before it may": time.Millisecond, "when it may": 0, "long after": -time.Minute,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := start(t)
			for r.breaker.State() == breaker.Closed { // somebody else's calls fail
				permit, err := r.breaker.Admit()
				if err != nil {
					t.Fatal(err)
				}
				permit.Done(breaker.Outcome{Kind: breaker.ConnectFailure})
			}
			synctest.Wait()
			pause := time.Until(r.breaker.NextAttempt())
			at := max(0, pause-early)
			time.Sleep(at)
			r.Accept(view("s", "a"), false)
			synctest.Wait()
			if got := len(r.api.items()); at < pause && got != 0 {
				t.Errorf("accepted %s: got %d posts while the breaker is open, want none", what, got)
			}
			time.Sleep(max(0, pause-at) + 2*time.Millisecond) // workers look to the millisecond
			synctest.Wait()
			if got := len(r.api.items()); got != 1 {
				t.Errorf("accepted %s: got %d posts as soon as the API may be called, want 1", what, got)
			}
		})
	}
}

func TestRetryAfterIsAPauseForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(n int, e reco.Event) fashionai.Outcome {
			if n == 1 {
				out := outcome(fashionai.RateLimited, 429)
				out.RetryAfter = 5 * time.Second
				return out
			}
			return ranked(e)
		})
		if got := r.ask(view("s", "a"), time.Second); got.Reason != reco.RateLimited {
			t.Errorf("got %q, want rate-limited", got.Reason)
		}
		if got := r.ask(view("other", "b"), time.Second); got.Reason != reco.RateLimited {
			t.Errorf("got %q during the pause, want rate-limited", got.Reason)
		}
		time.Sleep(5*time.Second - time.Millisecond)
		synctest.Wait()
		if got := len(r.api.items()); got != 1 {
			t.Errorf("got %d posts before the pause was over, want 1", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.Stats(); got.Delivered != 2 {
			t.Errorf("got %d delivered after the pause, want both", got.Delivered)
		}
	})
}

func TestARejectedEventIsADeadLetterAndCanBeRedriven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(int, reco.Event) fashionai.Outcome { return outcome(fashionai.Rejected, 422) })
		if got := r.ask(view("s", "a"), time.Second); got.Reason != "http-422" {
			t.Errorf("got %q, want http-422", got.Reason)
		}
		letters, total, err := r.DeadLetters(10)
		if err != nil || total != 1 || len(letters) != 1 || letters[0].Event != "productView" || letters[0].Status != 422 {
			t.Fatalf("got %+v, %d, %v, want the one rejected event", letters, total, err)
		}
		r.api.set(nil)
		if n, err := r.Redrive(); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1 redriven", n, err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Delivered != 1 || s.Dropped[delivery.DeadLetter] != 1 || s.Accepted != 2 {
			t.Errorf("got %+v, want it dropped once and delivered once", s)
		}
	})
}

func TestStrikesNeedOthersToSucceed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(_ int, e reco.Event) fashionai.Outcome {
			if e.Session == "bad" {
				return outcome(fashionai.Unauthorized, 401)
			}
			return ranked(e)
		})
		r.Accept(view("bad", "a"), false)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := r.Stats(); s.Pending != 1 {
			t.Fatalf("got %+v, want the event kept: nothing else succeeded", s)
		}
		for range 30 {
			r.Accept(view("good", "b"), false)
			time.Sleep(30 * time.Second)
		}
		synctest.Wait()
		if s := r.Stats(); s.Dropped[delivery.DeadLetter] != 1 || s.Delivered != 30 {
			t.Errorf("got %+v, want the event a dead letter", s)
		}
	})
}

func TestOldEventsExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		if err := r.breaker.Override(breaker.Open, 0); err != nil {
			t.Fatal(err)
		}
		r.Accept(view("s", "a"), false)
		time.Sleep(20 * time.Minute)
		r.Accept(view("s", "b"), false)
		time.Sleep(11 * time.Minute)
		synctest.Wait()
		if s := r.Stats(); s.Expired != 1 || s.Pending != 1 {
			t.Errorf("got %+v, want the first event expired", s)
		}
		r.breaker.Auto()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := r.api.items(); !slices.Equal(got, []string{"b"}) {
			t.Errorf("got %v delivered, want b", got)
		}
	})
}

func TestMemoryFullDropsTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *delivery.Options) { o.MaxMemory = 2500 })
		if err := r.breaker.Override(breaker.Open, 0); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			r.Accept(view(fmt.Sprint("s", i%3), fmt.Sprint(i)), false)
		}
		s := r.Stats()
		if s.Pending == 0 || s.Pending == 20 || s.Dropped[delivery.Full] != uint64(20-s.Pending) || s.MemoryBytes > 2500 {
			t.Errorf("got %+v, want the bound kept by dropping", s)
		}
		r.breaker.Auto()
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := r.api.items(); len(got) != s.Pending || slices.Contains(got, "0") || !slices.Contains(got, "19") {
			t.Errorf("got %v delivered, want the newest %d", got, s.Pending)
		}
	})
}

func TestAPageThatFiresTwiceIsOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, func(o *delivery.Options) {
			o.DuplicateWindow = map[reco.EventType]time.Duration{reco.ProductView: time.Second}
		})
		first, second := r.Accept(view("s", "a"), true), r.Accept(view("s", "a"), true)
		if first.ID != second.ID {
			t.Errorf("got ids %v and %v, want one event", first.ID, second.ID)
		}
		a, b := first.Wait(time.Now().Add(time.Second)), second.Wait(time.Now().Add(time.Second))
		if a.Reason != reco.NoReason || b.Ranking != a.Ranking {
			t.Errorf("got %+v and %+v, want one ranking for both", a, b)
		}
		began := time.Now()
		if late := r.ask(view("s", "a"), time.Second); late.Ranking != a.Ranking || time.Since(began) != 0 {
			t.Errorf("got %+v after %v, want at once what the first was answered: no other answer will come", late, time.Since(began))
		}
		time.Sleep(time.Second)
		r.Accept(view("s", "a"), false)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := r.Stats(); s.Accepted != 4 || s.Deduplicated != 2 || s.Delivered != 2 {
			t.Errorf("got %+v, want two of four deduplicated", s)
		}
	})
}

func TestAnErasedSessionGetsNoAnswerFromBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.Accept(view("s", "a"), false)
		time.Sleep(50 * time.Millisecond)
		r.Erase("s")
		began := time.Now()
		got := r.ask(view("s", "a"), time.Second)
		if took := time.Since(began); got.Reason != reco.NoReason || took != 100*time.Millisecond {
			t.Errorf("got %q after %v, want the answer of its own call after 100ms", got.Reason, took)
		}
	})
}

func TestEmptyAnswersAreNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		r.api.set(func(_ int, e reco.Event) fashionai.Outcome {
			if e.Item == "self" {
				out := outcome(fashionai.OK, 200)
				out.Ranking = reco.NewRanking([]string{"self"})
				return out
			}
			return outcome(fashionai.Empty, 200)
		})
		for range 20 {
			if got := r.ask(view("s", "a"), time.Second); got.Reason != reco.Empty || got.Status != 200 {
				t.Fatalf("got %+v, want empty", got)
			}
		}
		if got := r.ask(view("s", "self"), time.Second); got.Reason != reco.Empty {
			t.Errorf("got %+v, want a list of nothing but the viewed product to be empty", got)
		}
		if r.breaker.State() != breaker.Closed || r.rankings.empty != 21 {
			t.Errorf("got %v and %d remembered, want the breaker closed and 21", r.breaker.State(), r.rankings.empty)
		}
	})
}
