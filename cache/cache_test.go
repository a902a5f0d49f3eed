package cache_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
)

func policy() cache.Policy {
	return cache.Policy{Fresh: time.Minute, Stale: 30 * time.Minute, Empty: 5 * time.Second, FreshEvents: 3}
}

// memory is a cache without Redis. Its sweeps run as long as the test does.
func memory(t testing.TB, change ...func(*cache.Options)) *cache.Cache {
	t.Helper()
	o := cache.Options{Memory: 1 << 20}
	for _, event := range reco.EventTypes {
		o.Policies[event] = policy()
	}
	for _, f := range change {
		f(&o)
	}
	c, err := cache.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func view(session, item string) reco.Event {
	return reco.Event{Session: session, Item: item, Type: reco.ProductView}
}

func ranking(ids ...string) reco.Ranking { return reco.NewRanking(ids) }

// learn lets e happen and its call, started just then, bring r.
func learn(t testing.TB, c *cache.Cache, e reco.Event, r reco.Ranking) {
	t.Helper()
	mark := c.Accept(e)
	if !c.Store(e, r, time.Now(), mark) {
		t.Fatalf("storing the ranking of %v: got false, want true", e)
	}
}

func TestFreshThenStaleThenGone(t *testing.T) {
	// The fresh minute is a tenth longer or shorter.
	for age, want := range map[time.Duration]cache.Status{
		0:                                   cache.Fresh,
		54*time.Second - 1:                  cache.Fresh,
		66 * time.Second:                    cache.Stale,
		30*time.Minute + 54*time.Second - 1: cache.Stale,
		30*time.Minute + 66*time.Second:     cache.None,
	} {
		t.Run(age.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t)
				e := view("s", "a")
				learn(t, c, e, ranking("p1", "p2"))
				time.Sleep(age)
				got := c.Peek(e, time.Now())
				if got.Status != want {
					t.Fatalf("got status %d, want %d", got.Status, want)
				}
				if want == cache.None {
					return
				}
				if got.Ranking != ranking("p1", "p2") || got.Age != age || got.Tier != reco.Memory {
					t.Errorf("got %+v, want the ranking, age %s, from memory", got, age)
				}
				if fresh := got.TTL > 0; fresh != (want == cache.Fresh) {
					t.Errorf("got ttl %s with status %d", got.TTL, got.Status)
				}
			})
		})
	}
}

func TestLivesAreScattered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, func(o *cache.Options) { o.Memory = 16 << 20 })
		const n = 1000
		for i := range n {
			learn(t, c, view("s"+fmt.Sprint(i), "a"), ranking("p1"))
			time.Sleep(time.Microsecond)
		}
		time.Sleep(time.Minute)
		fresh := 0
		for i := range n {
			if c.Peek(view("s"+fmt.Sprint(i), "a"), time.Now()).Status == cache.Fresh {
				fresh++
			}
		}
		if fresh < n*4/10 || fresh > n*6/10 {
			t.Errorf("got %d of %d fresh after their mean life, want about half", fresh, n)
		}
	})
}

func TestEveryFieldIsPartOfTheKey(t *testing.T) {
	c := memory(t)
	e := reco.Event{Session: "s", User: "u", Item: "i", Type: reco.ProductView}
	learn(t, c, e, ranking("p1"))
	for _, other := range []reco.Event{
		{Session: "t", User: "u", Item: "i", Type: reco.ProductView},
		{Session: "s", User: "", Item: "i", Type: reco.ProductView},
		{Session: "s", User: "v", Item: "i", Type: reco.ProductView},
		{Session: "s", User: "u", Item: "j", Type: reco.ProductView},
		{Session: "s", User: "u", Item: "i", Type: reco.ShopTheLook},
		{Session: "su", User: "", Item: "i", Type: reco.ProductView},
	} {
		if got := c.Peek(other, time.Now()); got.Status != cache.None {
			t.Errorf("%+v: got %+v, want a miss", other, got)
		}
	}
	if got := c.Peek(e, time.Now()); got.Status != cache.Fresh {
		t.Errorf("%+v: got %+v, want a fresh hit", e, got)
	}
}

func TestOnlyALaterCallReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		e := view("s", "a")
		mark := c.Accept(e)
		first := time.Now()
		time.Sleep(time.Millisecond)
		second := time.Now()
		if !c.Store(e, ranking("new"), second, mark) {
			t.Error("the later call's ranking was refused")
		}
		if c.Store(e, ranking("old"), first, mark) {
			t.Error("the earlier call's ranking was taken")
		}
		if c.Store(e, ranking("same"), second, mark) {
			t.Error("a ranking as old as the held one was taken")
		}
		if got := c.Peek(e, time.Now()).Ranking; got != ranking("new") {
			t.Errorf("got %s, want the later call's", got.JSON())
		}
	})
}

func TestMovingOn(t *testing.T) {
	a := view("s", "a")
	other := func(i int) reco.Event { return view("s", fmt.Sprint("other", i)) }
	for name, tc := range map[string]struct {
		since []reco.Event // the asking event comes after them
		want  cache.Status
	}{
		"nothing":             {nil, cache.Fresh},
		"two others":          {[]reco.Event{other(1), other(2)}, cache.Fresh},
		"three others":        {[]reco.Event{other(1), other(2), other(3)}, cache.Stale},
		"one other, thrice":   {[]reco.Event{other(1), other(1), other(1)}, cache.Stale},
		"itself":              {repeat(20, a), cache.Fresh},
		"in turn, two others": {[]reco.Event{a, other(1), a, a, other(2), a}, cache.Fresh},
		"in turn, three":      {[]reco.Event{a, other(1), a, other(1), a, other(1), a}, cache.Stale},
		"itself after two":    {append([]reco.Event{other(1), other(2)}, repeat(20, a)...), cache.Fresh},
		"itself after three":  {append([]reco.Event{other(1), other(2), other(3)}, repeat(20, a)...), cache.Stale},
		"another type":        {repeat(3, reco.Event{Session: "s", Item: "a", Type: reco.ShopTheLook}), cache.Stale},
		"another session":     {repeat(3, view("t", "b")), cache.Fresh},
		"more than is kept":   {[]reco.Event{other(1), other(2), other(3), other(4), other(5), other(6), other(7), a, a}, cache.Stale},
	} {
		t.Run(name, func(t *testing.T) {
			c := memory(t)
			for _, e := range []reco.Event{other(8), a, other(9), other(10)} {
				c.Accept(e) // what came before does not count
			}
			learn(t, c, a, ranking("p1"))
			for _, e := range tc.since {
				c.Accept(e)
			}
			c.Accept(a)
			got := c.Peek(a, time.Now())
			if got.Status != tc.want {
				t.Errorf("got status %d, want %d", got.Status, tc.want)
			}
			if got.Status == cache.Stale && got.TTL != 0 {
				t.Errorf("got ttl %s, want 0", got.TTL)
			}
		})
	}
}

func repeat(n int, e reco.Event) []reco.Event {
	all := make([]reco.Event, n)
	for i := range all {
		all[i] = e
	}
	return all
}

func TestMovingOnCanBeSwitchedOff(t *testing.T) {
	c := memory(t, func(o *cache.Options) { o.Policies[reco.ProductView].FreshEvents = 0 })
	a := view("s", "a")
	learn(t, c, a, ranking("p1"))
	for i := range 50 {
		c.Accept(view("s", fmt.Sprint(i)))
	}
	if got := c.Peek(a, time.Now()).Status; got != cache.Fresh {
		t.Errorf("got status %d, want %d", got, cache.Fresh)
	}
}

// The place of an entry is that of the event whose call brought it, not of the moment
// at which the call came back.
func TestEventsDuringTheCallCount(t *testing.T) {
	c := memory(t)
	a := view("s", "a")
	mark := c.Accept(a)
	started := time.Now()
	for i := range 3 {
		c.Accept(view("s", fmt.Sprint(i)))
	}
	c.Store(a, ranking("p1"), started, mark)
	if got := c.Peek(a, time.Now()).Status; got != cache.Stale {
		t.Errorf("got status %d, want %d", got, cache.Stale)
	}
}

func TestEmptyAnswers(t *testing.T) {
	a, look := view("s", "a"), reco.Event{Session: "s", Item: "a", Type: reco.ShopTheLook}
	for name, tc := range map[string]struct {
		then []reco.Event
		wait time.Duration
		want bool
	}{
		"at once":              {nil, 0, true},
		"to the end":           {nil, 5*time.Second - 1, true},
		"over":                 {nil, 5 * time.Second, false},
		"the same item":        {[]reco.Event{a, look, a}, 0, true},
		"another item":         {[]reco.Event{view("s", "b")}, 0, false},
		"another item, before": {[]reco.Event{view("s", "b"), a}, 0, false},
		"another session":      {[]reco.Event{view("t", "b")}, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := memory(t)
				c.Accept(view("s", "earlier"))
				c.Accept(a)
				c.StoreEmpty(a)
				for _, e := range tc.then {
					c.Accept(e)
				}
				time.Sleep(tc.wait)
				if got := c.KnownEmpty(a); got != tc.want {
					t.Errorf("got %t, want %t", got, tc.want)
				}
				if c.KnownEmpty(look) {
					t.Error("another question of the item is known to be empty too")
				}
			})
		})
	}
}

func TestEmptyAnswerLeavesTheRanking(t *testing.T) {
	c := memory(t)
	a := view("s", "a")
	learn(t, c, a, ranking("p1"))
	c.StoreEmpty(a)
	if c.Store(a, reco.Ranking{}, time.Now(), c.Accept(a)) {
		t.Error("an empty ranking was stored")
	}
	if got := c.Peek(a, time.Now()); got.Ranking != ranking("p1") {
		t.Errorf("got %+v, want the ranking from before", got)
	}
}

func TestEraseRefusesCallsStartedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		a, kept := view("s", "a"), view("t", "a")
		learn(t, c, a, ranking("p1"))
		learn(t, c, kept, ranking("p1"))
		mark, before := c.Accept(a), time.Now()
		time.Sleep(time.Millisecond)
		if _, err := c.Erase(t.Context(), "s"); err != nil {
			t.Fatal(err)
		}
		if got := c.Peek(a, time.Now()).Status; got != cache.None {
			t.Errorf("erased: got status %d, want none", got)
		}
		if got := c.Peek(kept, time.Now()).Status; got != cache.Fresh {
			t.Errorf("another session: got status %d, want fresh", got)
		}
		if c.Store(a, ranking("late"), before, mark) || c.Peek(a, time.Now()).Status != cache.None {
			t.Error("the ranking of a call from before the erase was stored")
		}
		time.Sleep(time.Millisecond)
		learn(t, c, a, ranking("new"))
		if got := c.Peek(a, time.Now()); got.Ranking != ranking("new") {
			t.Errorf("after the erase: got %+v, want the new ranking", got)
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	const bound = 1 << 20
	c := memory(t)
	long := ranking(strings.Repeat("p", 600))
	for i := range 10_000 {
		learn(t, c, view(fmt.Sprint("session", i), "a"), long)
	}
	got := c.Stats()
	if got.Bytes > bound || got.Bytes < bound*8/10 {
		t.Errorf("got %d bytes held, want nearly %d", got.Bytes, bound)
	}
}

func TestSweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		keep(t, c.Run)
		for i := range 10 {
			learn(t, c, view(fmt.Sprint("session", i), "a"), ranking("p1"))
		}
		if _, err := c.Erase(t.Context(), "session0"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Minute)
		if got := c.Stats().Entries; got != 9 {
			t.Errorf("before their end: got %d entries, want 9", got)
		}
		time.Sleep(10 * time.Minute)
		if got := c.Stats().Entries; got != 0 {
			t.Errorf("after their end: got %d entries, want none", got)
		}
	})
}

func TestBigEntryStaysOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t)
		a := view("s", "a")
		learn(t, c, a, ranking("small"))
		time.Sleep(time.Second)
		if c.Store(a, ranking(strings.Repeat("p", 1<<16)), time.Now(), c.Accept(a)) {
			t.Error("got stored, want not")
		}
		if got := c.Peek(a, time.Now()); got.Status != cache.None {
			t.Errorf("got %d bytes held, want neither them nor what they replace", len(got.Ranking.JSON()))
		}
	})
}

func TestValidateReportsEverything(t *testing.T) {
	o := cache.Options{}
	o.Policies[reco.ProductView] = cache.Policy{Fresh: -1, Stale: -1, Empty: -1, FreshEvents: -1}
	err := o.Validate()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"memory", "fresh", "stale", "empty", "fresh events"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to name %q", err, want)
		}
	}
}
