package fallback_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fallback"
	"vitrine/fallback/platform"
)

// moved is a shop that has the same categories in another order.
func moved() *shopFake {
	return &shopFake{takes: 100 * time.Millisecond, ids: map[platform.Query][]string{{List: platform.Category, ID: "c"}: {"moved"}}}
}

func TestAnotherPlatformIsAskedAtOnce(t *testing.T) {
	for name, shared := range map[string]*sharedFake{"alone": nil, "with other pods": newShared()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old, now := &shopFake{}, moved()
				o := fallback.NativeOptions{Platform: old, Namespace: "old"}
				if shared != nil {
					o.Shared = shared
				}
				n := start(t, o)
				ask(n, view("c"), budget).check(t, 0, 0, "c1", "c2")
				synctest.Wait()
				time.Sleep(time.Second)

				n.SetPlatform(now, "now")
				// What the old one brought is shown until the new one has answered.
				ask(n, view("c"), budget).check(t, 0, time.Second, "c1", "c2")
				time.Sleep(time.Second)
				ask(n, view("c"), budget).check(t, 0, time.Second, "moved")
				if got := old.asked(); len(got) != 1 {
					t.Errorf("got %q asked of the old platform, want it left alone", got)
				}
				if got := now.asked(); len(got) != 1 {
					t.Errorf("got %q asked of the new platform, want one fetch", got)
				}
			})
		})
	}
}

// A token that was refused leaves lists alone for minutes; the one after it must not have to wait.
func TestAnotherPlatformEndsTheBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := &shopFake{down: &platform.Error{Kind: platform.Refused, Status: 401}}
		n := start(t, fallback.NativeOptions{Platform: old, Refresh: time.Hour})
		for range 20 {
			ask(n, view("c"), budget).check(t, 0, 0)
			time.Sleep(time.Minute)
		}
		n.SetPlatform(moved(), "")
		ask(n, view("c"), budget).check(t, 100*time.Millisecond, 100*time.Millisecond, "moved")
	})
}

// What is under way while the platform is replaced neither passes for the new one's answer
// nor, failing, holds it up.
func TestAnotherPlatformDuringAFetch(t *testing.T) {
	for name, down := range map[string]error{"brings a list": nil, "fails": &platform.Error{Kind: platform.Refused}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				old := &shopFake{takes: 200 * time.Millisecond, down: down}
				n := start(t, fallback.NativeOptions{Platform: old})
				n.Ask(view("c"))
				time.Sleep(100 * time.Millisecond)
				n.SetPlatform(moved(), "")
				time.Sleep(200 * time.Millisecond)
				n.Ask(view("c"))
				time.Sleep(200 * time.Millisecond)
				if got := ask(n, view("c"), 0); !slices.Equal(got.ids, []string{"moved"}) {
					t.Errorf("got %+v, want the new platform's list", got)
				}
			})
		})
	}
}
