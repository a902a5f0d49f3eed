package fakeapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

// entryOf waits for the only event of a session to be settled.
func entryOf(t *testing.T, api *fakeapi.Server, session string) (found fakeapi.Entry) {
	t.Helper()
	eventually(t, "the event of "+session+" is settled", func() bool {
		for _, e := range api.Ledger() {
			if e.Session == session {
				found = e
			}
		}
		return found.Seq > 0 && found.Outcome != fakeapi.Pending
	})
	return found
}

func TestBrokenAnswers(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	whole := `{"products":["` + strings.Join(api.Ranking("s", "", fakeapi.ProductView, "p1"), `","`) + `"]}`
	tests := []struct {
		answer fakeapi.Answer
		check  func(a answer) bool
	}{
		{fakeapi.Truncated, func(a answer) bool {
			return string(a.body) == whole[:len(whole)/2] && a.header.Get("Content-Length") == strconv.Itoa(len(whole)/2)
		}},
		{fakeapi.HTML, func(a answer) bool {
			return strings.HasPrefix(a.header.Get("Content-Type"), "text/html") && bytes.HasPrefix(a.body, []byte("<!doctype"))
		}},
		{fakeapi.Null, func(a answer) bool { return string(a.body) == "null" }},
		{fakeapi.EmptyObject, func(a answer) bool { return string(a.body) == "{}" }},
		{fakeapi.WrongTypes, func(a answer) bool { return isJSON(a.body) && a.products == nil }},
		{fakeapi.EmptyList, func(a answer) bool { return string(a.body) == `{"products":[]}` }},
		{fakeapi.Huge, func(a answer) bool {
			return len(a.body) >= 10<<20 && len(slices.Compact(slices.Sorted(slices.Values(a.products)))) == len(a.products) && len(a.products) > 1e5
		}},
		{fakeapi.Dirty, func(a answer) bool {
			wanted := api.Ranking("s", "", fakeapi.ProductView, "p1")
			cleaned := slices.DeleteFunc(slices.Compact(slices.Clone(a.products)), func(id string) bool {
				return id == "p1" || strings.HasPrefix(id, "unknown-")
			})
			return a.products[0] == "p1" && len(a.products) > len(wanted) && slices.Equal(cleaned, wanted)
		}},
	}
	for _, test := range tests {
		t.Run(string(test.answer), func(t *testing.T) {
			set(t, api, fakeapi.Fault{Answer: test.answer})
			if a := must(t, c, api, "s", "p1"); a.status != http.StatusOK || !test.check(a) {
				t.Errorf("got %d %v %.200s", a.status, a.header, a.body)
			}
		})
	}
}

func TestGzipBomb(t *testing.T) {
	api := start(t, fakeapi.Options{})
	set(t, api, fakeapi.Fault{Answer: fakeapi.GzipBomb})
	a := must(t, client(t, api), api, "s", "p1")
	if a.header.Get("Content-Encoding") != "gzip" || len(a.body) > 1<<20 {
		t.Fatalf("got %d bytes %v, want at most a MiB, gzipped", len(a.body), a.header)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, unpacked); n < 256<<20 || err != nil {
		t.Errorf("got %d bytes unpacked, %v, want 256 MiB", n, err)
	}
}

// The connection ends before the body does, and no other call may be sent over it.
func TestShortBody(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	set(t, api, fakeapi.Fault{Answer: fakeapi.ShortBody})
	if a, err := view(t, c, api, "s", "p1"); !errors.Is(err, io.ErrUnexpectedEOF) || len(a.body) == 0 {
		t.Errorf("got %d bytes, %v, want some bytes and an unexpected end", len(a.body), err)
	}
	if e := entryOf(t, api, "s"); e.Outcome != fakeapi.Cut || e.Status != http.StatusOK {
		t.Errorf("got %+v, want a cut 200", e)
	}
}

func TestStatuses(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	for _, test := range []struct{ retryAfter, want string }{{"", ""}, {"7", "7"}, {"86400", "86400"}, {"soon", "soon"}} {
		set(t, api, fakeapi.Fault{Status: 429, RetryAfter: test.retryAfter})
		a := must(t, c, api, "s", "p1")
		if a.status != 429 || a.header.Get("Retry-After") != test.want || !isJSON(a.body) {
			t.Errorf("got %d, Retry-After %q, want 429 and %q", a.status, a.header.Get("Retry-After"), test.want)
		}
	}
	set(t, api, fakeapi.Fault{Status: 503, RetryAfter: "date+30s"})
	before := time.Now().Truncate(time.Second)
	a := must(t, c, api, "s", "p1")
	at, err := http.ParseTime(a.header.Get("Retry-After"))
	if err != nil || at.Before(before.Add(30*time.Second)) || at.After(time.Now().Add(30*time.Second)) {
		t.Errorf("got Retry-After %q, want the time in 30 s", a.header.Get("Retry-After"))
	}
	if got := api.Stats().ByStatus; got[429] != 4 {
		t.Errorf("got counts %v, want four 429", got)
	}
}

func TestHang(t *testing.T) {
	api := start(t, fakeapi.Options{})
	set(t, api, fakeapi.Fault{Answer: fakeapi.Hang})
	ctx, giveUp := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	c := client(t, api)
	r := request(t, http.MethodPost, api.URL()+recommendation, eventBody("s", "", fakeapi.ProductView, "p1")).WithContext(ctx)
	go func() {
		_, err := send(c, r)
		failed <- err
	}()
	eventually(t, "the event has arrived", func() bool { return api.Stats().ByOutcome[fakeapi.Pending] == 1 })
	giveUp()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want no answer", err)
	}
	if e := entryOf(t, api, "s"); e.Outcome != fakeapi.Hung || e.Status != 0 || e.Fault != "hang" {
		t.Errorf("got %+v, want it hung", e)
	}
}

func TestResets(t *testing.T) {
	for _, opts := range []fakeapi.Options{{}, {TLS: true}} {
		api := start(t, opts)
		set(t, api, fakeapi.Fault{Answer: fakeapi.ResetAfter})
		if _, err := view(t, client(t, api), api, "after", "p1"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("after reading: got %v, want a reset", err)
		}
		if e := entryOf(t, api, "after"); e.Outcome != fakeapi.Reset {
			t.Errorf("got %+v, want it reset", e)
		}
		set(t, api, fakeapi.Fault{Answer: fakeapi.ResetBefore})
		if _, err := view(t, client(t, api), api, "before", "p1"); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("before reading: got %v, want a reset", err)
		}
		if stats := api.Stats(); stats.Events != 1 || stats.Unread != 1 {
			t.Errorf("got %+v, want one event and one unread", stats)
		}
		eventually(t, "the connections are gone", func() bool { return api.Stats().OpenConnections == 0 })
	}
}

// The client sees the first bytes long before the last would come.
func TestDrip(t *testing.T) {
	api := start(t, fakeapi.Options{})
	set(t, api, fakeapi.Fault{Answer: fakeapi.Drip})
	r := request(t, http.MethodPost, api.URL()+recommendation, eventBody("s", "", fakeapi.ProductView, "p1"))
	response, err := client(t, api).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 3)
	if _, err := io.ReadFull(response.Body, first); err != nil || string(first) != `{"p` {
		t.Errorf("got %q, %v, want the start of the answer", first, err)
	}
	if e := api.Ledger()[0]; e.Outcome != fakeapi.Pending {
		t.Errorf("got %+v, want it still under way", e)
	}
	_ = response.Body.Close()
	if e := entryOf(t, api, "s"); e.Outcome != fakeapi.Cut {
		t.Errorf("got %+v, want it cut", e)
	}
}

func TestDripTakesItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := fakeapi.New(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 400, 8)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := api.Set(fakeapi.Fault{Answer: fakeapi.Drip}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		w := httptest.NewRecorder()
		api.ServeHTTP(w, request(t, http.MethodPost, recommendation, eventBody("s", "", fakeapi.ShopTheLook, "p1")))
		if got, want := time.Since(began), time.Duration(w.Body.Len())*50*time.Millisecond; got != want || !isJSON(w.Body.Bytes()) {
			t.Errorf("got %d bytes after %v, want them after %v", w.Body.Len(), got, want)
		}
	})
}

// The last answer on the connection must not give the end away.
func TestCloseAfter(t *testing.T) {
	api := start(t, fakeapi.Options{})
	c := client(t, api)
	set(t, api, fakeapi.Fault{CloseAfter: 3})
	for i := range 3 {
		a := must(t, c, api, "s", "p1")
		if announced := a.header.Get("Connection") == "close"; a.reused != (i > 0) || announced {
			t.Errorf("call %d: got a reused connection %t, its end announced %t, want %t and false", i, a.reused, announced, i > 0)
		}
	}
	eventually(t, "the connection is closed", func() bool { return api.Stats().OpenConnections == 0 })
}

func TestIdleClose(t *testing.T) {
	api := start(t, fakeapi.Options{})
	must(t, client(t, api), api, "s", "p1")
	set(t, api, fakeapi.Fault{IdleClose: time.Millisecond})
	eventually(t, "the connection that was idle before is closed", func() bool { return api.Stats().OpenConnections == 0 })
	must(t, client(t, api), api, "s", "p1")
	eventually(t, "a later one is closed", func() bool { return api.Stats().OpenConnections == 0 })
}

func TestSharesAndEndpoints(t *testing.T) {
	api := start(t, fakeapi.Options{Seed: 3, People: 1})
	c := client(t, api)
	set(t, api,
		fakeapi.Fault{Status: 503, Share: 0.3, On: []fakeapi.Endpoint{fakeapi.Recommendation}},
		fakeapi.Fault{Status: 429, On: []fakeapi.Endpoint{fakeapi.Profile}},
	)
	const calls = 1000
	for i := range calls {
		must(t, c, api, "s", "p"+strconv.Itoa(i))
	}
	if got := api.Stats().ByStatus[503]; got < calls*25/100 || got > calls*35/100 {
		t.Errorf("got %d of %d refused, want about 30 %%", got, calls)
	}
	a, err := send(c, request(t, http.MethodGet, api.URL()+"/api/v1/crm/protected/profile/email/"+fakeapi.PersonN(0).Email, ""))
	if err != nil || a.status != 429 {
		t.Errorf("got %d, %v for the profile, want 429", a.status, err)
	}
	a, err = send(c, request(t, http.MethodGet, api.URL()+"/api/v1/products/protected/sales-ranking", ""))
	if err != nil || a.status != 200 {
		t.Errorf("got %d, %v for the sales ranking, want 200", a.status, err)
	}
}

func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, err := fakeapi.New(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: shopdata.New(1, 40, 2)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := api.Set(fakeapi.Fault{Latency: &fakeapi.Latency{P50: 2 * time.Second}, Delay: time.Second, Share: 0.05}); err != nil {
			t.Fatal(err)
		}
		slow := 0
		for range 2000 {
			began := time.Now()
			api.ServeHTTP(httptest.NewRecorder(), request(t, http.MethodPost, recommendation, eventBody("s", "", fakeapi.CustomShelf, "")))
			switch took := time.Since(began); took {
			case 0:
			case 3 * time.Second:
				slow++
			default:
				t.Fatalf("got an answer after %v, want 0 or 3 s", took)
			}
		}
		if slow < 70 || slow > 130 {
			t.Errorf("got %d of 2000 slow, want about 100", slow)
		}
	})
}

func TestCertificates(t *testing.T) {
	api := start(t, fakeapi.Options{TLS: true})
	c := client(t, api)
	must(t, c, api, "s", "p1")

	set(t, api, fakeapi.Fault{Certificate: fakeapi.Expired})
	eventually(t, "the connections of before are closed", func() bool { return api.Stats().OpenConnections == 0 })
	c.CloseIdleConnections()
	var invalid x509.CertificateInvalidError
	if _, err := view(t, c, api, "s", "p1"); !errors.As(err, &invalid) || invalid.Reason != x509.Expired {
		t.Errorf("got %v, want an expired certificate", err)
	}
	set(t, api, fakeapi.Fault{Certificate: fakeapi.WrongHost})
	c.CloseIdleConnections()
	var foreign x509.HostnameError
	if _, err := view(t, c, api, "s", "p1"); !errors.As(err, &foreign) {
		t.Errorf("got %v, want the certificate of another host", err)
	}
	api.Clear()
	c.CloseIdleConnections()
	must(t, c, api, "s", "p1")

	if len(api.CAPEM()) == 0 || !strings.HasPrefix(api.URL(), "https://") {
		t.Errorf("got URL %s and %d bytes of authority", api.URL(), len(api.CAPEM()))
	}
}

func TestFaultsThatMakeNoSense(t *testing.T) {
	api := start(t, fakeapi.Options{})
	set(t, api, fakeapi.Fault{Status: 503})
	for _, test := range []struct {
		fault fakeapi.Fault
		want  string
	}{
		{fakeapi.Fault{Share: 1.5}, "share"},
		{fakeapi.Fault{Share: -0.1}, "share"},
		{fakeapi.Fault{Up: time.Second}, "up and down"},
		{fakeapi.Fault{Status: 200}, "status"},
		{fakeapi.Fault{Status: 503, Answer: fakeapi.Hang}, "exclude"},
		{fakeapi.Fault{RetryAfter: "7"}, "retry_after"},
		{fakeapi.Fault{Delay: -1}, "delay"},
		{fakeapi.Fault{Latency: &fakeapi.Latency{P50: 2, P99: 1}}, "p50"},
		{fakeapi.Fault{Answer: "nonsense"}, `"nonsense"`},
		{fakeapi.Fault{On: []fakeapi.Endpoint{"elsewhere"}}, `"elsewhere"`},
		{fakeapi.Fault{Certificate: "forged"}, `"forged"`},
		{fakeapi.Fault{Answer: fakeapi.Refuse, Share: 0.5}, "share and on"},
		{fakeapi.Fault{Certificate: fakeapi.Expired}, "TLS"},
	} {
		if err := api.Set(test.fault); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want an error about %s", test.fault, err, test.want)
		}
	}
	if a := must(t, client(t, api), api, "s", "p1"); a.status != 503 {
		t.Errorf("got %d, want the fault from before", a.status)
	}
}
