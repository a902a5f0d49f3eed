package proxy_test

import (
	"testing"
	"testing/synctest"
	"time"

	"vitrine/cache"
	"vitrine/internal/reco"
)

func TestHeadersOfWhatWasRemembered(t *testing.T) {
	list := reco.NewRanking([]string{"a1", "a2"})
	for what, c := range map[string]struct {
		found       cache.Found
		source      string
		age, status string
	}{
		"from memory": {
			cache.Found{Ranking: list, Status: cache.Fresh, Tier: reco.Memory, Age: 22*time.Second + 999*time.Millisecond, TTL: 37*time.Second + 1},
			"cache ", "22", "vitrine; hit; ttl=37; detail=memory",
		},
		"of this moment": {
			cache.Found{Ranking: list, Status: cache.Fresh, Tier: reco.Memory, TTL: time.Millisecond},
			"cache ", "0", "vitrine; hit; ttl=0; detail=memory",
		},
		"from Redis": {
			cache.Found{Ranking: list, Status: cache.Fresh, Tier: reco.Redis, Age: time.Hour, TTL: time.Minute},
			"cache ", "3600", "vitrine; hit; ttl=60; detail=redis",
		},
		"stale": {
			cache.Found{Ranking: list, Status: cache.Stale, Tier: reco.Memory, Age: 72 * time.Second, TTL: -12 * time.Second},
			"stale timeout", "72", "vitrine; hit; ttl=-12; detail=stale",
		},
		"stale since a moment": {
			cache.Found{Ranking: list, Status: cache.Stale, Tier: reco.Redis, Age: time.Minute, TTL: -1},
			"stale timeout", "60", "vitrine; hit; ttl=-1; detail=stale",
		},
		"stale because the session moved on": {
			cache.Found{Ranking: list, Status: cache.Stale, Tier: reco.Memory, Age: time.Second},
			"stale timeout", "1", "vitrine; hit; ttl=0; detail=stale",
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.api.took = time.Second
			r.rankings.lookup = func(reco.Event, time.Time) cache.Found { return c.found }
			got := r.ask(native)
			if got.source() != c.source || got.body != `{"products":["a1","a2"]}` {
				t.Errorf("%s: got %s %s, want %s with the list", what, got.source(), got.body, c.source)
			}
			if age, status := got.header("Age"), got.header("Cache-Status"); age != c.age || status != c.status {
				t.Errorf("%s: got Age %q and %q, want %q and %q", what, age, status, c.age, c.status)
			}
		})
	}
}

func TestHeadersOfWhatWasNot(t *testing.T) {
	for what, c := range map[string]struct {
		body                   string
		took                   time.Duration
		source, status, answer string
		event                  bool
	}{
		"the API's":      {native, 0, "api ", "vitrine; fwd=miss; fwd-status=200; stored", `{"products":["r-s-a"]}`, true},
		"native":         {native, time.Second, "native timeout", "vitrine; fwd=miss; detail=native", `{"products":["n2","n1"]}`, true},
		"nothing":        {first, time.Second, "none timeout", "vitrine; fwd=miss; detail=none", `{"products":[]}`, true},
		"a bot's":        {`{"sessionId":"s","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true,"native":[7]}}`, 0, "native bot", "vitrine; fwd=bypass; detail=native", `{"products":["7"]}`, false},
		"a bot's, empty": {`{"sessionId":"s","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true}}`, 0, "none bot", "vitrine; fwd=bypass; detail=none", `{"products":[]}`, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.api.took = c.took
			got := r.ask(c.body)
			if got.source() != c.source || got.header("Cache-Status") != c.status || got.body != c.answer {
				t.Errorf("%s: got %s, %q, %s, want %s, %q, %s", what, got.source(), got.header("Cache-Status"), got.body, c.source, c.status, c.answer)
			}
			if got.header("Age") != "" || got.header("Cache-Control") != "private, no-store" || (got.header("Vitrine-Event") != "") != c.event {
				t.Errorf("%s: got Age %q, Cache-Control %q, Vitrine-Event %q", what, got.header("Age"), got.header("Cache-Control"), got.header("Vitrine-Event"))
			}
		})
	}
}
