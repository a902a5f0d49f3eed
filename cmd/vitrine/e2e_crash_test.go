package main_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/internal/journal"
)

// crowd is shoppers who ask one question after the other, each in a session of their
// own, 200 a second together, and note what was accepted: an answer has come with the
// id of its event.
type crowd struct {
	s       *sidecar
	members string // of every question
	pace    *time.Ticker

	mu       sync.Mutex
	accepted map[string][]string // ids of the products asked for, by session
	total    int
	failed   []string
}

func newCrowd(s *sidecar, members string) *crowd {
	c := &crowd{s: s, members: members, pace: time.NewTicker(5 * time.Millisecond), accepted: make(map[string][]string)}
	s.t.Cleanup(c.pace.Stop)
	return c
}

// shop lets so many shoppers ask until each has done so n times, has failed, or leave is closed.
func (c *crowd) shop(shoppers, n int, leave <-chan struct{}) {
	var all sync.WaitGroup
	for shopper := range shoppers {
		all.Go(func() {
			for range n {
				select {
				case <-leave:
					return
				case <-c.pace.C:
				}
				if !c.ask(fmt.Sprint("shopper ", shopper)) {
					return
				}
			}
		})
	}
	all.Wait()
}

func (c *crowd) ask(session string) bool {
	c.mu.Lock()
	c.total++
	id := fmt.Sprint("p", c.total)
	c.mu.Unlock()
	a, err := c.s.try(productView(session, id, c.members))
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil || a.status != http.StatusOK || a.event == "" {
		c.failed = append(c.failed, fmt.Sprint(a, err))
		return err == nil
	}
	c.accepted[session] = append(c.accepted[session], id)
	return true
}

func (c *crowd) answered() (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ids := range c.accepted {
		n += len(ids)
	}
	return n
}

// received waits until the API has had every accepted event, and holds the order of
// their first arrivals and the number of repetitions against what is promised.
func (c *crowd) received(t *testing.T, api *fakeapi.API, mostTwice int) {
	t.Helper()
	arrivals := func() map[string][]string {
		first := make(map[string][]string)
		for _, e := range api.Ledger() {
			if !slices.Contains(first[e.Session], e.ID) {
				first[e.Session] = append(first[e.Session], e.ID)
			}
		}
		return first
	}
	eventually(t, "every accepted event has been received", func() bool {
		first := arrivals()
		for session, ids := range c.accepted {
			for _, id := range ids {
				if !slices.Contains(first[session], id) {
					return false
				}
			}
		}
		return true
	})
	first, unique := arrivals(), 0
	for session, ids := range c.accepted {
		got := slices.DeleteFunc(first[session], func(id string) bool { return !slices.Contains(ids, id) })
		unique += len(first[session])
		if !slices.Equal(got, ids) {
			t.Errorf("%s: got %q received first in this order, want %q", session, got, ids)
		}
	}
	if twice := len(api.Ledger()) - unique; twice > mostTwice {
		t.Errorf("got %d of %d events twice, want at most %d", twice, unique, mostTwice)
	} else {
		t.Logf("%d events received, %d of them twice", unique, twice)
	}
}

// A kill -9 under load, amid the replay of an outage, loses nothing that was accepted.
func TestE2EKill(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	sick(t, api, fakeapi.Fault{Delay: 20 * time.Millisecond})
	c := newCrowd(s, own)
	var background sync.WaitGroup
	background.Go(func() { c.shop(8, 1_000_000, nil) })
	meanwhile := func(events int) {
		t.Helper()
		upTo := c.answered() + events
		eventually(t, "there is traffic", func() bool { return c.answered() > upTo })
	}
	meanwhile(300)
	if err := api.Stop(); err != nil {
		t.Fatal(err)
	}
	meanwhile(40)
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	delivered := s.metrics()["vitrine_events_delivered_total"]
	eventually(t, "delivery goes on", func() bool { return s.metrics()["vitrine_events_delivered_total"] > delivered })
	meanwhile(40)
	s.kill()
	background.Wait()

	again := start(t, api.URL(), "--outbox.dir="+s.outbox)
	c.received(t, api.API, c.answered()/20)
	eventually(t, "nothing is pending", func() bool {
		now := again.metrics()
		again.balanced(now)
		return now["vitrine_events_pending"] == 0
	})
}

// While the clients go, nobody is turned away; then the process ends as one that was told to.
func TestE2ETermination(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	c := newCrowd(s, own)
	leave := make(chan struct{})
	var background sync.WaitGroup
	background.Go(func() { c.shop(8, 1_000_000, leave) })
	eventually(t, "there is traffic", func() bool { return c.answered() > 100 })
	if err := s.process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	upTo := c.answered() + 50
	eventually(t, "there is traffic still", func() bool { return c.answered() > upTo })
	close(leave)
	background.Wait()
	if len(c.failed) > 0 {
		t.Errorf("got %d requests failed, want none: %s", len(c.failed), c.failed[0])
	}
	if code := s.stop(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	c.received(t, api.API, 0)
	report, err := journal.Inspect(s.outbox)
	if err != nil {
		t.Fatal(err)
	}
	for _, segment := range report.Segments {
		if segment.Pending > 0 {
			t.Errorf("got %+v left in the journal, want nothing pending", segment)
		}
	}
}

// Clients that never go do not hold the process up.
func TestE2ETerminationAmongStayingClients(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	connect(t, s.addr) // and stays
	c := newCrowd(s, own)
	var background sync.WaitGroup
	background.Go(func() { c.shop(4, 1_000_000, nil) })
	eventually(t, "there is traffic", func() bool { return c.answered() > 100 })
	began := time.Now()
	if code := s.stop(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("got the end %v after SIGTERM, want it within 10s", took)
	}
	background.Wait()
	for _, failure := range c.failed {
		if !strings.HasPrefix(failure, "0 ") { // a connection's end
			t.Errorf("got the answer %s, want none but good ones", failure)
		}
	}
	c.received(t, api.API, 0)
}

// What an outage leaves undelivered at SIGTERM stays in the journal, and is said to.
func TestE2ETerminationInAnOutage(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	if err := api.Stop(); err != nil {
		t.Fatal(err)
	}
	s := start(t, api.URL())
	c := newCrowd(s, own)
	c.shop(4, 5, nil)
	if code := s.stop(); code != 0 {
		t.Errorf("got exit code %d, want 0", code)
	}
	log := s.log.String()
	if !strings.Contains(log, `"events":20`) || !strings.Contains(log, s.outbox) {
		t.Errorf("got nothing in the log of 20 events in %s:\n%s", s.outbox, log)
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	again := start(t, api.URL(), "--outbox.dir="+s.outbox)
	c.received(t, api.API, 0)
	again.settled(20)
}

// ends waits for a sidecar that cannot start, and returns its exit code.
func (s *sidecar) ends() int {
	s.t.Helper()
	select {
	case <-s.exited:
	case <-time.After(patience):
		s.t.Fatalf("got a sidecar that goes on:\n%s", s.log)
	}
	return s.code
}

func TestE2EOneProcessPerOutbox(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	first := start(t, api.URL())
	second := launch(t, api.URL(), "--outbox.dir="+first.outbox)
	if code := second.ends(); code != 1 {
		t.Errorf("got exit code %d, want 1", code)
	}
	if log := second.log.String(); !strings.Contains(log, first.outbox) {
		t.Errorf("got %s, want an error that names the folder", log)
	}
	want(t, "the first", first.ask(good), "api", "", api.Ranking("hostile", "", fakeapi.ProductView, "p1"))
}

// Of a damaged segment what comes before the damage is delivered, and the file is kept.
func TestE2EDamagedOutbox(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	if err := api.Stop(); err != nil {
		t.Fatal(err)
	}
	s := start(t, api.URL())
	for i := range 20 {
		s.ask(productView("s", fmt.Sprint("p", i)))
	}
	s.kill()
	segments, err := filepath.Glob(filepath.Join(s.outbox, "*.seg"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("got segments %q, %v", segments, err)
	}
	content, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(content), `"id":"p10"`)
	content[at] ^= 0xff
	if err := os.WriteFile(segments[0], content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	again := start(t, api.URL(), "--outbox.dir="+s.outbox)
	again.settled(10)
	got := items(api.API, "s")
	if len(got) != 10 || got[0] != "p0" || got[9] != "p9" {
		t.Errorf("got %q delivered, want p0 to p9", got)
	}
	if got := again.metrics()["vitrine_journal_damaged_segments"]; got != 1 {
		t.Errorf("got %v damaged segments, want 1", got)
	}
	want(t, "a new event", again.ask(good), "api", "", api.Ranking("hostile", "", fakeapi.ProductView, "p1"))
	if aside, _ := filepath.Glob(filepath.Join(s.outbox, "*.damaged")); len(aside) != 1 {
		t.Errorf("got %q set aside, want the damaged segment", aside)
	}
}

// A folder that cannot be had costs the events' safety, not the shop.
func TestE2EUnwritableOutbox(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "folder")} {
		s := start(t, api.URL(), "--outbox.dir="+dir)
		got := s.ask(productView(dir, "p1"))
		want(t, dir, got, "api", "", api.Ranking(dir, "", fakeapi.ProductView, "p1"))
		if got.event == "" {
			t.Errorf("%s: got no event, want memory to take it", dir)
		}
		if log := s.log.String(); !strings.Contains(log, `"level":"ERROR"`) || !strings.Contains(log, "memory") {
			t.Errorf("%s: got no error in the log:\n%s", dir, log)
		}
		s.settled(1)
	}
	s := start(t, api.URL(), "--outbox.dir=memory")
	s.ask(productView("by choice", "p1"))
	if log := s.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("by choice: got an error in the log:\n%s", log)
	}
	if _, err := os.Stat("memory"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want no folder of that name", err)
	}
}
