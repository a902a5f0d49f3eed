package fashionai_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

func newGuard(t *testing.T, slots int) (*fashionai.Guard, *breaker.Breaker) {
	t.Helper()
	b, err := breaker.New(breaker.Defaults("guarded"))
	if err != nil {
		t.Fatal(err)
	}
	return fashionai.NewGuard(b, slots), b
}

func succeeded(*fashionai.Reply) breaker.Kind { return breaker.Success }

func TestGuardLetsSoManyCallsBeUnderWay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard, _ := newGuard(t, 2)
		release := make(chan struct{})
		for range 2 {
			go guard.Call(t.Context(), func() fashionai.Reply {
				<-release
				return fashionai.Reply{}
			}, succeeded)
		}
		synctest.Wait()
		ctx, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		never := func() fashionai.Reply {
			t.Error("got a third call, want it to wait")
			return fashionai.Reply{}
		}
		if refused := guard.Call(ctx, never, succeeded); refused == nil || refused.Reason != reco.Overload {
			t.Errorf("got %+v for the third, want overload", refused)
		}
		close(release)
		synctest.Wait()
		if refused := guard.Call(t.Context(), func() fashionai.Reply { return fashionai.Reply{} }, succeeded); refused != nil {
			t.Errorf("got %+v once there is a slot, want none", refused)
		}
	})
}

func TestGuardTellsTheBreakerAndHeedsIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard, b := newGuard(t, 1)
		if held := guard.HeldBack(); held != nil {
			t.Fatalf("got %+v at the start, want nothing", held)
		}
		calls := 0
		call := func() *fashionai.Refusal {
			return guard.Call(t.Context(), func() fashionai.Reply {
				calls++
				return fashionai.Reply{Result: fashionai.Result{Took: time.Millisecond}}
			}, func(*fashionai.Reply) breaker.Kind { return breaker.ConnectFailure })
		}
		for b.State() == breaker.Closed {
			if refused := call(); refused != nil {
				t.Fatalf("got %+v after %d calls, want none while closed", refused, calls)
			}
		}
		before := calls
		for _, refused := range []*fashionai.Refusal{call(), guard.HeldBack()} {
			if refused == nil || refused.Reason != reco.Open || refused.Retry <= 0 {
				t.Errorf("got %+v, want it refused as open, for a time", refused)
			}
		}
		if calls != before {
			t.Errorf("got %d calls of an API whose breaker is open, want none", calls-before)
		}
	})
}

func TestGuardHeedsAPauseThatIsAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		guard, _ := newGuard(t, 1)
		const pause = 10 * time.Second
		var told time.Duration
		refused := guard.Call(t.Context(), func() fashionai.Reply {
			return fashionai.Reply{Result: fashionai.Result{Class: fashionai.RateLimited, RetryAfter: pause}}
		}, func(r *fashionai.Reply) breaker.Kind {
			told = r.RetryAfter
			return breaker.Ignored
		})
		if refused != nil || told < pause || told > pause+pause/10 {
			t.Fatalf("got %+v and a pause of %s, want the call made, and up to a tenth more than %s", refused, told, pause)
		}
		time.Sleep(pause - time.Nanosecond)
		if held := guard.HeldBack(); held == nil || held.Reason != reco.RateLimited || held.Retry != told-pause+time.Nanosecond {
			t.Errorf("got %+v, want it held back for what is left of %s", held, told)
		}
		time.Sleep(pause/10 + time.Nanosecond)
		if held := guard.HeldBack(); held != nil {
			t.Errorf("got %+v after the pause, want nothing", held)
		}
	})
}
