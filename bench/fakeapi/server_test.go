package fakeapi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

func TestStopRefusesAndStartComesBackAtTheSameAddress(t *testing.T) {
	api := start(t, fakeapi.Options{})
	url := api.URL()
	for range 20 {
		c := client(t, api)
		must(t, c, api, "s", "p1")
		if err := api.Stop(); err != nil {
			t.Fatalf("stopping: %v", err)
		}
		c.CloseIdleConnections() // else the client may find out only after it has sent its call
		if _, err := view(t, c, api, "s", "p1"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("got %v while stopped, want a refused connection", err)
		}
		if err := api.Start(); err != nil {
			t.Fatalf("starting again: %v", err)
		}
	}
	if got := api.URL(); got != url {
		t.Errorf("got %s after all, want %s", got, url)
	}
	if got := api.Stats().Events; got != 20 {
		t.Errorf("got %d events, want the 20 that were answered", got)
	}
}

func TestRefuseFaultClosesTheListener(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	must(t, c, api, "s", "p1")
	set(t, api, fakeapi.Fault{Answer: fakeapi.Refuse})
	c.CloseIdleConnections()
	if _, err := view(t, c, api, "s", "p1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want a refused connection", err)
	}
	if err := api.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := view(t, c, api, "s", "p1"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v after Start, want the fault to hold still", err)
	}
	api.Clear()
	must(t, c, api, "s", "p1")
}

// A script opens and closes the listener by itself, and so does a flapping fault.
func TestListenerFollowsTheScript(t *testing.T) {
	const a, b = 20 * time.Millisecond, 40 * time.Millisecond
	refuse := fakeapi.Fault{Answer: fakeapi.Refuse}
	flap := fakeapi.Fault{Answer: fakeapi.Refuse, Up: a, Down: b}
	for name, script := range map[string]fakeapi.Script{
		"phases":   {Repeat: true, Phases: []fakeapi.Phase{{For: a}, {For: b, Faults: []fakeapi.Fault{refuse}}}},
		"flapping": {Phases: []fakeapi.Phase{{Faults: []fakeapi.Fault{flap}}}},
	} {
		t.Run(name, func(t *testing.T) {
			api := start(t, fakeapi.Options{})
			if err := api.Play(script); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				eventually(t, "a connection is refused", func() bool {
					_, err := view(t, client(t, api), api, "s", "p1")
					return errors.Is(err, syscall.ECONNREFUSED)
				})
				eventually(t, "a call is answered again", func() bool {
					_, err := view(t, client(t, api), api, "s", "p1")
					return err == nil
				})
			}
		})
	}
}

// Close must end calls that would never end, and leave no goroutine behind.
func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	api, err := fakeapi.Start(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 40, 2)}})
	if err != nil {
		t.Fatal(err)
	}
	set(t, api, fakeapi.Fault{Answer: fakeapi.Hang, IdleClose: time.Hour})
	c := client(t, api)
	var calls sync.WaitGroup
	for i := range 20 {
		calls.Go(func() {
			if _, err := view(t, c, api, "s"+strconv.Itoa(i), "p1"); err == nil {
				t.Error("got an answer, want none")
			}
		})
	}
	eventually(t, "all have arrived", func() bool { return api.Stats().Events == 20 })
	if err := api.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	if got := api.Stats(); got.ByOutcome[fakeapi.Hung] != 20 || got.OpenConnections != 0 || got.InFlight != 0 {
		t.Errorf("got %+v, want 20 hung and nothing open", got)
	}
	calls.Wait()
	c.CloseIdleConnections()
	eventually(t, "all goroutines have ended", func() bool { return runtime.NumGoroutine() <= before })
	if err := api.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := api.Start(); err != nil {
		t.Errorf("starting after Close: %v", err)
	}
	if _, err := view(t, client(t, api), api, "s", "p1"); err == nil {
		t.Error("got an answer after Close")
	}
}

func TestStartReportsATakenAddress(t *testing.T) {
	api := start(t, fakeapi.Options{})
	for _, opts := range []fakeapi.Options{{Listen: api.Addr()}, {ControlListen: api.Addr()}} {
		second, err := fakeapi.Start(opts)
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got %v, want a taken address", err)
		}
		if second != nil {
			_ = second.Close()
		}
	}
}

func TestControl(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	control := func(method, path, body string) answer {
		t.Helper()
		a, err := send(c, request(t, method, api.ControlURL()+"/_control/"+path, body))
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, session := range []string{"s", "t", "s"} {
		must(t, c, api, session, "p1")
	}

	for query, want := range map[string][]uint64{"": {1, 2, 3}, "?after=1": {2, 3}, "?session=s": {1, 3}, "?session=s&after=1": {3}, "?session=x": {}} {
		var page fakeapi.LedgerPage
		a := control(http.MethodGet, "ledger"+query, "")
		if err := json.Unmarshal(a.body, &page); err != nil {
			t.Fatal(err)
		}
		got := []uint64{}
		for _, e := range page.Entries {
			got = append(got, e.Seq)
		}
		if page.Events != 3 || len(got) != len(want) {
			t.Errorf("ledger%s: got %v of %d events, want %v of 3", query, got, page.Events, want)
		}
	}
	if a := control(http.MethodGet, "ledger?after=x", ""); a.status != 400 {
		t.Errorf("a number that is none: got %d, want 400", a.status)
	}

	if a := control(http.MethodPost, "script", "phases: [{name: storm, faults: [{status: 500}]}]"); a.status != 204 {
		t.Errorf("a script: got %d %s, want 204", a.status, a.body)
	}
	if a := must(t, c, api, "s", "p1"); a.status != 500 {
		t.Errorf("after it: got %d, want 500", a.status)
	}
	if a := control(http.MethodPost, "script", "phases: [{faults: [{status: 1}]}]"); a.status != 400 || !strings.Contains(string(a.body), "phases[0].faults[0]") {
		t.Errorf("a bad script: got %d %s, want 400 and its place", a.status, a.body)
	}
	var stats fakeapi.Stats
	if a := control(http.MethodGet, "stats", ""); json.Unmarshal(a.body, &stats) != nil || stats.Events != 4 || stats.Phase != "storm" || stats.ByStatus[500] != 1 {
		t.Errorf("got %s, want 4 events, one of them a 500, in the storm", a.body)
	}
	if a := control(http.MethodPost, "reset", ""); a.status != 204 {
		t.Errorf("a reset: got %d, want 204", a.status)
	}
	if a := must(t, c, api, "s", "p1"); a.status != 200 || api.Stats().Events != 1 {
		t.Errorf("after it: got %d and %d events, want 200 and one", a.status, api.Stats().Events)
	}
}
