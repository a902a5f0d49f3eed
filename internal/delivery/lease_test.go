package delivery_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// A stream is not let go of while Redis has not been told what was delivered.
func TestWhatIsDeliveredIsToldBeforeTheLeaseIsGiven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common)
		a.accept(1, 8)
		a.leave()
		b := startPod(t, shared, common)
		b.link.failing(func(what string) error {
			if what == "xack" {
				return errors.New("in the test's hands")
			}
			return nil
		})
		time.Sleep(time.Second)
		c := startPod(t, shared, common)
		b.cut(t)
		time.Sleep(3 * time.Second)
		b.link.failing(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 1, 8); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		b.balanced(t)
		c.balanced(t)
		shared.empty(t)
	})
}

// What is parked after Redis was emptied does not hide that it was.
func TestRedisThatForgotIsToldAgainBeforeItHearsMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &api{}
		a := startAway(t, shared, common, parkAfter(time.Second))
		a.accept(5, 3)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		shared.flush()
		for i := 3; i < 6; i++ {
			for s := range 5 {
				a.Accept(view(fmt.Sprint("s", s), fmt.Sprint(i)), false)
				time.Sleep(time.Millisecond)
			}
			time.Sleep(3 * time.Second)
		}
		synctest.Wait()
		if got := len(shared.items()); got != 30 {
			t.Errorf("got %d events in Redis after it was emptied, want all 30", got)
		}
		a.breaker.Auto()
		time.Sleep(time.Minute)
		synctest.Wait()
		if twice := common.inOrder(t, 5, 6); twice > 0 {
			t.Errorf("got %d events twice, want none", twice)
		}
		shared.empty(t)
	})
}
