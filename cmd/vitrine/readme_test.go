package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/fakeshop"
	"vitrine/internal/logs"
)

// startSidecar runs a sidecar between stand-ins until the test ends.
func startSidecar(t *testing.T) *sidecar {
	t.Helper()
	api, err := fakeapi.Start(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	shop, err := fakeshop.Start(fakeshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = shop.Close() })
	c := demoConfig(api.URL(), shop.URL())
	c.Listen, c.Probe.Listen, c.Admin.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	handler := logs.New(slog.DiscardHandler)
	from := new(origin)
	from.inForce.Store(&c)
	s, err := newSidecar(t.Context(), c, slog.New(handler), handler, from)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background()) //nolint:usetesting // it ends before what it stands on is closed
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("stopping the sidecar: %v", err)
		}
	})
	return s
}

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// example is a fenced block of the README and how it is run.
type example struct {
	language string
	file     string
	command  []string // before the file's name
	needs    []string // succeeds if there is all that it needs beside the command; nil is nothing
}

// missing says why an example cannot be run here.
func (e example) missing(t *testing.T) error {
	t.Helper()
	if _, err := exec.LookPath(e.command[0]); err != nil || e.needs == nil {
		return err
	}
	if out, err := exec.CommandContext(t.Context(), e.needs[0], e.needs[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// Every example in the README gets its list from a sidecar, and shows the native ordering
// without one.
func TestReadmeExamples(t *testing.T) {
	t.Parallel()
	text := readme(t)
	address := startSidecar(t).data.Addr().String()
	const nobody = "127.0.0.1:1"
	for _, e := range []example{
		{"sh", "curl.sh", []string{"sh"}, nil},
		{"js", "recommend.js", []string{"node"}, nil},
		{"python", "recommend.py", []string{"python3"}, nil},
		{"php", "recommend.php", []string{"php"}, []string{"php", "-r", `if (!function_exists("curl_init")) { echo "no ext-curl"; exit(1); }`}},
		{"java", "Recommend.java", []string{"java"}, nil},
		{"go", "recommend.go", []string{"go", "run"}, nil},
	} {
		if err := e.missing(t); err != nil {
			t.Logf("%s: skipped: %v", e.language, err)
			continue
		}
		source := fenced(text, e.language, "127.0.0.1:8377")
		if source == "" {
			t.Errorf("%s: got no example, want one", e.language)
			continue
		}
		// A machine that is busy enough makes even this client's time-out pass.
		found := false
		for tries := 0; !found && tries < 10; tries++ {
			found = regexp.MustCompile(`(?m)^(Vitrine-Source: )?(api|cache)\b`).MatchString(runExample(t, e, source, address))
		}
		if !found {
			t.Errorf("%s: got no list of the API, want one", e.language)
		}
		if got := runExample(t, e, source, nobody); e.language != "sh" && !regexp.MustCompile(`(?m)^native .*p3\W+p1`).MatchString(got) {
			t.Errorf("%s: got %q without a sidecar, want the native ordering", e.language, got)
		}
	}
}

// fenced returns the first block of a language that has a text in it.
func fenced(text, language, with string) string {
	for _, block := range strings.Split(text, "\n```"+language+"\n")[1:] {
		if block, _, _ = strings.Cut(block, "\n```\n"); strings.Contains(block, with) {
			return block + "\n"
		}
	}
	return ""
}

// runExample returns what the example prints.
func runExample(t *testing.T, e example, source, address string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), e.file)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(source, "127.0.0.1:8377", address)), 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), e.command[0], append(e.command[1:], file)...)
	var problems strings.Builder
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil && e.language != "sh" {
		t.Errorf("%s: %v\n%s", e.language, err, problems.String())
	}
	return string(out)
}

var (
	sampleLine  = regexp.MustCompile(`^(vitrine_\w+?)(_bucket|_sum|_count)?(\{(.*)\})? \S+$`)
	labelName   = regexp.MustCompile(`(\w+)="`)
	metricNames = regexp.MustCompile("`(vitrine_\\w+)`")
	labelNames  = regexp.MustCompile("`(\\w+)`")
)

// The README's table of metrics is what is to be had, with its labels.
func TestReadmeMetrics(t *testing.T) {
	t.Parallel()
	s := startSidecar(t)
	want := make(map[string][]string)
	for line := range strings.Lines(scrape(t, "http://"+s.probes.Addr().String()+"/metrics")) {
		m := sampleLine.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		var labels []string
		for _, l := range labelName.FindAllStringSubmatch(m[4], -1) {
			if l[1] != "le" {
				labels = append(labels, l[1])
			}
		}
		slices.Sort(labels)
		want[m[1]] = labels
	}
	got := make(map[string][]string)
	for line := range strings.Lines(readme(t)) {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`vitrine_") {
			continue
		}
		var labels []string
		for _, l := range labelNames.FindAllStringSubmatch(cells[2], -1) {
			labels = append(labels, l[1])
		}
		slices.Sort(labels)
		for _, name := range metricNames.FindAllStringSubmatch(cells[1], -1) {
			got[name[1]] = labels
		}
	}
	for _, name := range slices.Sorted(maps.Keys(want)) {
		if labels, there := got[name]; !there || !slices.Equal(labels, want[name]) {
			t.Errorf("%s: got %v (there: %v) in the README, want %v", name, labels, there, want[name])
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("got %v in the README, want nothing that is not to be had", got)
	}
}

func scrape(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}
