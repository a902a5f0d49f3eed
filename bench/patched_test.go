package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// wrongs goes into the sidecar's cache: ways to be wrong, one of which an environment
// variable chooses.
const wrongs = `package cache

import (
	"os"
	"sync"

	"vitrine/internal/reco"
)

var (
	wrong   = os.Getenv("VITRINE_WRONG")
	wrongMu sync.Mutex
	wrongly *entry
)

// wrongRanking is the one of whoever was answered before.
func wrongRanking(held *entry) reco.Ranking {
	if wrong != "leak" {
		return held.ranking
	}
	wrongMu.Lock()
	defer wrongMu.Unlock()
	before := wrongly
	if wrongly = held; before == nil {
		return held.ranking
	}
	return before.ranking
}

// Wrong reports whether the sidecar is to be wrong in this way.
func Wrong(how string) bool { return wrong == how }
`

// patches are what makes the sidecar use them. Each text is in its file once.
func patches() []struct{ file, text, patched string } {
	return []struct{ file, text, patched string }{
		{"cache/cache.go", "Ranking: held.ranking,", "Ranking: wrongRanking(held),"},
		{"cache/cache.go", "case f.TTL <= 0:", `case f.TTL <= 0 && !Wrong("old"):`},
		{
			"internal/proxy/journey.go", "v.ticket = p.opt.Delivery.Accept(v.req.Event, came, v.from, wanted)",
			`if cache.Wrong("invent") {
				invented := v.req.Event
				invented.Session += "-invented"
				p.opt.Delivery.Accept(invented, came, v.from, false)
			}
			v.ticket = p.opt.Delivery.Accept(v.req.Event, came, v.from, wanted)`,
		},
	}
}

// buildPatched builds a sidecar that can be wrong, and leaves the sources alone.
func buildPatched(t *testing.T) string {
	t.Helper()
	dir, root := t.TempDir(), filepath.Dir(working(t))
	replaced := make(map[string]string) // a source file to what the compiler sees in its place
	write := func(file, text string) {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		replaced[filepath.Join(root, file)] = path
	}
	write("cache/wrong.go", wrongs)
	for _, p := range patches() {
		source := filepath.Join(root, p.file)
		if earlier, ok := replaced[source]; ok {
			source = earlier
		}
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(text, []byte(p.text)); n != 1 {
			t.Fatalf("%s: got %q %d times, want once: make the patch fit", p.file, p.text, n)
		}
		write(p.file, strings.Replace(string(text), p.text, p.patched, 1))
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "vitrine")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", list, "-o", binary, "vitrine/cmd/vitrine")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the patched sidecar: %v\n%s", err, out)
	}
	return binary
}

func working(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A sidecar that leaks a session's answer, serves one beyond its life, or tells the API
// of something nobody did is caught; the same program that does none of it is not.
func TestWrongSidecarsAreCaught(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a sidecar and runs it four times")
	}
	binary := buildPatched(t)
	for wrong, want := range map[string]string{
		"leak":   "VIOLATION  leak",
		"old":    "VIOLATION  age",
		"invent": "VIOLATION  invented",
		"":       "0 lost, 0 repeated, 0 invented",
	} {
		t.Run("wrong="+wrong, func(t *testing.T) {
			t.Parallel()
			var report, problems bytes.Buffer
			code := run(t.Context(), []string{
				"run", "-binary", binary, "-redis", "none", "-rate", "60", "-dur", "5s", "-warm", "0s", "-items", "500", "-categories", "5",
				"-shoppers", "8", "-repeat", "0.9", "-bots", "0", "-api-p50", "5ms", "-api-p99", "20ms", "-api-cold", "0",
				"-set", "VITRINE_WRONG=" + wrong, "-set", "VITRINE_CACHE_FRESH=1s", "-set", "VITRINE_CACHE_FRESH_EVENTS=0",
			}, &report, &problems)
			if caught := code == exitViolation; caught != (wrong != "") || !strings.Contains(report.String(), want) {
				t.Errorf("got exit status %d, want %q in\n%s%s", code, want, report.String(), problems.String())
			}
		})
	}
}
