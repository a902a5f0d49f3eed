package cache_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

// connect returns a client of the Redis at url, which runs as long as the test.
func connect(t testing.TB, url string) *redis.Client {
	t.Helper()
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	c, err := redis.New(redis.Options{
		// A budget no scheduler exceeds: these tests are about what is found, not when.
		URL: url, Budget: time.Second, Breaker: b, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	keep(t, c.Run)
	return c
}

// keep runs something until the test ends.
func keep(t testing.TB, run func(context.Context) error) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(t.Context()); err != nil {
			t.Errorf("running: %v", err)
		}
	})
	t.Cleanup(running.Wait)
}

// pod is the cache of one of several pods that share a Redis.
func pod(t testing.TB, remote cache.Remote, change ...func(*cache.Options)) *cache.Cache {
	t.Helper()
	c := memory(t, append(change, func(o *cache.Options) {
		o.Remote, o.RemoteBudget, o.HashKey = remote, 10*time.Second, hashKey
	})...)
	keep(t, c.Run)
	return c
}

// pods returns two pods, and the embedded Redis they share.
func pods(t *testing.T) (here, there *cache.Cache, shared *redis.Client) {
	t.Helper()
	shared = connect(t, "embedded")
	return pod(t, shared), pod(t, shared), shared
}

// ask accepts e and looks it up, as the journey does.
func ask(c *cache.Cache, e reco.Event) cache.Found {
	c.Accept(e)
	return c.Lookup(e, time.Now().Add(time.Minute), nil)
}

func TestAnotherPodServesWhatOneLearned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pods(t)
		e := view("s", "a")
		learn(t, here, e, ranking("p1", "p2"))
		time.Sleep(20 * time.Second)

		got := ask(there, e)
		if got.Status != cache.Fresh || got.Tier != reco.Redis || got.Ranking != ranking("p1", "p2") {
			t.Fatalf("got %+v, want it fresh, from Redis", got)
		}
		want := here.Peek(e, time.Now())
		if got.Age.Round(time.Millisecond) != want.Age || got.TTL.Round(time.Millisecond) != want.TTL.Round(time.Millisecond) {
			t.Errorf("got age %s, ttl %s; want as where it was learned: %s, %s", got.Age, got.TTL, want.Age, want.TTL)
		}
		time.Sleep(10 * time.Second)
		promoted, original := there.Peek(e, time.Now()), here.Peek(e, time.Now())
		if promoted.Tier != reco.Memory || promoted.TTL.Round(time.Millisecond) != original.TTL.Round(time.Millisecond) {
			t.Errorf("got %+v from memory, want the life it had left, %s", promoted, original.TTL)
		}
	})
}

func TestLoginChangesTheQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pods(t)
		e := view("s", "a")
		learn(t, here, e, ranking("p1"))
		loggedIn := e
		loggedIn.User = "u"
		for _, c := range []*cache.Cache{here, there} {
			if got := ask(c, loggedIn); got.Status != cache.None {
				t.Errorf("got %+v, want a miss", got)
			}
		}
	})
}

func TestMovingOnAcrossPods(t *testing.T) {
	a := view("s", "a")
	other := func(i int) reco.Event { return view("s", fmt.Sprint("other", i)) }
	for name, tc := range map[string]struct {
		here, there []reco.Event // since it was learned here; then it is asked for there
		want        cache.Status
	}{
		"nothing":               {nil, nil, cache.Fresh},
		"two there":             {nil, []reco.Event{other(1), other(2)}, cache.Fresh},
		"three there":           {nil, []reco.Event{other(1), other(2), other(3)}, cache.Stale},
		"two here":              {[]reco.Event{other(1), other(2)}, nil, cache.Fresh},
		"three here":            {[]reco.Event{other(1), other(2), other(3)}, nil, cache.Stale},
		"one here, two there":   {[]reco.Event{other(1)}, []reco.Event{other(2), other(3)}, cache.Stale},
		"one here, one there":   {[]reco.Event{other(1)}, []reco.Event{other(2)}, cache.Fresh},
		"itself twenty times":   {nil, repeat(20, a), cache.Fresh},
		"itself and two others": {[]reco.Event{other(1)}, append(repeat(20, a), other(2)), cache.Fresh},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there, _ := pods(t)
				here.Accept(other(0))
				learn(t, here, a, ranking("p1"))
				for _, e := range tc.here {
					time.Sleep(time.Second)
					here.Accept(e)
				}
				for _, e := range tc.there {
					time.Sleep(time.Second)
					there.Accept(e)
				}
				synctest.Wait()
				if got := ask(there, a); got.Status != tc.want || got.Ranking != ranking("p1") {
					t.Errorf("there: got %+v, want status %d", got, tc.want)
				}
				// Where it was learned, the answer to the next question already tells.
				ask(here, other(9))
				if got, want := here.Peek(a, time.Now()).Status, tc.want; want == cache.Stale && got != want {
					t.Errorf("here: got status %d, want %d", got, want)
				}
			})
		})
	}
}

// The first events after a session's hop must not be taken for others' events that
// came after the ranking they bring.
func TestHoppingSessionHitsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, _ := pods(t)
		for i := range 10 {
			here.Accept(view("s", fmt.Sprint(i)))
		}
		synctest.Wait()
		a := view("s", "a")
		mark := there.Accept(a)
		started := time.Now()
		if got := there.Lookup(a, time.Now().Add(time.Minute), nil); got.Status != cache.None {
			t.Fatalf("got %+v, want a miss", got)
		}
		time.Sleep(180 * time.Millisecond)
		there.Store(a, ranking("p1"), started, mark)
		synctest.Wait()
		there.Accept(a)
		if got := there.Peek(a, time.Now()).Status; got != cache.Fresh {
			t.Errorf("there: got status %d, want fresh", got)
		}
		if got := ask(here, a).Status; got != cache.Fresh {
			t.Errorf("here: got status %d, want fresh", got)
		}
	})
}

func TestOnlyALaterCallReplacesInRedis(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, shared := pods(t)
		e := view("s", "a")
		first := time.Now()
		markHere, markThere := here.Accept(e), there.Accept(e)
		time.Sleep(time.Second)
		there.Store(e, ranking("new"), time.Now(), markThere)
		synctest.Wait()
		here.Store(e, ranking("old"), first, markHere)
		synctest.Wait()
		if got := ask(pod(t, shared), e).Ranking; got != ranking("new") {
			t.Errorf("got %s, want the later call's", got.JSON())
		}
	})
}

func TestEraseReachesEveryPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there, shared := pods(t)
		e, kept := view("s", "a"), view("t", "a")
		learn(t, here, e, ranking("p1"))
		learn(t, here, kept, ranking("p1"))
		synctest.Wait()
		if got := ask(there, e).Status; got != cache.Fresh {
			t.Fatalf("before: got status %d, want fresh", got)
		}
		late, started := there.Accept(e), time.Now()
		time.Sleep(time.Second)
		for _, want := range []cache.Erased{{Rankings: 1, Redis: true}, {}} { // what is erased is not there to be erased again
			if got, err := here.Erase(t.Context(), "s"); err != nil || got != want {
				t.Fatalf("got %+v %v erased, want %+v", got, err, want)
			}
		}
		synctest.Wait()
		for name, c := range map[string]*cache.Cache{"here": here, "there": there, "new": pod(t, shared)} {
			if got := ask(c, e).Status; got != cache.None {
				t.Errorf("%s: got status %d, want none", name, got)
			}
			if got := ask(c, kept).Status; got != cache.Fresh {
				t.Errorf("%s: another session: got status %d, want fresh", name, got)
			}
		}
		if there.Store(e, ranking("late"), started, late) {
			t.Error("there: the ranking of a call from before the erase was stored")
		}
		time.Sleep(time.Second)
		learn(t, there, e, ranking("new"))
		synctest.Wait()
		if got := ask(here, e).Ranking; got != ranking("new") {
			t.Errorf("after it: got %s, want the new ranking", got.JSON())
		}
	})
}

// deaf misses everything that is published.
type deaf struct{ *redis.Client }

func (deaf) Subscribe(ctx context.Context, _ string, _ func(string)) error {
	<-ctx.Done()
	return nil
}

func TestErasedStampComesBackWithEveryReply(t *testing.T) {
	e := view("s", "a")
	for name, contact := range map[string]func(c *cache.Cache, late cache.Mark, started time.Time){
		"count":  func(c *cache.Cache, _ cache.Mark, _ time.Time) { c.Accept(view("s", "b")) },
		"lookup": func(c *cache.Cache, _ cache.Mark, _ time.Time) { ask(c, view("s", "b")) },
		"store": func(c *cache.Cache, late cache.Mark, started time.Time) {
			c.Store(e, ranking("late"), started, late)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shared := connect(t, "embedded")
				here, there := pod(t, shared), pod(t, deaf{shared})
				learn(t, there, e, ranking("p1"))
				time.Sleep(time.Second)
				late, started := there.Accept(e), time.Now()
				time.Sleep(time.Second)
				if _, err := here.Erase(t.Context(), "s"); err != nil {
					t.Fatal(err)
				}
				contact(there, late, started)
				synctest.Wait()
				if got := there.Peek(e, time.Now()).Status; got != cache.None {
					t.Errorf("got status %d, want none", got)
				}
				if there.Store(e, ranking("late"), started, late) {
					t.Error("the ranking of a call from before the erase was stored")
				}
			})
		})
	}
}

// slow answers lookups only after a while.
type slow struct {
	*redis.Client

	by time.Duration
}

func (s slow) Pipe(b redis.Batch) error {
	if b.Op != redis.OpLookup {
		return s.Client.Pipe(b)
	}
	done := b.Done
	b.Done = func(replies []any, err error) {
		time.AfterFunc(s.by, func() { done(replies, err) })
	}
	return s.Client.Pipe(b)
}

func TestLateReplyFillsMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := connect(t, "embedded")
		here := pod(t, shared)
		there := memory(t, func(o *cache.Options) {
			o.Remote, o.RemoteBudget, o.HashKey = slow{shared, 50 * time.Millisecond}, 5*time.Millisecond, hashKey
		})
		e := view("s", "a")
		learn(t, here, e, ranking("p1"))
		synctest.Wait()

		for _, tc := range []struct{ until, want time.Duration }{
			{time.Second, 5 * time.Millisecond},
			{2 * time.Millisecond, 2 * time.Millisecond},
			{-time.Second, 0},
		} {
			there.Accept(e)
			start := time.Now()
			got := there.Lookup(e, start.Add(tc.until), nil)
			if waited := time.Since(start); got.Status != cache.None || waited != tc.want {
				t.Errorf("deadline in %s: got status %d after %s, want a miss after %s", tc.until, got.Status, waited, tc.want)
			}
		}
		time.Sleep(time.Second)
		if got := there.Peek(e, time.Now()); got.Status != cache.Fresh {
			t.Errorf("later: got %+v, want it fresh", got)
		}
		if got := there.Stats().Late; got != 2 {
			t.Errorf("got %d late, want 2", got)
		}
	})
}

// away refuses everything.
type away struct{ deaf }

func (away) Pipe(redis.Batch) error                        { return redis.ErrUnavailable }
func (away) Publish(context.Context, string, string) error { return redis.ErrUnavailable }

func TestRedisAwayIsAMiss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := pod(t, away{})
		e := view("s", "a")
		start := time.Now()
		if got := ask(c, e); got.Status != cache.None || time.Since(start) != 0 {
			t.Errorf("got status %d after %s, want a miss at once", got.Status, time.Since(start))
		}
		learn(t, c, e, ranking("p1"))
		if got := c.Peek(e, time.Now()).Status; got != cache.Fresh {
			t.Errorf("got status %d, want memory to serve on", got)
		}
		if _, err := c.Erase(t.Context(), "s"); !errors.Is(err, redis.ErrUnavailable) {
			t.Errorf("erase: got %v, want %v", err, redis.ErrUnavailable)
		}
		if got := c.Peek(e, time.Now()).Status; got != cache.None {
			t.Errorf("erased: got status %d, want none", got)
		}
	})
}

// What is found in Redis may be anything.
func TestRubbishIsAMiss(t *testing.T) {
	server := redistest.Start(t)
	e := view("s", "a")
	key, field := cache.RemoteNames(hashKey, e)
	whole := string(cache.Seal(hashKey, e, time.Now().UnixMicro(), 1, ranking("p1")))
	for name, tc := range map[string]struct {
		commands [][]string
		want     cache.Status
	}{
		"nothing wrong":      {[][]string{{"HSET", key, field, whole}}, cache.Fresh},
		"another question":   {[][]string{{"HSET", key, field, string(cache.Seal(hashKey, view("s", "b"), time.Now().UnixMicro(), 1, ranking("p1")))}}, cache.None},
		"another session":    {[][]string{{"HSET", key, field, string(cache.Seal(hashKey, view("t", "a"), time.Now().UnixMicro(), 1, ranking("p1")))}}, cache.None},
		"another key":        {[][]string{{"HSET", key, field, string(cache.Seal([32]byte{}, e, time.Now().UnixMicro(), 1, ranking("p1")))}}, cache.None},
		"the future":         {[][]string{{"HSET", key, field, string(cache.Seal(hashKey, e, time.Now().Add(time.Hour).UnixMicro(), 1, ranking("p1")))}}, cache.None},
		"a clock ahead":      {[][]string{{"HSET", key, field, string(cache.Seal(hashKey, e, time.Now().Add(3*time.Second).UnixMicro(), 1, ranking("p1")))}}, cache.Fresh},
		"the past":           {[][]string{{"HSET", key, field, string(cache.Seal(hashKey, e, time.Now().Add(-time.Hour).UnixMicro(), 1, ranking("p1")))}}, cache.None},
		"cut":                {[][]string{{"HSET", key, field, whole[:len(whole)-1]}}, cache.None},
		"empty":              {[][]string{{"HSET", key, field, ""}}, cache.None},
		"noise":              {[][]string{{"HSET", key, field, strings.Repeat("\xff\x00", 500)}}, cache.None},
		"counter of letters": {[][]string{{"HSET", key, field, whole, "n", "many"}}, cache.None},
		"negative counter":   {[][]string{{"HSET", key, field, whole, "n", "-7"}}, cache.None},
		"endless counter":    {[][]string{{"HSET", key, field, whole, "n", "9223372036854775807"}}, cache.None},
		"erase of letters":   {[][]string{{"HSET", key, field, whole, "e", "never"}}, cache.Fresh},
		"erase to come":      {[][]string{{"HSET", key, field, whole, "e", "9000000000000000"}}, cache.Fresh},
		"a string":           {[][]string{{"SET", key, "rubbish"}}, cache.None},
		"a list":             {[][]string{{"RPUSH", key, "rubbish"}}, cache.None},
	} {
		t.Run(name, func(t *testing.T) {
			server.Do("FLUSHALL")
			for _, command := range tc.commands {
				server.Do(command...)
			}
			c := pod(t, connect(t, server.URL()))
			if got := ask(c, e).Status; got != tc.want {
				t.Errorf("got status %d, want %d", got, tc.want)
			}
			// It gives way to what is learned next, which has a life.
			later := time.Now().Add(4 * time.Second)
			c.Store(e, ranking("new"), later, c.Accept(e))
			eventually(t, "the new ranking in another pod", func() bool {
				return ask(pod(t, connect(t, server.URL())), e).Ranking == ranking("new")
			})
			if got := server.Do("PTTL", key); strings.HasPrefix(got, "-") {
				t.Errorf("got a life of %s ms, want one that ends", got)
			}
		})
	}
}

// A Redis that takes no more writes still answers, and is told of events once it does.
func TestFullRedisServesOn(t *testing.T) {
	server := redistest.Start(t)
	a := view("s", "a")
	key, field := cache.RemoteNames(hashKey, a)
	learn(t, pod(t, connect(t, server.URL())), a, ranking("p1"))
	eventually(t, "the ranking", func() bool {
		return server.Do("HEXISTS", key, field) == "1" && server.Do("HGET", key, "n") == "1"
	})
	server.Do("CONFIG", "SET", "maxmemory", "1")
	there := pod(t, connect(t, server.URL()))
	for i := range 2 {
		if got := ask(there, a).Status; got != cache.Fresh {
			t.Errorf("full: got status %d, want fresh", got)
		}
		there.Accept(view("s", fmt.Sprint("other", i)))
	}
	server.Do("CONFIG", "SET", "maxmemory", "0")
	eventually(t, "the count to include what was refused", func() bool {
		there.Accept(a)
		var n int
		_, err := fmt.Sscan(server.Do("HGET", key, "n"), &n)
		return err == nil && n > 5
	})
	if got := there.Stats().Rubbish; got != 0 {
		t.Errorf("got %d pieces of rubbish, want none", got)
	}
}

// eventually polls, since a real Redis takes real time, but never long.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s for %s", what)
		}
	}
}

func TestSessionIsBoundedInRedisAndNameless(t *testing.T) {
	server := redistest.Start(t)
	c := pod(t, connect(t, server.URL()))
	name := func(i int) reco.Event {
		return reco.Event{Session: "sess-of-shopper", User: "user-90", Item: fmt.Sprint("item-", i), Type: reco.ProductView}
	}
	key, _ := cache.RemoteNames(hashKey, name(0))
	start := time.Now()
	const n = 300
	for i := range n {
		c.Store(name(i), ranking("p1"), start.Add(time.Duration(i)*time.Microsecond), c.Accept(name(i)))
	}
	_, last := cache.RemoteNames(hashKey, name(n-1))
	eventually(t, "the last ranking", func() bool { return server.Do("HEXISTS", key, last) == "1" })
	var fields int
	if _, err := fmt.Sscan(server.Do("HLEN", key), &fields); err != nil || fields > 256 {
		t.Errorf("got %d fields (%v), want at most 256", fields, err)
	}
	for i, want := range map[int]string{0: "0", 40: "0", n - 100: "1", n - 1: "1"} {
		if _, field := cache.RemoteNames(hashKey, name(i)); server.Do("HEXISTS", key, field) != want {
			t.Errorf("ranking %d of %d: got the opposite of %s", i, n, want)
		}
	}
	if got := server.Do("DBSIZE"); got != "1" {
		t.Errorf("got %s keys, want 1", got)
	}
	for _, command := range [][]string{{"RANDOMKEY"}, {"HRANDFIELD", key}} {
		if got := server.Do(command...); strings.Contains(got, "sess") || strings.Contains(got, "item") || strings.Contains(got, "90") && len(got) < 10 {
			t.Errorf("%s: got %q, which tells whose it is", command[0], got)
		}
	}
}

// A session that only ever looks must not stay for ever either.
func TestEveryKeyHasALife(t *testing.T) {
	server := redistest.Start(t)
	c := pod(t, connect(t, server.URL()))
	e := view("s", "a")
	key, _ := cache.RemoteNames(hashKey, e)
	for what, do := range map[string]func(){
		"count":  func() { c.Accept(e) },
		"lookup": func() { ask(c, e) },
		"erase": func() {
			if _, err := c.Erase(t.Context(), "s"); err != nil {
				t.Error(err)
			}
		},
	} {
		server.Do("FLUSHALL")
		do()
		eventually(t, what+" to give the key a life", func() bool { return !strings.HasPrefix(server.Do("PTTL", key), "-") })
	}
}
