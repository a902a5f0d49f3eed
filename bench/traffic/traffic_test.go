package traffic_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

func requests(m traffic.Model, pages int) []load.Due[traffic.Request] {
	c := traffic.NewCrowd(m, shopdata.New(1, 2000, 40), 5)
	at := load.Arrivals{Curve: load.Constant(float64(pages), time.Second), Even: true}
	return slices.Collect(c.Requests(at.All()))
}

func TestCrowdRepeatsWithItsSeed(t *testing.T) {
	m := traffic.Default()
	if got, want := requests(m, 300), requests(m, 300); !reflect.DeepEqual(got, want) {
		t.Error("got other requests from the same seed")
	}
}

func TestDoubleFireSendsEverythingTwice(t *testing.T) {
	m := traffic.Default()
	m.DoubleFire = 1
	all := requests(m, 200)
	count := make(map[string]int)
	last := time.Duration(0)
	for _, d := range all {
		if d.At < last {
			t.Fatalf("got a request due at %v behind one at %v", d.At, last)
		}
		last = d.At
		count[d.What.Session+d.What.Type+d.What.ID]++
	}
	for key, n := range count {
		if n%2 != 0 {
			t.Errorf("got %s %d times, want an even number", key, n)
		}
	}
}

func TestBodyIsWhatTheSidecarReads(t *testing.T) {
	r := traffic.Request{
		Session: "s\"1\\", User: "ü", Type: "productView", ID: "p1",
		Native: []string{"p2", "p\n3"}, Limit: 24, Complete: true,
	}
	var got struct {
		UserID, SessionID, EventType string
		Data                         struct{ ID string }
		Vitrine                      struct {
			Native   []string
			Limit    int
			Complete bool
		}
	}
	if err := json.Unmarshal(r.AppendBody(nil), &got); err != nil {
		t.Fatalf("got %v for %s", err, r.AppendBody(nil))
	}
	if got.SessionID != r.Session || got.UserID != r.User || got.Data.ID != r.ID || !slices.Equal(got.Vitrine.Native, r.Native) || got.Vitrine.Limit != 24 || !got.Vitrine.Complete {
		t.Errorf("got %+v, want %+v", got, r)
	}
}

// Every trace that is written is read again, request for request.
func TestTraceRoundTrip(t *testing.T) {
	want := requests(traffic.Default(), 100)
	var text []byte
	for i := range want {
		want[i].At = want[i].At.Truncate(time.Microsecond)
		want[i].What.Bot = false // the storefront does not know
		text = traffic.AppendTrace(text, want[i])
	}
	got, err := traffic.ReadTrace(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		near := got[i].At - want[i].At
		got[i].At = want[i].At
		if near > time.Microsecond || near < -time.Microsecond || !reflect.DeepEqual(got[i], want[i]) {
			t.Fatalf("line %d: got %+v, want %+v", i+1, got[i], want[i])
		}
	}
}

func TestTraceRefusesNonsense(t *testing.T) {
	for _, text := range []string{
		"{", `{"at":1}`, `{"at":-1,"sessionId":"s","eventType":"e"}`, `{"at":1e300,"sessionId":"s","eventType":"e"}`,
		`{"at":2,"sessionId":"s","eventType":"e"}` + "\n" + `{"at":1,"sessionId":"s","eventType":"e"}`,
	} {
		if got, err := traffic.ReadTrace(bytes.NewReader([]byte(text))); err == nil {
			t.Errorf("got %v for %s, want an error", got, text)
		}
	}
}

func TestModelReportsEveryMistake(t *testing.T) {
	m := traffic.Default()
	if err := m.Validate(); err != nil {
		t.Errorf("got %v for the default, want none", err)
	}
	m.Bots, m.Repeat, m.Limit = 2, -1, -1
	err := m.Validate()
	if err == nil || bytes.Count([]byte(err.Error()), []byte("\n")) != 2 {
		t.Errorf("got %v, want three mistakes", err)
	}
}
