package deploy_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

// chaosRows are an API and a Redis that are slow or away, and a sidecar that is killed.
const chaosRows = "ci:1,3,19,22,23"

// Every query of the dashboard has an answer on a real Prometheus that scrapes the sidecars
// of the bench's chaos run, and the faults are seen there.
func TestDashboardOnPrometheus(t *testing.T) {
	for _, program := range []string{"prometheus", "redis-server"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not here: .ci/ensure promtool redis-server installs both", program)
		}
	}
	dir := t.TempDir()
	targets := filepath.Join(dir, "targets.json")
	prometheus := startPrometheus(t, targets)
	chaos := startChaos(t, filepath.Join(dir, "bench"), targets)

	waiting := map[string]string{ // by query
		`max_over_time(vitrine_breaker_state{name="recommendation"}[5m]) == 2`: "the API's breaker opens",
		`max_over_time(vitrine_breaker_state{name="redis"}[5m]) == 2`:          "the breaker of Redis opens",
		`rate(vitrine_requests_total{source=~"stale|native"}[1m]) > 0`:         "shoppers are shown older or native lists",
		`count(count by (instance) (vitrine_events_delivered_total > 0)) > 1`:  "several sidecars deliver",
	}
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			waiting[query(target.Expr)] = "panel " + p.Title
		}
	}
	for again := time.NewTicker(time.Second); ; {
		select {
		case <-again.C:
		case err := <-chaos:
			if err != nil {
				t.Fatal(err)
			}
			t.Fatalf("the run is over, and nothing answered %q", waiting)
		}
		for expr := range waiting {
			if prometheus.answers(t, expr) {
				delete(waiting, expr)
			}
		}
		if len(waiting) == 0 {
			return
		}
	}
}

// startChaos lets the bench run rows of the fault table until the test ends. What it brings
// is an error if it could not; the verdict is the bench's own affair.
func startChaos(t *testing.T, program, targets string) <-chan error {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../bench").CombinedOutput(); err != nil {
		t.Fatalf("building the bench: %v\n%s", err, out)
	}
	var said strings.Builder
	command := exec.Command(program, "chaos", "-suite", chaosRows, "-targets", targets)
	command.Env = append(os.Environ(), "GOMEMLIMIT=1GiB") // its sidecars' too, which have the dashboard's line for it
	command.Dir = ".."                                    // it builds the sidecar
	command.Stdout, command.Stderr = &said, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		const objective = 99 // a fault that was not borne
		err := command.Wait()
		if err != nil && command.ProcessState.ExitCode() != objective {
			over <- fmt.Errorf("the chaos run: %w\n%s", err, said.String())
		}
		close(over)
	}()
	t.Cleanup(func() {
		_ = command.Process.Signal(os.Interrupt) // it ends its sidecars and servers itself
		<-ended
	})
	return over
}

// server is a running Prometheus.
type server struct{ address string }

// startPrometheus scrapes what a file names every second, as the PodMonitor does at its pace.
func startPrometheus(t *testing.T, targets string) server {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: vitrine, file_sd_configs: [{files: [%q]}]}\n", targets)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server{l.Addr().String()}
	_ = l.Close() // Prometheus does not say which port it was given
	command := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+s.address, "--enable-feature=native-histograms", "--log.level=warn")
	var log strings.Builder
	command.Stderr = &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		if t.Failed() {
			t.Logf("Prometheus says:\n%s", log.String())
		}
	})
	return s
}

// answers reports whether a query brings anything; Prometheus may not be there yet.
func (s server) answers(t *testing.T, expr string) bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.address+"/api/v1/query?query="+url.QueryEscape(expr), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	var answer struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode == http.StatusServiceUnavailable {
		return false // it is still starting
	}
	if answer.Status != "success" {
		t.Fatalf("%s: %s", expr, answer.Error)
	}
	return len(answer.Data.Result) > 0
}

// running is where a program listens.
type running struct{ Msg, Data, Probes string }

// serve runs the program until the test ends.
func serve(t *testing.T, flags ...string) running {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, "vitrine")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../cmd/vitrine").CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	command := exec.Command(program, append([]string{
		"serve", "--listen=127.0.0.1:0", "--probe.listen=127.0.0.1:0", "--admin.listen=127.0.0.1:0",
		"--upstream.token=" + fakeapi.DefaultToken, "--outbox.dir=" + filepath.Join(dir, "outbox"), "--log.format=json",
	}, flags...)...)
	command.Env = []string{"HOME=" + dir, "GOMEMLIMIT=160MiB"}
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	giveUp := time.AfterFunc(patience, func() { _ = command.Process.Kill() })
	defer giveUp.Stop()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line running
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			go func() { // ends with the process
				for lines.Scan() { // what it logs is of no interest, but must be read
				}
			}()
			return line
		}
	}
	t.Fatal("the program ended before it was ready")
	return running{}
}
