package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"vitrine/bench/fakeapi"
)

// write puts a configuration where the sidecar reads it, at once, as an editor does.
func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file+".new", []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
}

func TestE2EReload(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	file := filepath.Join(t.TempDir(), "vitrine.yaml")
	write(t, file, "budget: 20s\nlog: {level: info}\n")
	s := launchWith(t, "--config="+file, "--upstream.url="+api.URL())
	s.awaitReady()

	reload := func() (status int, body string) {
		t.Helper()
		status, _, body, err := s.send(s.admin+"/-/reload", http.MethodPost, "")
		if err != nil {
			t.Fatal(err)
		}
		return status, body
	}

	write(t, file, "budget: 30ms\ncache: {fresh: 2m}\nlog: {level: debug}\n")
	status, body := reload()
	var done struct{ Applied, NeedsRestart []string }
	if err := json.Unmarshal([]byte(body), &done); err != nil || status != http.StatusOK {
		t.Fatalf("got %d %s, want what was done", status, body)
	}
	if !slices.Contains(done.Applied, "budget") || !slices.Contains(done.Applied, "log.level") || !slices.Contains(done.NeedsRestart, "cache.fresh") {
		t.Errorf("got %+v, want the budget and the log level applied, and cache.fresh named", done)
	}
	sick(t, api, fakeapi.Fault{Delay: patience})
	if a := s.ask(`{"sessionId":"s1","eventType":"productView","data":{"id":"p1"}}`); a.reason != "timeout" {
		t.Errorf("got %v, want a time-out after the new budget", a)
	}

	write(t, file, "budget: never\nunknown: 1\n")
	if status, body = reload(); status != http.StatusUnprocessableEntity || !strings.Contains(body, "budget") || !strings.Contains(body, "unknown") {
		t.Errorf("got %d %s, want both mistakes and that the old one stays", status, body)
	}
	for _, want := range []string{"vitrine_config_reloads_total 1\n", "vitrine_config_reload_failures_total 1\n"} {
		if _, _, metrics, err := s.send(s.probes+"/metrics", http.MethodGet, ""); err != nil || !strings.Contains(metrics, want) {
			t.Errorf("got no %q among the metrics (%v)", want, err)
		}
	}

	write(t, file, "budget: 40ms\n")
	if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "SIGHUP reloads", func() bool {
		_, _, status, err := s.send(s.admin+"/status.json", http.MethodGet, "")
		return err == nil && strings.Contains(status, `budget: 40ms\n`)
	})
}

// rotation is a way for a shop to change its token.
type rotation struct {
	overlap bool   // both tokens are good for a while
	how     string // the sidecar learns of it
}

// A token rotated under load: no shopper notices, and no event is lost. The old token is
// refused as soon as the rotation is over.
func TestE2ERotation(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]rotation{
		"with an overlap, by SIGHUP":  {overlap: true, how: "SIGHUP"},
		"at once, by reload":          {how: "reload"},
		"at once, by the API's word":  {how: "refusal"},
		"in the configuration's file": {overlap: true, how: "inline"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rotate(t, r)
		})
	}
}

func rotate(t *testing.T, r rotation) {
	t.Helper()
	api := newAPI(t)
	api.Accept("first")
	dir := t.TempDir()
	token, file := filepath.Join(dir, "token"), filepath.Join(dir, "vitrine.yaml")
	inline := func(secret string) string { return "upstream: {url: " + api.URL() + ", token: " + secret + "}\n" }
	flags := []string{"--upstream.url=" + api.URL(), "--upstream.token_file=" + token}
	write(t, token, "first\n")
	if r.how == "inline" {
		write(t, file, inline("first"))
		flags = []string{"--config=" + file}
	}
	s := launchTokenless(t, append(flags, "--budget=10s", "--upstream.timeout=10s", "--cache.fresh=1ms")...)
	s.awaitReady()

	const shoppers, before = 4, 100
	asked, stop := shop(t, s, shoppers)
	eventually(t, "the shop is under load", func() bool { return asked.Load() > before })
	if r.overlap {
		api.Accept("first", "second")
	}
	write(t, token, "second\n")
	switch r.how {
	case "SIGHUP":
		if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
	case "reload":
		api.Accept("second")
		s.call(http.MethodPost, s.admin+"/-/reload", "")
	case "refusal":
		api.Accept("second")
	case "inline":
		write(t, file, inline("second"))
		s.reloads([]string{"upstream.token"}, nil)
	}
	if r.how != "refusal" {
		eventually(t, "the reload is counted", func() bool { return s.metrics()["vitrine_config_reloads_total"] == 1 })
	}
	api.Accept("second")
	changed := asked.Load()
	eventually(t, "the shop has gone on", func() bool { return asked.Load() > changed+before })
	stop()

	n := int(asked.Load())
	s.settled(n)
	now := s.metrics()
	for series, want := range map[string]float64{
		"vitrine_events_accepted_total": float64(n), "vitrine_events_expired_total": 0,
		`vitrine_events_dropped_total{reason="dead-letter"}`: 0, `vitrine_upstream_requests_total{code="401"}`: 0,
	} {
		if now[series] != want {
			t.Errorf("%s: got %v, want %v", series, now[series], want)
		}
	}
	stats := api.Stats()
	if good := int(stats.ByStatus[http.StatusOK]); good != n {
		t.Errorf("got %d events answered by the API, want all %d", good, n)
	}
	if refused := float64(stats.ByStatus[http.StatusUnauthorized]); refused != now[`vitrine_events_retried_total{cause="http"}`] {
		t.Errorf("got %v calls refused, want as many as were counted as tried again: %v", refused, now[`vitrine_events_retried_total{cause="http"}`])
	}
}

// reloads tells the sidecar to read its configuration again, and checks what came of it.
func (s *sidecar) reloads(applied, needsRestart []string) {
	s.t.Helper()
	status, body := s.call(http.MethodPost, s.admin+"/-/reload", "")
	var done struct{ Applied, NeedsRestart []string }
	if err := json.Unmarshal([]byte(body), &done); err != nil || status != http.StatusOK ||
		!slices.Equal(done.Applied, applied) || !slices.Equal(done.NeedsRestart, needsRestart) {
		s.t.Errorf("got %d %s, want %q applied and %q named", status, body, applied, needsRestart)
	}
}

// shop asks as so many shoppers do, each in a session of its own, until stop. Every answer
// must be the API's own.
func shop(t *testing.T, s *sidecar, shoppers int) (asked *atomic.Int64, stop func()) {
	t.Helper()
	asked = new(atomic.Int64)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for shopper := range shoppers {
		all.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				a, err := s.try(productView(fmt.Sprint("s", shopper), fmt.Sprint("p", 1+i%500)))
				if err != nil || a.status != http.StatusOK || a.source != "api" {
					t.Errorf("got %v, %v, want the API's answer", a, err)
					return
				}
				asked.Add(1)
			}
		})
	}
	stop = func() { cancel(); all.Wait() }
	t.Cleanup(stop)
	return asked, stop
}

// A platform that has moved, renamed its shop and then changed its password: the sidecar
// follows without a restart, and goes on showing what it has meanwhile.
func TestE2EReloadPlatform(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	var password atomic.Value
	password.Store("first")
	serves := func(list string) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Authorization") != password.Load() {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_, _ = io.WriteString(w, `{"ids":["`+list+"-"+strings.Split(r.URL.Path, "/")[1]+`"]}`)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	old, now := serves("old"), serves("new")
	file := filepath.Join(t.TempDir(), "vitrine.yaml")
	configure := func(base, shop, authorization, more string) {
		write(t, file, "platform: {kind: http, url: '"+base+"/{shop}/{id}', ids: ids, vars: {shop: "+shop+"}, headers: {Authorization: "+authorization+"}"+more+"}\n")
	}
	configure(old, "a", "first", "")
	s := launchWith(t, "--config="+file, "--upstream.url="+api.URL(), "--budget=10s")
	s.awaitReady()
	category := func(id string) answer { return s.ask(question(fakeapi.CategoryView, "s1", id)) }
	shows := func(when, id, product string) {
		t.Helper()
		want(t, when, category(id), "native", "empty", []string{product})
	}
	shows("at the start", "27", "old-a")

	configure(now, "b", "first", ", refresh: 1h")
	s.reloads([]string{"platform.url", "platform.vars"}, []string{"platform.refresh"})
	shows("a list nobody has asked for", "28", "new-b")
	eventually(t, "the list that was there is the new platform's", func() bool {
		return slices.Equal(category("27").products, []string{"new-b"})
	})

	// The sidecar learns of the new password when the breaker has long opened.
	password.Store("second")
	for i := 0; s.metrics()[`vitrine_breaker_state{name="platform"}`] == 0; i++ {
		category(fmt.Sprint("c", i))
	}
	shows("a list that was there", "27", "new-b")
	configure(now, "b", "second", ", refresh: 1h")
	s.reloads([]string{"platform.headers"}, []string{"platform.refresh"})
	eventually(t, "the platform is asked with the new password", func() bool {
		return slices.Equal(category("29").products, []string{"new-b"})
	})

	// What makes no sense changes nothing.
	configure("ftp://x", "b", "second", "")
	if status, body := s.call(http.MethodPost, s.admin+"/-/reload", ""); status != http.StatusUnprocessableEntity || !strings.Contains(body, "platform.url") {
		t.Errorf("got %d %s, want the address refused", status, body)
	}
	shows("a list after that", "30", "new-b")
	write(t, file, "platform: {kind: none}\n")
	s.reloads(nil, []string{"platform.kind", "platform.url", "platform.ids", "platform.headers", "platform.vars"})
	shows("without a platform from the next start on", "31", "new-b")
}
