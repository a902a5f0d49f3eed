package fakeapi_test

import (
	"bytes"
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

// Whatever script is accepted passes as a clock would show it: at any time it is in one
// phase, which began and ends when the phases' lengths say; and written down it is the
// same script again.
func FuzzScript(f *testing.F) {
	for _, text := range []string{
		"phases: [{for: 10s}, {name: down, for: 1m, faults: [{answer: refuse}]}, {faults: [{status: 503, retry_after: date+30s, share: 0.5}]}]",
		"{repeat: true, phases: [{for: 1ns}, {for: 2540400h, faults: [{up: 1s, down: 1s, answer: hang, on: [lists]}]}]}",
		"phases: [{for: 1s, faults: [{latency: {p50: 180ms, p99: 450ms}, delay: 1h, name: 'é # x'}]}]",
		"{repeat: true, phases: [{for: 2540400h}, {for: 2540400h}]}",
		"phases: [{for: -1s}]",
		"&a {phases: [*a]}",
	} {
		f.Add([]byte(text), int64(time.Minute))
	}
	f.Fuzz(func(t *testing.T, text []byte, at int64) {
		script, err := fakeapi.ParseScript(text)
		if err != nil {
			return
		}
		elapsed := time.Duration(at & math.MaxInt64)
		phase, since, left := script.At(elapsed)
		if since < 0 || since > elapsed || left < 0 || left > 0 && since+left != phase.For || left == 0 && phase.For != 0 {
			t.Errorf("got %+v since %v, for %v more, at %v", phase, since, left, elapsed)
		}
		if left > 1 {
			if same, later, less := script.At(elapsed + left - 1); elapsed+left > 0 && (!reflect.DeepEqual(same, phase) || later != phase.For-1 || less != 1) {
				t.Errorf("got %+v since %v, for %v more, just before the end of %+v", same, later, less, phase)
			}
		}
		written, err := yaml.Dump(script)
		if err != nil {
			t.Fatal(err)
		}
		script, err = fakeapi.ParseScript(written)
		if err != nil {
			t.Fatalf("got %v of\n%s", err, written)
		}
		if again, err := yaml.Dump(script); err != nil || !bytes.Equal(again, written) {
			t.Errorf("got\n%s, %v, want\n%s", again, err, written)
		}
	})
}

// Whatever the API accepts must be an event as the documents have it, and the
// ledger must say of it what a reader other than ours does.
func FuzzEvent(f *testing.F) {
	f.Add(eventBody("s", "90", fakeapi.ProductView, "p1"))
	f.Add(eventBody("s", "", fakeapi.CustomShelf, ""))
	f.Add(`{"sessionId":"s","SessionId":"t","eventType":"shopTheLook","data":{"id":"p1"}}`)
	f.Add(`{"sessionId":"\ud800","eventType":"categoryView","data":{"id":"c1","id":"c2"}} `)
	f.Add(`{"userId":null,"sessionId":"s","eventType":"productView","data":null}{}`)
	catalogue := shopdata.New(1, 40, 2)
	f.Fuzz(func(t *testing.T, body string) {
		api, err := fakeapi.New(fakeapi.Options{Rankings: fakeapi.Rankings{Catalogue: catalogue}})
		if err != nil {
			t.Fatal(err)
		}
		w := httptest.NewRecorder()
		api.ServeHTTP(w, request(t, http.MethodPost, recommendation, body))
		if w.Code == http.StatusBadRequest || w.Code == http.StatusRequestEntityTooLarge {
			return
		}
		var want struct {
			UserID, SessionID, EventType string
			Data                         struct{ ID string }
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatalf("got %d for what is no event: %v", w.Code, err)
		}
		got := api.Ledger()[0]
		if len(want.SessionID) > 512 || len(want.UserID) > 512 || len(want.Data.ID) > 512 {
			return // the ledger clips those
		}
		if got.Session != want.SessionID || got.User != want.UserID || got.Type != want.EventType || got.ID != want.Data.ID || got.Session == "" {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}
