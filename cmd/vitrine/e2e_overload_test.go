package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

// raced reports whether program has the race detector, under which everything takes
// several times the memory.
func raced() bool { return slices.Contains(buildFlags(), "-race") }

// clientsFor is how many clients a test may be at once: what it wants, or what the limit of
// open files leaves to it and to the program.
func clientsFor(t *testing.T, want int) int {
	t.Helper()
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		t.Fatal(err)
	}
	if room := int(min(files.Cur, 1<<20)) / 4 * 3; room < want {
		want = room - 200
	}
	if want < 500 {
		t.Skipf("only %d files may be open", files.Cur)
	}
	return want
}

// native is answered at once, and no event.
const native = `{"sessionId":"idle","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true,"native":["n1"]}}`

// kept is a connection that was answered once.
type kept struct {
	net.Conn
	in *bufio.Reader
}

func (k kept) ask(request string) (status int, err error) {
	if err := k.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(k, request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// keep opens n connections, each of which asks once and then waits.
func keep(t *testing.T, s *sidecar, n int) []kept {
	t.Helper()
	all := make([]kept, n)
	for i := range all {
		conn := connect(t, s.addr)
		all[i] = kept{conn, bufio.NewReaderSize(conn, 512)}
		if status, err := all[i].ask(post(native)); status != http.StatusOK || err != nil {
			t.Fatalf("client %d: got %d (%v), want 200", i, status, err)
		}
	}
	return all
}

// healthy fails unless the sidecar lives and answers.
func (s *sidecar) healthy(api *fakeapi.Server, session string) {
	s.t.Helper()
	eventually(s.t, "/livez answers 200", func() bool { // within a second, on a machine that is not busy with tests
		status, _ := s.call(http.MethodGet, s.probes+"/livez", "")
		return status == http.StatusOK
	})
	want(s.t, "beside them", s.ask(productView(session, "p1")), "api", "", api.Ranking(session, "", fakeapi.ProductView, "p1"))
}

// resident is the program's memory, after a collection.
func (s *sidecar) resident() float64 {
	s.t.Helper()
	s.call(http.MethodGet, s.admin+"/debug/pprof/heap?gc=1", "")
	return s.metrics()["process_resident_memory_bytes"]
}

const mebi = 1 << 20

// Ten thousand clients that keep their connections: who has been idle longest makes room
// for who comes, memory has a bound, and nobody is refused.
func TestE2EManyIdleClients(t *testing.T) {
	many := 10_000
	if raced() {
		many = 5000
	}
	const most = 2048
	many = clientsFor(t, many)
	api := newAPI(t)
	s := start(t, api.URL())
	s.healthy(api, "before")
	before := s.resident()
	clients := keep(t, s, many)
	s.healthy(api, "among them")
	after := s.metrics()
	if got := after["vitrine_connections"]; got > most+10 {
		t.Errorf("got %v connections, want at most %d", got, most)
	}
	if got := after["vitrine_connections_evicted_total"]; got < float64(many-most) {
		t.Errorf("got %v clients sent away, want at least %d", got, many-most)
	}
	if got := s.resident() - before; got > 192*mebi && !raced() { // all ten thousand would be 400
		t.Errorf("got %.0f MiB more, want at most 192", got/mebi)
	}
	for i := many - 1; i >= many-100; i-- {
		if status, err := clients[i].ask(post(native)); status != http.StatusOK || err != nil {
			t.Errorf("client %d, one of the last: got %d (%v), want 200", i, status, err)
		}
	}
}

// In a small pod fewer have room; who has been idle longest makes it, and who comes is answered.
func TestE2EManyIdleClientsInASmallPod(t *testing.T) {
	t.Parallel()
	const most = 372 // a quarter of the memory, at 44 KiB each
	many := clientsFor(t, 2000)
	api := newAPI(t)
	s := launchIn(t, []string{"GOMEMLIMIT=64MiB"}, "--upstream.token="+fakeapi.DefaultToken, "--upstream.url="+api.URL(), "--budget=10s")
	s.awaitReady()
	clients := keep(t, s, many)
	s.healthy(api, "among them")
	now := s.metrics()
	if got := now["vitrine_connections"]; got > most+10 {
		t.Errorf("got %v connections, want at most %d", got, most)
	}
	if got := now["vitrine_connections_evicted_total"]; got < float64(many-most) {
		t.Errorf("got %v clients sent away, want at least %d", got, many-most)
	}
	if got := s.resident(); got > 112*mebi && !raced() {
		t.Errorf("got %.0f MiB resident, want at most 112", got/mebi)
	}
	for i := many - 1; i >= many-100; i-- {
		if status, err := clients[i].ask(post(native)); status != http.StatusOK || err != nil {
			t.Errorf("client %d, one of the last: got %d (%v), want 200", i, status, err)
		}
	}
}

// Bodies that are announced and never come hold neither memory nor anybody up.
func TestE2EManySlowBodies(t *testing.T) {
	t.Parallel()
	many := clientsFor(t, 2000)
	api := newAPI(t)
	s := start(t, api.URL())
	s.healthy(api, "before")
	before := s.resident()
	for range many {
		conn := connect(t, s.addr)
		if _, err := io.WriteString(conn, framed("{", "Content-Length: 131072")); err != nil {
			t.Fatal(err)
		}
	}
	s.healthy(api, "among them")
	eventually(t, "all but 512 are sent away", func() bool { return s.metrics()["vitrine_connections"] <= 512+10 })
	// All of them would be 320 MiB; those that were sent away have left garbage.
	if grown := s.resident() - before; grown > 224*mebi && !raced() {
		t.Errorf("got %.0f MiB more, want at most 224", grown/mebi)
	}
	s.settled(2)
}

// Of clients that hang up, as of those that stay, every event that was read is delivered once,
// and nothing is left behind.
func TestE2EHalfOfTheClientsHangUp(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	sick(t, api, fakeapi.Fault{Latency: &fakeapi.Latency{P50: 20 * time.Millisecond, P99: 40 * time.Millisecond}})
	s := start(t, api.URL())
	s.healthy(api, "before")
	before := s.metrics()
	const workers, each = 32, 20
	var answered atomic.Int64
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				conn, err := net.Dial("tcp", s.addr)
				if err != nil {
					t.Error(err)
					return
				}
				request := post(productView(fmt.Sprint("hasty", w), fmt.Sprint("p", i+1)))
				k := kept{conn, bufio.NewReaderSize(conn, 512)}
				if i%2 == 0 {
					_, _ = io.WriteString(conn, request) // and away, whether it was read or not
				} else if status, err := k.ask(request); status == http.StatusOK && err == nil {
					answered.Add(1)
				} else {
					t.Errorf("got %d (%v), want 200", status, err)
				}
				_ = conn.Close()
			}
		})
	}
	group.Wait()
	if got := answered.Load(); got != workers*each/2 {
		t.Errorf("got %d answers, want %d", got, workers*each/2)
	}
	eventually(t, "everything is delivered and everybody gone", func() bool {
		now := s.metrics()
		return now["vitrine_events_pending"] == 0 && now["vitrine_connections"] <= before["vitrine_connections"]+1 &&
			now["go_goroutines"] <= before["go_goroutines"]+70 // idle connections to the API, at most its bulkhead
	})
	now := s.metrics()
	accepted := int(now["vitrine_events_accepted_total"])
	if accepted < int(answered.Load()) || accepted > 1+workers*each {
		t.Errorf("got %d accepted of %d sent, %d of them answered", accepted, 1+workers*each, answered.Load())
	}
	if got := len(api.Ledger()); got != accepted+int(retries(now)) {
		t.Errorf("got %d calls of the API for %d events", got, accepted)
	}
}

// retries adds up the calls that were tried again, for whatever cause.
func retries(metrics map[string]float64) (sum float64) {
	for series, n := range metrics {
		if strings.HasPrefix(series, "vitrine_events_retried_total{") {
			sum += n
		}
	}
	return sum
}

// One processor, 64 MiB, and several times what the API bears: the bulkhead holds, everybody
// gets a list, and every event arrives.
func TestE2EOverloadOfASmallPod(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	sick(t, api, fakeapi.Fault{Latency: &fakeapi.Latency{P50: 30 * time.Millisecond, P99: 60 * time.Millisecond}})
	s := launchIn(t, []string{"GOMEMLIMIT=64MiB", "GOMAXPROCS=1"},
		"--upstream.token="+fakeapi.DefaultToken, "--upstream.url="+api.URL(), "--upstream.max_in_flight=8")
	s.awaitReady()
	const workers, each = 64, 30
	var sources sync.Map
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for i := range each {
				a, err := s.try(productView(fmt.Sprintf("busy%d-%d", w, i), "p1", `"vitrine":{"native":["n1","n2"]}`))
				if err != nil || a.status != http.StatusOK || len(a.products) == 0 {
					t.Errorf("got %v (%v), want a list", a, err)
					return
				}
				count, _ := sources.LoadOrStore(a.source, new(atomic.Int64))
				count.(*atomic.Int64).Add(1)
			}
		})
	}
	group.Wait()
	for _, source := range []string{"api", "native"} {
		if _, some := sources.Load(source); !some {
			t.Errorf("got no answer from %s, want some: this was no overload, or nothing but one", source)
		}
	}
	if got := api.Stats().MaxInFlight; got > 8+1+8 { // a probe, and calls given up that the API has not noticed
		t.Errorf("got %d calls at once, want 8", got)
	}
	if got := s.resident(); got > 112*mebi && !raced() {
		t.Errorf("got %.0f MiB resident, want at most 112", got/mebi)
	}
	s.settled(workers * each)
}
