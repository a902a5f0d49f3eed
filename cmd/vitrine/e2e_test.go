package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

// The tests in e2e_*_test.go see the program as a shop does: the built binary, a
// stand-in API in the test's process, a real redis-server, HTTP. Each test has
// processes of its own. None asserts how long something took, except that it did not
// hang: see patience.

// patience bounds every wait. It is a bound against hanging, not a measurement.
const patience = 30 * time.Second

// atOnce is far above what an answer takes that waits for nothing, and far below the
// budget the tests give one that waits.
const atOnce = 5 * time.Second

// program is the path of the built binary.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "vitrine-e2e-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "vitrine")
	build := exec.Command("go", append(buildFlags(), "-o", program, ".")...)
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building the program: %v\n%s", err, out))
	}
	m.Run()
}

// buildFlags builds the program as this test is built: under -race its races are found too.
func buildFlags() []string {
	flags := []string{"build"}
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" && s.Value == "true" {
			flags = append(flags, "-race")
		}
	}
	return flags
}

// newAPI starts a stand-in API that is well, at once, and never cold.
func newAPI(t *testing.T) *fakeapi.Server {
	t.Helper()
	api, err := fakeapi.Start(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// sick lets a fault loose on the API until it is replaced.
func sick(t *testing.T, api *fakeapi.Server, f fakeapi.Fault) {
	t.Helper()
	if err := api.Set(f); err != nil {
		t.Fatal(err)
	}
}

// sidecar is a running vitrine.
type sidecar struct {
	t      *testing.T
	outbox string
	log    *transcript

	data, probes, admin string // base URLs
	addr                string // of the data listener

	client  *http.Client
	process *exec.Cmd
	exited  chan struct{} // closed when code is known
	code    int
}

// start runs vitrine in front of the API at url with more flags, and waits until it is
// ready. It has a folder of its own as its outbox, and a budget that a slow machine
// does not exhaust.
func start(t *testing.T, url string, flags ...string) *sidecar {
	t.Helper()
	s := launch(t, url, flags...)
	s.awaitReady()
	return s
}

// launch runs vitrine without waiting for anything.
func launch(t *testing.T, url string, flags ...string) *sidecar {
	t.Helper()
	return launchWith(t, append([]string{"--upstream.url=" + url, "--budget=10s", "--log.level=debug"}, flags...)...)
}

// launchWith runs vitrine with what any test needs, and leaves the rest to its flags or a
// file that they name.
func launchWith(t *testing.T, flags ...string) *sidecar {
	t.Helper()
	return launchTokenless(t, append([]string{"--upstream.token=" + fakeapi.DefaultToken, "--upstream.timeout=10s"}, flags...)...)
}

// launchTokenless is launchWith for who brings a token of his own.
func launchTokenless(t *testing.T, flags ...string) *sidecar {
	t.Helper()
	return launchIn(t, nil, flags...)
}

// launchIn is launchTokenless with more in the environment.
func launchIn(t *testing.T, environ []string, flags ...string) *sidecar {
	t.Helper()
	s := &sidecar{
		t: t, outbox: filepath.Join(t.TempDir(), "outbox"), log: &transcript{}, exited: make(chan struct{}),
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: patience},
	}
	flags = append([]string{
		"serve", "--listen=127.0.0.1:0", "--probe.listen=127.0.0.1:0", "--admin.listen=127.0.0.1:0",
		"--outbox.dir=" + s.outbox,
	}, flags...)
	for _, f := range flags { // the last one counts
		if dir, ok := strings.CutPrefix(f, "--outbox.dir="); ok {
			s.outbox = dir
		}
	}
	s.process = exec.Command(program, flags...)
	s.process.Env = append([]string{"HOME=" + t.TempDir(), "GORACE=halt_on_error=1 exitcode=66"}, environ...)
	s.process.Stderr = s.log
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { // ends with the process; the cleanup below waits for it
		defer close(s.exited)
		_ = s.process.Wait() // its exit code says it
		s.code = s.process.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		s.client.CloseIdleConnections()
		s.kill()
		if text := s.log.String(); strings.Contains(text, "DATA RACE") || strings.Contains(text, "panic") {
			t.Errorf("got a race or a panic in the program:\n%s", text)
		}
		if t.Failed() {
			t.Logf("log of %s:\n%s", s.data, s.log)
		}
	})
	return s
}

// awaitReady waits for the line of the log that gives the addresses.
func (s *sidecar) awaitReady() {
	s.t.Helper()
	eventually(s.t, "the sidecar is ready", func() bool {
		select {
		case <-s.exited:
			s.t.Fatalf("the sidecar ended with exit code %d:\n%s", s.code, s.log)
		default:
		}
		ready := s.log.find("ready")
		if ready == nil {
			return false
		}
		s.addr, _ = ready["data"].(string)
		s.data, s.probes, s.admin = "http://"+s.addr, fmt.Sprint("http://", ready["probes"]), fmt.Sprint("http://", ready["admin"])
		return true
	})
}

// kill ends the sidecar as a crash would.
func (s *sidecar) kill() {
	_ = s.process.Process.Kill() // it may have ended by itself
	<-s.exited
}

// stop tells the sidecar to end, and returns its exit code.
func (s *sidecar) stop() int {
	s.t.Helper()
	s.client.CloseIdleConnections()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("the sidecar goes on after SIGTERM:\n%s", s.log)
	}
	return s.code
}

// answer is what a shop gets.
type answer struct {
	status   int
	header   http.Header
	body     string
	source   string
	reason   string
	event    string // id of the accepted event
	products []string
}

// String is what a failed test shows of it.
func (a answer) String() string {
	return fmt.Sprintf("%d %s (%s), %s, %s", a.status, a.source, a.reason, a.header.Get("Cache-Status"), a.body)
}

const recommendation = "/api/v1/products/protected/recommendation"

// ask asks for a list, as the shop app does.
func (s *sidecar) ask(question string) answer {
	s.t.Helper()
	a, err := s.try(question)
	if err != nil {
		s.t.Fatalf("asking %s: %v", question, err)
	}
	return a
}

// try is ask for other goroutines than the test's, and for a sidecar that may be gone.
func (s *sidecar) try(question string) (answer, error) {
	status, header, body, err := s.send(s.data+recommendation, http.MethodPost, question)
	if err != nil {
		return answer{}, err
	}
	a := answer{
		status: status, header: header, body: body,
		source: header.Get("Vitrine-Source"), reason: header.Get("Vitrine-Reason"), event: header.Get("Vitrine-Event"),
	}
	if status == http.StatusOK {
		var list struct{ Products []string }
		err = json.Unmarshal([]byte(body), &list)
		a.products = list.Products
	}
	return a, err
}

func (s *sidecar) send(url, method, body string) (status int, header http.Header, answer string, err error) {
	r, err := http.NewRequestWithContext(context.Background(), method, url, strings.NewReader(body))
	if err != nil {
		return 0, nil, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	read, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(read), err
}

// call sends a request to any of the listeners and returns status and body.
func (s *sidecar) call(method, url, body string) (int, string) {
	s.t.Helper()
	status, _, text, err := s.send(url, method, body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, url, err)
	}
	return status, text
}

// metrics scrapes once. Series are named as they are written: name{label="value"}.
func (s *sidecar) metrics() map[string]float64 {
	s.t.Helper()
	values, err := s.scrape()
	if err != nil {
		s.t.Fatal(err)
	}
	return values
}

// scrape is metrics for other goroutines than the test's, and for a sidecar that may be gone.
func (s *sidecar) scrape() (map[string]float64, error) {
	status, _, text, err := s.send(s.probes+"/metrics", http.MethodGet, "")
	switch {
	case err != nil:
		return nil, fmt.Errorf("scraping: %w", err)
	case status != http.StatusOK:
		return nil, fmt.Errorf("scraping: got status %d", status)
	}
	values := make(map[string]float64)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			values[line[:cut]] = v
		}
	}
	return values, nil
}

// settled waits until n events are delivered and none is pending.
func (s *sidecar) settled(n int) {
	s.t.Helper()
	eventually(s.t, fmt.Sprintf("%d events are delivered and none is pending", n), func() bool {
		now := s.metrics()
		return int(now["vitrine_events_delivered_total"]) == n && now["vitrine_events_pending"] == 0
	})
}

// question is the body of a request; members go beside the vendor's own.
func question(eventType, session, id string, members ...string) string {
	more := strings.Join(append([]string{""}, members...), ",")
	return fmt.Sprintf(`{"sessionId":%q,"eventType":%q,"data":{"id":%q}%s}`, session, eventType, id, more)
}

func productView(session, id string, members ...string) string {
	return question(fakeapi.ProductView, session, id, members...)
}

// want fails the test unless an answer came from there, for that reason, with that list.
func want(t *testing.T, what string, got answer, source, reason string, products []string) {
	t.Helper()
	if got.status != http.StatusOK || got.source != source || got.reason != reason || !slices.Equal(got.products, products) {
		t.Errorf("%s: got %v\nwant %s (%s) %q", what, got, source, reason, products)
	}
}

// items are the ids of the events a session had received by the API, in order.
func items(api *fakeapi.API, session string) (ids []string) {
	for _, e := range api.Ledger() {
		if e.Session == session {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// soonStale makes rankings fresh for a moment only, which pass lets go by.
const soonStale = "--cache.fresh=1ms"

// pass takes at least as long as a ranking is fresh with soonStale; longer does no harm.
func pass() { time.Sleep(10 * time.Millisecond) }

// eventually polls until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// transcript is a log that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends to the log.
func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns what was written so far.
func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// find returns the first line with that message.
func (l *transcript) find(message string) map[string]any {
	lines := bufio.NewReader(strings.NewReader(l.String()))
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		var members map[string]any
		if json.Unmarshal(line, &members) == nil && members["msg"] == message {
			return members
		}
	}
}
