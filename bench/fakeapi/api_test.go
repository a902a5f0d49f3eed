package fakeapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

func TestAnswerIsTheRankingOfItsSession(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	for _, question := range [][4]string{
		{"s1", "", fakeapi.ProductView, "p1"},
		{"s2", "", fakeapi.ProductView, "p1"},
		{"s1", "90", fakeapi.ProductView, "p1"},
		{"s1", "", fakeapi.ProductView, "p2"},
		{"s1", "", fakeapi.CategoryView, "c3"},
		{"s1", "", fakeapi.ShopTheLook, "p1"},
		{"s1", "", fakeapi.CustomShelf, ""},
		{"s1", "", fakeapi.ProductView, "id789"},
	} {
		a, err := send(c, request(t, http.MethodPost, api.URL()+recommendation, eventBody(question[0], question[1], question[2], question[3])))
		want := api.Ranking(question[0], question[1], question[2], question[3])
		if err != nil || a.status != http.StatusOK || !slices.Equal(a.products, want) || len(want) == 0 {
			t.Errorf("%q: got %d %v %v, want 200 %v", question, a.status, a.products, err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	good := eventBody("s", "", fakeapi.ProductView, "p1")
	tests := []struct {
		name, body    string
		change        func(*http.Request)
		status        int
		message       string // part of the body
		longShape     bool   // has statusCode
		messageIsList bool
	}{
		{name: "no token", body: good, change: func(r *http.Request) { r.Header.Del(fakeapi.TokenHeader) }, status: 401, message: "Unauthorized"},
		{name: "another token", body: good, change: func(r *http.Request) { r.Header.Set(fakeapi.TokenHeader, "x") }, status: 401, message: "Unauthorized"},
		{name: "no content type", body: good, change: func(r *http.Request) { r.Header.Del("Content-Type") }, status: 415, message: "Content-Type", longShape: true},
		{name: "another path", body: good, change: func(r *http.Request) { r.URL.Path = "/api" }, status: 404, message: "Cannot POST /api", longShape: true},
		{name: "another method", body: "", change: func(r *http.Request) { r.Method = http.MethodGet }, status: 404, message: "Cannot GET", longShape: true},
		{name: "too long", body: strings.Repeat(" ", 2<<20), status: 413, message: "too large", longShape: true},
		{name: "not JSON", body: `{"sessionId":`, message: "malformed"},
		{name: "not an object", body: `[]`, message: "must be an object"},
		{name: "more after it", body: good + "{}", message: "something after"},
		{name: "no session", body: `{"eventType":"productView","data":{"id":"p1"}}`, message: "sessionId should not be empty"},
		{name: "empty session", body: eventBody("", "", fakeapi.ProductView, "p1"), message: "sessionId should not be empty"},
		{name: "unknown type", body: eventBody("s", "", "purchase", "p1"), message: "eventType must be one of"},
		{name: "no data", body: `{"sessionId":"s","eventType":"customShelf"}`, message: "data must be an object"},
		{name: "no id", body: `{"sessionId":"s","eventType":"customShelf","data":{}}`, message: "data.id must be a string"},
		{name: "empty id", body: eventBody("s", "", fakeapi.CategoryView, ""), message: "data.id should not be empty"},
		{name: "an id for the shelf", body: eventBody("s", "", fakeapi.CustomShelf, "p1"), message: "empty string for customShelf"},
		{name: "number as id", body: `{"sessionId":"s","eventType":"productView","data":{"id":7}}`, message: "id must be a string"},
		{name: "number as user", body: `{"userId":90,"sessionId":"s","eventType":"productView","data":{"id":"p1"}}`, message: "userId must be a string"},
		{name: "null as user", body: `{"userId":null,"sessionId":"s","eventType":"productView","data":{"id":"p1"}}`, message: "userId must be a string"},
		{name: "member of our own", body: `{"sessionId":"s","eventType":"productView","data":{"id":"p1"},"vitrine":{}}`, message: "property vitrine should not exist"},
		{name: "member in data", body: `{"sessionId":"s","eventType":"productView","data":{"id":"p1","x":1}}`, message: "property data.x should not exist"},
		{name: "twice", body: `{"sessionId":"s","sessionId":"t","eventType":"productView","data":{"id":"p1"}}`, message: "given twice"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.status == 0 {
				test.status, test.longShape, test.messageIsList = 400, true, true
			}
			r := request(t, http.MethodPost, api.URL()+recommendation, test.body)
			if test.change != nil {
				test.change(r)
			}
			a, err := send(c, r)
			if err != nil || a.status != test.status || !strings.Contains(string(a.body), test.message) {
				t.Fatalf("got %d %s %v, want %d and %q", a.status, a.body, err, test.status, test.message)
			}
			var shape map[string]any
			if err := json.Unmarshal(a.body, &shape); err != nil {
				t.Fatal(err)
			}
			_, long := shape["statusCode"]
			_, list := shape["message"].([]any)
			if long != test.longShape || list != test.messageIsList {
				t.Errorf("got shape %s, want statusCode %t, a list of messages %t", a.body, test.longShape, test.messageIsList)
			}
		})
	}
}

func TestColdSessions(t *testing.T) {
	api := start(t, fakeapi.Options{ColdEvents: 2})
	c := client(t, api)
	for i, want := range []int{0, 0, 24, 24} {
		a := must(t, c, api, "s", "p"+strconv.Itoa(i+1))
		if len(a.products) != want || !strings.HasPrefix(string(a.body), `{"products":[`) {
			t.Errorf("event %d: got %s, want %d products", i+1, a.body, want)
		}
	}
	if a := must(t, c, api, "t", "p1"); len(a.products) != 0 {
		t.Errorf("another session: got %d products, want none", len(a.products))
	}
	api.Reset()
	if a := must(t, c, api, "s", "p1"); len(a.products) != 0 {
		t.Errorf("after a reset: got %d products, want none", len(a.products))
	}
}

// The counts must be exact and the numbers without gaps, whoever asks at once.
func TestLedgerIsExactUnderConcurrency(t *testing.T) {
	const clients, each, kept = 16, 50, 300
	api := start(t, fakeapi.Options{MaxLedger: kept})
	c := client(t, api)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			for j := range each {
				if _, err := view(t, c, api, "s"+strconv.Itoa(i), "p"+strconv.Itoa(j+1)); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()

	eventually(t, "all are answered", func() bool { return api.Stats().InFlight == 0 })
	stats := api.Stats()
	const total = clients * each
	if stats.Events != total || stats.ByType[fakeapi.ProductView] != total || stats.ByStatus[200] != total ||
		stats.ByOutcome[fakeapi.Answered] != total || stats.Calls[fakeapi.Recommendation] != total {
		t.Errorf("got %+v, want %d everywhere", stats, total)
	}
	if stats.Forgotten != total-kept {
		t.Errorf("got %d forgotten, want %d", stats.Forgotten, total-kept)
	}
	if stats.MaxInFlight < 1 || stats.MaxInFlight > clients {
		t.Errorf("got at most %d in flight, want 1 to %d", stats.MaxInFlight, clients)
	}
	entries := api.Ledger()
	if len(entries) != kept {
		t.Fatalf("got %d entries, want %d", len(entries), kept)
	}
	for i, e := range entries {
		if want := uint64(total - kept + i + 1); e.Seq != want || e.Outcome != fakeapi.Answered || e.Settled.Before(e.At) {
			t.Fatalf("entry %d: got %+v, want number %d, answered", i, e, want)
		}
	}
}

func TestEntrySaysWhoAskedWhat(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	r := request(t, http.MethodPost, api.URL()+recommendation, eventBody("s", "90", fakeapi.ShopTheLook, "p9"))
	r.Header.Set("Traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	if _, err := send(c, r); err != nil {
		t.Fatal(err)
	}
	must(t, c, api, "t", "p1")
	eventually(t, "both are answered", func() bool { return api.Stats().ByOutcome[fakeapi.Answered] == 2 })
	entries := api.Ledger()
	for i := range entries {
		entries[i].At, entries[i].Settled = time.Time{}, time.Time{}
	}
	want := []fakeapi.Entry{
		{
			Seq: 1, Session: "s", User: "90", Type: "shopTheLook", ID: "p9", Conn: 1, Call: 1, Status: 200, Products: 6,
			Outcome: fakeapi.Answered, Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		},
		{Seq: 2, Session: "t", Type: "productView", ID: "p1", Conn: 1, Call: 2, Status: 200, Products: 24, Outcome: fakeapi.Answered},
	}
	if !slices.Equal(entries, want) {
		t.Errorf("got  %+v\nwant %+v", entries, want)
	}
	if got := api.LedgerSince(1); len(got) != 1 || got[0].Seq != 2 {
		t.Errorf("got %+v since 1, want entry 2", got)
	}
}

// A handler needs no socket: in a bubble the latency is exact.
func TestLatencyInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := fakeapi.New(fakeapi.Options{
			Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 40, 2)},
			Latency:  fakeapi.Latency{P50: 180 * time.Millisecond},
		})
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w := httptest.NewRecorder()
		api.ServeHTTP(w, request(t, http.MethodPost, recommendation, eventBody("s", "", fakeapi.CategoryView, "c1")))
		if got, want := time.Since(began), 180*time.Millisecond; got != want || w.Code != http.StatusOK {
			t.Errorf("got %d after %v, want 200 after %v", w.Code, got, want)
		}
	})
}

// The quantiles of many calls must be those asked for, and the same for one seed.
func TestLatencyIsLognormalAndRepeatable(t *testing.T) {
	sample := func(t *testing.T) (took []time.Duration) {
		t.Helper()
		synctest.Test(t, func(t *testing.T) {
			opts := fakeapi.Realistic()
			opts.Rankings.Catalogue, opts.ColdEvents = shopdata.New(1, 40, 2), 0
			api, err := fakeapi.New(opts)
			if err != nil {
				t.Fatal(err)
			}
			for range 4000 {
				began := time.Now()
				api.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodPost, recommendation, eventBody("s", "", fakeapi.CategoryView, "c1")))
				took = append(took, time.Since(began))
			}
		})
		return took
	}
	a, b := sample(t), sample(t)
	if !slices.Equal(a, b) {
		t.Error("got two different series from one seed")
	}
	slices.Sort(a)
	near := func(name string, got, want time.Duration) {
		if ratio := float64(got) / float64(want); ratio < 0.93 || ratio > 1.07 {
			t.Errorf("got %s %v, want %v ± 7 %%", name, got, want)
		}
	}
	near("median", a[len(a)/2], 180*time.Millisecond)
	near("99th percentile", a[len(a)*99/100], 450*time.Millisecond)
}

func TestOptionsReportEverything(t *testing.T) {
	_, err := fakeapi.New(fakeapi.Options{
		ColdEvents: -1, People: -1, MaxLedger: -1,
		Latency:        fakeapi.Latency{P50: 2, P99: 1},
		ProfileLatency: fakeapi.Latency{P50: -1},
		Rankings:       fakeapi.Rankings{Lengths: map[string]int{fakeapi.CustomShelf: -1}},
	})
	for _, want := range []string{"ColdEvents", "People", "MaxLedger", "option Latency:", "ProfileLatency", "customShelf"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want it to name %s", err, want)
		}
	}
}

// The mean of a lognormal distribution lies above its median by half its variance.
func TestLatencyMean(t *testing.T) {
	if got, want := (fakeapi.Latency{P50: 100 * time.Millisecond}).Mean(), 100*time.Millisecond; got != want {
		t.Errorf("got %v without a spread, want %v", got, want)
	}
	// The logarithm of 2.5 over the 99th percentile of the normal distribution is 0.3939.
	got, want := fakeapi.Latency{P50: 60 * time.Millisecond, P99: 150 * time.Millisecond}.Mean(), 64840*time.Microsecond
	if got.Round(10*time.Microsecond) != want {
		t.Errorf("got %v, want %v", got, want)
	}
}
