package main_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
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
