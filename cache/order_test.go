package cache_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
	"vitrine/internal/redistest"
)

func browse(session, category string) reco.Event {
	return reco.Event{Session: session, Item: category, Type: reco.CategoryView}
}

func soon() time.Time { return time.Now().Add(time.Minute) }

func TestAFrozenOrderIsKeptWhileARankingMayBeStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		e := browse("s", "dresses")
		if got, found := c.Frozen(e, soon(), nil); found {
			t.Fatalf("before anything was frozen: got %+v", got)
		}
		c.Freeze(e, cache.Order{Ranking: ranking("p1", "p2"), Source: reco.FromStale, Reason: reco.Timeout, Age: time.Hour, TTL: -time.Minute})
		time.Sleep(10 * time.Minute)
		want := cache.Order{
			Ranking: ranking("p1", "p2"), Source: reco.FromStale, Reason: reco.Timeout,
			Age: time.Hour + 10*time.Minute, TTL: -11 * time.Minute, Tier: reco.Memory,
		}
		if got, found := c.Frozen(e, soon(), nil); !found || got != want {
			t.Errorf("got %+v, %t, want %+v", got, found, want)
		}
		for _, other := range []reco.Event{browse("s", "shirts"), browse("t", "dresses"), view("s", "dresses")} {
			if got, found := c.Frozen(other, soon(), nil); found {
				t.Errorf("%+v: got %+v, frozen for another question", other, got)
			}
		}
		if got := c.Peek(e, time.Now()); got.Status != cache.None {
			t.Errorf("got %+v: a frozen order is no ranking", got)
		}
		time.Sleep(20 * time.Minute)
		if got, found := c.Frozen(e, soon(), nil); found {
			t.Errorf("half an hour later: got %+v, want nothing", got)
		}
	})
}

func TestAnOrderOfTheAPIStaysFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		e := browse("s", "dresses")
		c.Freeze(e, cache.Order{Ranking: ranking("p1"), Source: reco.FromAPI})
		time.Sleep(2 * time.Minute)
		want := cache.Order{Ranking: ranking("p1"), Source: reco.FromCache, Age: 2 * time.Minute, TTL: 28 * time.Minute, Tier: reco.Memory}
		if got, found := c.Frozen(e, soon(), nil); !found || got != want {
			t.Errorf("got %+v, %t, want %+v", got, found, want)
		}
	})
}

func TestTheOrderFrozenLastCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pods(t)
		e := browse("s", "dresses")
		check := func(when string, c *cache.Cache, want reco.Ranking, tier reco.Tier) {
			t.Helper()
			synctest.Wait()
			if got, found := c.Frozen(e, soon(), nil); !found || got.Ranking != want || got.Tier != tier {
				t.Errorf("%s: got %+v, %t, want %s from %s", when, got, found, want.JSON(), tier)
			}
		}
		here.Freeze(e, cache.Order{Ranking: ranking("p1", "p2"), Source: reco.FromNative, Reason: reco.Empty})
		check("where it was frozen", here, ranking("p1", "p2"), reco.Memory)
		check("in another pod", there, ranking("p1", "p2"), reco.Redis)
		check("there once more", there, ranking("p1", "p2"), reco.Memory)
		time.Sleep(time.Second)
		there.Freeze(e, cache.Order{Ranking: ranking("p3"), Source: reco.FromAPI})
		check("frozen again there", there, ranking("p3"), reco.Memory)
		check("frozen again there", here, ranking("p3"), reco.Redis)
		if got, _ := here.Frozen(e, time.Time{}, nil); got.Ranking != ranking("p3") {
			t.Errorf("without waiting for Redis: got %+v, want what it gave before", got)
		}
	})
}

func TestEraseTakesFrozenOrders(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pods(t)
		e, other := browse("s", "dresses"), browse("t", "dresses")
		for _, event := range []reco.Event{e, other} {
			here.Freeze(event, cache.Order{Ranking: ranking("p1"), Source: reco.FromNative})
			synctest.Wait()
			there.Frozen(event, soon(), nil)
		}
		time.Sleep(time.Second)
		if _, err := there.Erase(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		for _, c := range []*cache.Cache{here, there} {
			if got, found := c.Frozen(e, soon(), nil); found {
				t.Errorf("after the erase: got %+v", got)
			}
			if _, found := c.Frozen(other, soon(), nil); !found {
				t.Error("another session's order is gone too")
			}
		}
	})
}

func TestFrozenOrdersAreBounded(t *testing.T) {
	c := memory(t, func(o *cache.Options) { o.Memory = 1 << 20 })
	long := ranking(strings.Repeat("x", 40_000))
	c.Freeze(browse("s", "huge"), cache.Order{Ranking: long, Source: reco.FromNative})
	if _, found := c.Frozen(browse("s", "huge"), soon(), nil); found {
		t.Error("an order as large as all may be together was kept")
	}
	for i := range 1000 {
		c.Freeze(browse("s", strings.Repeat("c", 1+i%200)+string(rune('a'+i%26))), cache.Order{Ranking: ranking(strings.Repeat("x", 1000)), Source: reco.FromNative})
	}
	if got := c.Stats().Bytes; got > 1<<17 {
		t.Errorf("got %d bytes, want no more than a sixteenth of the memory and some slack", got)
	}
	c.Freeze(browse("s", "empty"), cache.Order{})
	if _, found := c.Frozen(browse("s", "empty"), soon(), nil); found {
		t.Error("an empty order was kept")
	}
}

// Real Redis, and bytes in it that are not ours.
func TestHostileOrdersAreNone(t *testing.T) {
	server := redistest.Start(t)
	here, there := pod(t, connect(t, server.URL())), pod(t, connect(t, server.URL()))
	e := browse("s", "dresses")
	key, field := cache.OrderNames(hashKey, e)
	here.Freeze(e, cache.Order{Ranking: ranking("p1"), Source: reco.FromNative})
	eventually(t, "the order is in Redis", func() bool { return server.Do("HEXISTS", key, field) == "1" })
	whole := server.Do("HGET", key, field)
	question, _ := cache.RemoteNames(hashKey, e)
	if question != key {
		t.Errorf("got the order in %s, want it in the session's hash %s", key, question)
	}
	for _, bad := range []string{"", "x", whole[:len(whole)-1], whole + "x", strings.Repeat("1", 100)} {
		server.Do("HSET", key, field, bad)
		if got, found := there.Frozen(e, soon(), nil); found {
			t.Errorf("%q: got %+v", bad, got)
		}
	}
	// An envelope of a ranking is no order, nor is one of another question.
	server.Do("HSET", key, field, string(cache.Seal(hashKey, e, time.Now().UnixMicro(), 1, ranking("p9"))))
	if got, found := there.Frozen(e, soon(), nil); found {
		t.Errorf("a ranking: got %+v", got)
	}
	server.Do("HSET", key, field, whole)
	if got, found := there.Frozen(e, soon(), nil); !found || got.Ranking != ranking("p1") {
		t.Errorf("got %+v, %t, want it as it was frozen", got, found)
	}
	if got := there.Stats().Rubbish; got != 6 {
		t.Errorf("got %d pieces of rubbish, want 6", got)
	}
}
