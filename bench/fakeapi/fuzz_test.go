package fakeapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

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
