package fakeapi_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

const outage = `
repeat: true
phases:
  - name: well
    for: 2s
  - name: unwell
    for: 1s
    faults:
      - {status: 503, retry_after: "2", share: 0.5, on: [recommendation]}
      - name: crawling
        latency: {p50: 1.8s, p99: 4.5s}
        delay: 10ms
`

func TestParseScript(t *testing.T) {
	got, err := fakeapi.ParseScript([]byte(outage))
	want := fakeapi.Script{Repeat: true, Phases: []fakeapi.Phase{
		{Name: "well", For: 2 * time.Second},
		{Name: "unwell", For: time.Second, Faults: []fakeapi.Fault{
			{Status: 503, RetryAfter: "2", Share: 0.5, On: []fakeapi.Endpoint{fakeapi.Recommendation}},
			{Name: "crawling", Latency: &fakeapi.Latency{P50: 1800 * time.Millisecond, P99: 4500 * time.Millisecond}, Delay: 10 * time.Millisecond},
		}},
	}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// The sample must be a script, and show every answer.
func TestRehearsal(t *testing.T) {
	text, err := os.ReadFile("rehearsal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	script, err := fakeapi.ParseScript(text)
	if err != nil {
		t.Fatal(err)
	}
	shown := make(map[fakeapi.Answer]bool)
	for _, phase := range script.Phases {
		for _, fault := range phase.Faults {
			shown[fault.Answer] = true
		}
	}
	for _, want := range []fakeapi.Answer{
		fakeapi.Hang, fakeapi.ResetBefore, fakeapi.ResetAfter, fakeapi.Drip, fakeapi.Truncated, fakeapi.ShortBody, fakeapi.HTML,
		fakeapi.Null, fakeapi.EmptyObject, fakeapi.WrongTypes, fakeapi.EmptyList, fakeapi.Huge, fakeapi.GzipBomb, fakeapi.Dirty, fakeapi.Refuse,
	} {
		if !shown[want] {
			t.Errorf("got no phase with the answer %q", want)
		}
	}
}

func TestParseScriptRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"phases: [{nane: x}]", "nane"},
		{"phases: [{name: x, name: y}]", "name"},
		{"phases: [{for: soon}]", "soon"},
		{"phases: [{for: -1s}]", "negative"},
		{"phases: [{name: a}, {name: b, for: 1s}]", "phases[0] lasts"},
		{"repeat: true\nphases: [{name: a}]", "phases[0] lasts"},
		{"phases: [{faults: [{}, {status: 7}]}]", "phases[0].faults[1]: status"},
	} {
		if _, err := fakeapi.ParseScript([]byte(test.text)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: got %v, want an error about %s", test.text, err, test.want)
		}
	}
}

func TestScriptAt(t *testing.T) {
	phases := []fakeapi.Phase{{Name: "a", For: 2 * time.Second}, {Name: "b", For: time.Second}}
	once, again := fakeapi.Script{Phases: phases}, fakeapi.Script{Phases: phases, Repeat: true}
	endless := fakeapi.Script{Phases: []fakeapi.Phase{phases[0], {Name: "z"}}}
	for _, test := range []struct {
		script      fakeapi.Script
		at          time.Duration
		name        string
		since, left time.Duration
	}{
		{once, 0, "a", 0, 2 * time.Second},
		{once, 2*time.Second - 1, "a", 2*time.Second - 1, 1},
		{once, 2 * time.Second, "b", 0, time.Second},
		{once, 3 * time.Second, "", 0, 0},
		{again, 3 * time.Second, "a", 0, 2 * time.Second},
		{again, 65 * time.Second, "b", 0, time.Second},
		{endless, time.Hour, "z", time.Hour - 2*time.Second, 0},
		{fakeapi.Script{}, time.Hour, "", time.Hour, 0},
		{fakeapi.Script{Repeat: true}, time.Hour, "", time.Hour, 0},
	} {
		phase, since, left := test.script.At(test.at)
		if phase.Name != test.name || since != test.since || left != test.left {
			t.Errorf("at %v: got %q %v %v, want %q %v %v", test.at, phase.Name, since, left, test.name, test.since, test.left)
		}
	}
}

// Phases and flapping follow the clock, to the instant.
func TestScriptPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := fakeapi.New(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 40, 2)}})
		if err != nil {
			t.Fatal(err)
		}
		script := fakeapi.Script{Phases: []fakeapi.Phase{
			{Name: "well", For: 10 * time.Second},
			{Name: "flapping", For: 20 * time.Second, Faults: []fakeapi.Fault{{Status: 503, Up: 5 * time.Second, Down: 5 * time.Second}}},
		}}
		if err := api.Play(script); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		for _, test := range []struct {
			at     time.Duration
			status int
			phase  string
		}{
			{0, 200, "well"},
			{14999 * time.Millisecond, 200, "flapping"},
			{15 * time.Second, 503, "flapping"},
			{19999 * time.Millisecond, 503, "flapping"},
			{20 * time.Second, 200, "flapping"},
			{25 * time.Second, 503, "flapping"},
			{30 * time.Second, 200, ""},
		} {
			time.Sleep(test.at - time.Since(began))
			w := httptest.NewRecorder()
			api.ServeHTTP(w, request(t, http.MethodPost, recommendation, eventBody("s", "", fakeapi.CustomShelf, "")))
			ledger := api.Ledger()
			if got := ledger[len(ledger)-1]; w.Code != test.status || got.Phase != test.phase {
				t.Errorf("at %v: got %d in phase %q, want %d in %q", test.at, w.Code, got.Phase, test.status, test.phase)
			}
		}
	})
}
