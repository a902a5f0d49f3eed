package delivery_test

import (
	"errors"
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
