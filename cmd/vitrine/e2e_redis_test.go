package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

// withRedis is the configuration of a tier that is waited for as long as it takes.
func withRedis(redis *redistest.Server) []string {
	return []string{"--redis.url=" + redis.URL(), "--redis.budget=5s"}
}

// shares asks one sidecar, then the other, for one new session after the other, until the
// second serves what the first has learned.
func shares(t *testing.T, api *fakeapi.Server, first, second *sidecar, prefix string) {
	t.Helper()
	tries := 0
	eventually(t, "the second sidecar serves what the first has learned", func() bool {
		tries++
		session := fmt.Sprint(prefix, tries)
		ranking := api.Ranking(session, "", fakeapi.ProductView, "p1")
		want(t, "the first sidecar", first.ask(productView(session, "p1")), "api", "", ranking)
		got := second.ask(productView(session, "p1"))
		if !slices.Equal(got.products, ranking) {
			t.Fatalf("got %v, want %q", got, ranking)
		}
		return got.source == "cache" && strings.HasSuffix(got.header.Get("Cache-Status"), "; detail=redis")
	})
}

func TestE2ERedisIsShared(t *testing.T) {
	t.Parallel()
	api, redis := newAPI(t), redistest.Start(t)
	first, second := start(t, api.URL(), withRedis(redis)...), start(t, api.URL(), withRedis(redis)...)
	shares(t, api, first, second, "before ")
	// A user is part of the question there too.
	want(t, "another user", second.ask(productView("before 1", "p1", `"userId":"1"`)), "api", "",
		api.Ranking("before 1", "1", fakeapi.ProductView, "p1"))

	redis.Kill()
	want(t, "without Redis", first.ask(productView("during", "p1")), "api", "", api.Ranking("during", "", fakeapi.ProductView, "p1"))
	want(t, "without Redis, again", first.ask(productView("during", "p1")), "cache", "", api.Ranking("during", "", fakeapi.ProductView, "p1"))
	eventually(t, "/readyz misses Redis", func() bool {
		status, body := first.call(http.MethodGet, first.probes+"/readyz", "")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "redis")
	})
	if status, _ := first.call(http.MethodGet, first.probes+"/livez", ""); status != http.StatusOK {
		t.Errorf("got /livez %d without Redis, want 200", status)
	}
	redis.Start()
	shares(t, api, first, second, "after ")
}

// A Redis that does not answer costs a request its budget for Redis, and no more.
func TestE2EPausedRedis(t *testing.T) {
	t.Parallel()
	api, redis := newAPI(t), redistest.Start(t)
	s := start(t, api.URL(), "--redis.url="+redis.URL(), "--redis.budget=5ms")
	s.ask(productView("s0", "p1"))
	redis.Pause()
	defer redis.Resume()
	var longest time.Duration
	for i := range 50 {
		session := fmt.Sprint("s", i+1)
		for _, source := range []string{"api", "cache"} {
			began := time.Now()
			want(t, "beside a paused Redis", s.ask(productView(session, "p1")), source, "", api.Ranking(session, "", fakeapi.ProductView, "p1"))
			longest = max(longest, time.Since(began))
		}
	}
	if longest > atOnce {
		t.Errorf("got an answer after %v, want none held up by Redis", longest)
	}
	t.Logf("the slowest of 100 answers took %v", longest)
	s.settled(101)
}

// Whatever is found in Redis, what is served is a ranking of the API for this very question.
func TestE2ERubbishInRedis(t *testing.T) {
	t.Parallel()
	api, redis := newAPI(t), redistest.Start(t)
	first := start(t, api.URL(), withRedis(redis)...)
	for i, spoil := range []string{
		`redis.call('HSET', key, field, 'rubbish')`,
		`redis.call('HSET', key, field, '')`,
		`redis.call('HSET', key, field, string.rep('\255', 5000))`,
		`local v = redis.call('HGET', key, field); redis.call('HSET', key, field, string.sub(v, 1, -2))`,
		`local v = redis.call('HGET', key, field); redis.call('HSET', key, field, string.sub(v, 1, -4) .. 'x' .. string.sub(v, -2))`,
		`local v = redis.call('HGET', key, field); redis.call('HSET', key, field, v .. v)`,
		`redis.call('SET', key, 'no hash')`,
		`redis.call('DEL', key)`,
	} {
		redis.Do("FLUSHALL")
		session := fmt.Sprint("s", i)
		first.ask(productView(session, "p1"))
		first.ask(productView(session, "p2"))
		first.settled(2 * (i + 1))
		eventually(t, "both rankings are in Redis", func() bool {
			return redis.Do("EVAL", `local n = 0
				for _, key in ipairs(redis.call('KEYS', '*')) do
					for _, v in ipairs(redis.call('HVALS', key)) do if #v > 50 then n = n + 1 end end
				end
				return n`, "0") == "2"
		})
		redis.Do("EVAL", `for _, key in ipairs(redis.call('KEYS', '*')) do
			for _, field in ipairs(redis.call('HKEYS', key)) do
				if redis.call('TYPE', key).ok == 'hash' then `+spoil+` end
			end
		end return 1`, "0")
		second := start(t, api.URL(), withRedis(redis)...)
		for _, id := range []string{"p1", "p2"} {
			want(t, spoil, second.ask(productView(session, id)), "api", "", api.Ranking(session, "", fakeapi.ProductView, id))
		}
		second.kill()
	}
}

// Swapped entries are no rubbish by themselves: they are another question's.
func TestE2ESwappedInRedis(t *testing.T) {
	t.Parallel()
	api, redis := newAPI(t), redistest.Start(t)
	first, second := start(t, api.URL(), withRedis(redis)...), start(t, api.URL(), withRedis(redis)...)
	first.ask(productView("s1", "p1"))
	first.ask(productView("s2", "p1"))
	eventually(t, "both sessions are in Redis", func() bool { return redis.Do("DBSIZE") == "2" })
	first.settled(2)
	redis.Do("EVAL", `local keys = redis.call('KEYS', '*')
		redis.call('RENAME', keys[1], 'x') redis.call('RENAME', keys[2], keys[1]) redis.call('RENAME', 'x', keys[2]) return 1`, "0")
	for _, session := range []string{"s1", "s2"} {
		want(t, "a session found under another's key", second.ask(productView(session, "p1")), "api", "", api.Ranking(session, "", fakeapi.ProductView, "p1"))
	}
}

// An erase takes in both tiers of every pod.
func TestE2EEraseSession(t *testing.T) {
	t.Parallel()
	api, redis := newAPI(t), redistest.Start(t)
	first, second := start(t, api.URL(), withRedis(redis)...), start(t, api.URL(), withRedis(redis)...)
	const session = "ana maria/é"
	for _, s := range []*sidecar{first, second} {
		s.ask(productView(session, "p1"))
		s.settled(1)
		if got := s.ask(productView(session, "p1")); got.source != "cache" {
			t.Fatalf("got %v, want cache", got)
		}
		s.settled(2)
	}
	status, body := first.call(http.MethodDelete, first.admin+"/sessions/"+url.PathEscape(session), "")
	if want := `{"rankings":1,"redis":true,"similar":0}`; status != http.StatusOK || strings.Join(strings.Fields(body), "") != want {
		t.Fatalf("erasing: got %d %s, want %s", status, body, want)
	}
	if got := redis.Do("EVAL", `local n = 0
		for _, key in ipairs(redis.call('KEYS', '*')) do
			for _, v in ipairs(redis.call('HVALS', key)) do if #v > 50 then n = n + 1 end end
		end
		return n`, "0"); got != "0" {
		t.Errorf("got %s rankings left in Redis, want none", got)
	}
	if got := first.ask(productView(session, "p1")); got.source != "api" {
		t.Errorf("the pod that was asked to erase: got %v, want api", got)
	}
	// The other learns of it; until then each answer teaches it the ranking anew.
	tries := 2
	eventually(t, "the other pod has erased the session", func() bool {
		tries++
		got := second.ask(productView(session, "p1"))
		second.settled(tries)
		return got.source == "api" || strings.HasSuffix(got.header.Get("Cache-Status"), "redis")
	})
	if got := items(api.API, session); len(got) != 5+tries-2 {
		t.Errorf("got %d events at the API, want all %d: what is erased was accepted", len(got), 5+tries-2)
	}
}
