package deploy_test

import (
	"bufio"
	"context"
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

// Every query of the dashboard has an answer on a real Prometheus that scrapes a sidecar
// while its API does all it can do wrong.
func TestDashboardOnPrometheus(t *testing.T) {
	if _, err := exec.LookPath("prometheus"); err != nil {
		t.Skip("prometheus is not here: .ci/ensure promtool installs it with promtool")
	}
	api, err := fakeapi.Start(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = api.Close() })
	sidecar := serve(t, "--upstream.url="+api.URL(), "--upstream.timeout=1s", "--budget=100ms", "--cache.fresh=1s", "--redis.url=embedded")
	prometheus := startPrometheus(t, sidecar.Probes)

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); chaos(ctx, api, "http://"+sidecar.Data) }()
	defer func() { stop(); <-ended }()

	waiting := make(map[string]string) // panels by query
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			waiting[query(target.Expr)] = p.Title
		}
	}
	for deadline := time.Now().Add(10 * patience); len(waiting) > 0; time.Sleep(time.Second) {
		for expr := range waiting {
			if prometheus.answers(t, expr) {
				delete(waiting, expr)
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("got nothing for %q", waiting)
		}
	}
}

// chaos asks the sidecar without end while the API does all it can do wrong, a second each.
func chaos(ctx context.Context, api *fakeapi.Server, data string) {
	client := &http.Client{Timeout: 5 * time.Second}
	faults := []fakeapi.Fault{
		{},
		{Status: http.StatusServiceUnavailable},
		{Answer: fakeapi.EmptyList},
		{Answer: fakeapi.Hang},
		{},
		{Answer: fakeapi.Refuse},
		{Answer: fakeapi.ResetAfter},
		{Answer: fakeapi.Null},
		{Status: http.StatusTooManyRequests, RetryAfter: "1"},
	}
	for i := 0; ctx.Err() == nil; i++ {
		if i%20 == 0 {
			_ = api.Set(faults[i/20%len(faults)]) // they make sense
		}
		body := fmt.Sprintf(`{"sessionId":"s%d","eventType":"productView","data":{"id":"p%d"},"vitrine":{"native":["n1"]}}`, i%7, i%11)
		ask(ctx, client, http.MethodPost, data+"/api/v1/products/protected/recommendation", body)
		ask(ctx, client, http.MethodGet, data+"/api/v1/crm/protected/profile/email/a@shop.example", "")
		time.Sleep(50 * time.Millisecond)
	}
}

// ask asks for what may fail.
func ask(ctx context.Context, client *http.Client, method, url, body string) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return
	}
	request.Header.Set("Content-Type", "application/json")
	if response, err := client.Do(request); err == nil {
		_ = response.Body.Close()
	}
}

// server is a running Prometheus.
type server struct{ address string }

// startPrometheus scrapes an address every second, as the PodMonitor does at its pace.
func startPrometheus(t *testing.T, target string) server {
	t.Helper()
	dir := t.TempDir()
	config := fmt.Sprintf("global: {scrape_interval: 1s}\nscrape_configs:\n- {job_name: vitrine, static_configs: [{targets: [%q]}]}\n", target)
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
