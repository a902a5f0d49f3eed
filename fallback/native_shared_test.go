package fallback_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fallback"
	"vitrine/fallback/platform"
	"vitrine/internal/redis"
)

// sharedFake is the memory of all pods. Lives end by the bubble's clock.
type sharedFake struct {
	mu     sync.Mutex
	away   bool
	values map[string]held
	leases map[string]held
}

type held struct {
	text string
	end  time.Time
}

func newShared() *sharedFake {
	return &sharedFake{values: make(map[string]held), leases: make(map[string]held)}
}

var errAway = errors.New("away")

func (s *sharedFake) Get(_ context.Context, key string) (string, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, found := s.values[key]
	if s.away {
		return "", false, errAway
	}
	return v.text, found && time.Now().Before(v.end), nil
}

func (s *sharedFake) Set(_ context.Context, key, value string, life time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return errAway
	}
	s.values[key] = held{value, time.Now().Add(life)}
	return nil
}

func (s *sharedFake) Acquire(_ context.Context, key, owner string, life time.Duration) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away {
		return false, errAway
	}
	if l := s.leases[key]; l.text != owner && time.Now().Before(l.end) {
		return false, nil
	}
	s.leases[key] = held{owner, time.Now().Add(life)}
	return true, nil
}

func (s *sharedFake) Release(ctx context.Context, key, owner string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away || ctx.Err() != nil {
		return errAway
	}
	if s.leases[key].text == owner {
		delete(s.leases, key)
	}
	return nil
}

// rewrite passes every value through change.
func (s *sharedFake) rewrite(change func(string) string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, v := range s.values {
		v.text = change(v.text)
		s.values[key] = v
	}
}

func TestOnePodFetchesForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, shop := newShared(), &shopFake{takes: 200 * time.Millisecond}
		var pods []*fallback.Natives
		for range 5 {
			pods = append(pods, start(t, fallback.NativeOptions{Platform: shop, Shared: shared}))
		}
		var askers sync.WaitGroup
		for _, pod := range pods {
			askers.Go(func() {
				if got := ask(pod, view("c"), time.Second); len(got.ids) != 2 || got.took > 400*time.Millisecond {
					t.Errorf("got %+v", got)
				}
			})
		}
		askers.Wait()
		if got := shop.asked(); len(got) != 1 {
			t.Errorf("got fetches %q, want one", got)
		}

		// And for a refresh, whoever asks first.
		time.Sleep(10 * time.Minute)
		for range 3 {
			for _, pod := range pods {
				ask(pod, view("c"), time.Second)
			}
			time.Sleep(10 * time.Second)
		}
		if got := shop.asked(); len(got) != 2 {
			t.Errorf("got fetches %q, want two", got)
		}
		for i, pod := range pods {
			if got := ask(pod, view("c"), 0); got.age > time.Minute {
				t.Errorf("pod %d: got %+v, want the refreshed list", i, got)
			}
		}
	})
}

func TestAListFetchedElsewhereMeanwhileIsNotFetchedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, held := newShared(), &shopFake{wait: time.Hour}
		n := start(t, fallback.NativeOptions{Platform: held, Shared: shared})
		n.Ask(view("c")) // not in Shared; and the quota holds the fetch up
		synctest.Wait()
		ask(start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared}), view("c"), budget)
		held.set(func() { held.wait = 0 })
		time.Sleep(5 * time.Second)
		if got := ask(n, view("c"), 0); len(got.ids) != 2 || len(held.asked()) > 0 {
			t.Errorf("got %+v and fetches %q, want the other pod's list", got, held.asked())
		}
	})
}

func TestARestartFindsTheListInShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, shop := newShared(), &shopFake{}
		ask(start(t, fallback.NativeOptions{Platform: shop, Shared: shared}), view("c"), budget)
		time.Sleep(48 * time.Hour)

		// The platform is away: the list is served, old as it is, and at once.
		shop.set(func() { shop.down = &platform.Error{Kind: platform.Unreachable}; shop.takes = 2 * time.Second })
		n := start(t, fallback.NativeOptions{Platform: shop, Shared: shared})
		ask(n, view("c"), budget).check(t, 0, 48*time.Hour, "c1", "c2")

		// Beyond its life it is not.
		time.Sleep(6 * 24 * time.Hour)
		n = start(t, fallback.NativeOptions{Platform: shop, Shared: shared})
		ask(n, view("c"), budget).check(t, budget, 0)
	})
}

func TestSharedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		shared.away = true
		n := start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared})
		ask(n, view("c"), budget).check(t, 0, 0, "c1", "c2")
	})
}

func TestADeadPodsLeaseEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		first := &shopFake{takes: time.Hour}
		ctx, kill := context.WithCancel(t.Context())
		dying, err := fallback.NewNatives(fallback.NativeOptions{Platform: first, Shared: stuck{shared}})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- dying.Run(ctx) }()
		dying.Ask(view("c"))
		synctest.Wait()
		kill()
		<-ended

		n := start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared})
		got := ask(n, view("c"), time.Minute)
		if len(got.ids) != 2 || got.took < 28*time.Second || got.took > 32*time.Second {
			t.Errorf("got %+v, want the list when the lease has ended", got)
		}
	})
}

// stuck is the memory as a pod sees it that dies before it can release anything.
type stuck struct{ *sharedFake }

func (stuck) Release(context.Context, string, string) error { return errAway }

func TestTwoShopsInOneMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		a := start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared, Namespace: "a"})
		ask(a, view("c"), budget).check(t, 0, 0, "c1", "c2")
		shop := &shopFake{ids: map[platform.Query][]string{{List: platform.Category, ID: "c"}: {"b"}}}
		b := start(t, fallback.NativeOptions{Platform: shop, Shared: shared, Namespace: "b"})
		ask(b, view("c"), budget).check(t, 0, 0, "b")
	})
}

func TestRubbishInShared(t *testing.T) {
	f := func(name string, change func(string) string) {
		t.Helper()
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := newShared()
				ask(start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared}), view("c"), budget)
				synctest.Wait() // for its lease
				shared.rewrite(change)
				shop := &shopFake{ids: map[platform.Query][]string{{List: platform.Category, ID: "c"}: {"good"}}}
				n := start(t, fallback.NativeOptions{Platform: shop, Shared: shared})
				ask(n, view("c"), budget).check(t, 0, 0, "good")
				if got := n.Stats().Outcomes["rubbish"]; got == 0 {
					t.Error("got none of it counted")
				}
			})
		})
	}
	f("one byte", func(string) string { return "x" })
	f("text", func(string) string { return `{"products":["evil"]}` })
	f("another version", func(v string) string { return "\x02" + v[1:] })
	f("cut short", func(v string) string { return v[:len(v)-1] })
	f("a byte more", func(v string) string { return v + "x" })
	for i := range 13 {
		f(fmt.Sprintf("byte %d changed", i), func(v string) string { return v[:i] + string(v[i]^1) + v[i+1:] })
	}
}

func TestAYoungListIsTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := newShared()
		ask(start(t, fallback.NativeOptions{Platform: &shopFake{}, Shared: shared}), view("c"), budget)
		shop := &shopFake{}
		n := start(t, fallback.NativeOptions{Platform: shop, Shared: shared})
		time.Sleep(time.Minute)
		ask(n, view("c"), budget).check(t, 0, time.Minute, "c1", "c2")
		if got := n.Stats().Outcomes["shared"]; got != 1 || len(shop.asked()) > 0 {
			t.Errorf("got %d lists from shared and fetches %q, want 1 and none", got, shop.asked())
		}
	})
}

// Redis is the memory in production.
var _ fallback.Shared = (*redis.Client)(nil)

func TestASlowMemoryDelaysLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fallback.NativeOptions{Platform: &shopFake{takes: 100 * time.Millisecond}, Shared: slow{newShared()}})
		got := ask(n, view("c"), budget)
		if len(got.ids) != 2 || got.took > 200*time.Millisecond {
			t.Errorf("got %+v, want the platform's list within 200ms", got)
		}
	})
}

// slow is a memory that takes two seconds for everything.
type slow struct{ *sharedFake }

func (s slow) Get(ctx context.Context, key string) (string, bool, error) {
	time.Sleep(2 * time.Second)
	return s.sharedFake.Get(ctx, key)
}

func (s slow) Set(ctx context.Context, key, value string, life time.Duration) error {
	time.Sleep(2 * time.Second)
	return s.sharedFake.Set(ctx, key, value, life)
}

func (s slow) Acquire(ctx context.Context, key, owner string, life time.Duration) (bool, error) {
	time.Sleep(2 * time.Second)
	return s.sharedFake.Acquire(ctx, key, owner, life)
}
