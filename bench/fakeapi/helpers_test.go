package fakeapi_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

const recommendation = "/api/v1/products/protected/recommendation"

// patience is how long a test waits for what must happen; it is never asserted.
const patience = 10 * time.Second

func start(t *testing.T, opts fakeapi.Options) *fakeapi.Server {
	t.Helper()
	if opts.Rankings.Catalogue == nil {
		opts.Rankings.Catalogue = shopdata.New(1, 400, 8)
	}
	api, err := fakeapi.Start(opts)
	if err != nil {
		t.Fatalf("starting: %v", err)
	}
	t.Cleanup(func() {
		if err := api.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return api
}

// client returns a client of its own, with connections of its own, that trusts the API.
func client(t *testing.T, api *fakeapi.Server) *http.Client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	if pool := api.CertPool(); pool != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func eventBody(session, user, eventType, id string) string {
	event := map[string]any{"sessionId": session, "eventType": eventType, "data": map[string]string{"id": id}}
	if user != "" {
		event["userId"] = user
	}
	text, _ := json.Marshal(event)
	return string(text)
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(fakeapi.TokenHeader, fakeapi.DefaultToken)
	r.Header.Set("Content-Type", "application/json")
	return r
}

type answer struct {
	status   int
	header   http.Header
	body     []byte
	products []string
	reused   bool
}

// send sends a request, and returns the answer or why there is none.
func send(c *http.Client, r *http.Request) (a answer, err error) {
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { a.reused = info.Reused }}
	response, err := c.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return a, err
	}
	a.status, a.header = response.StatusCode, response.Header
	a.body, err = io.ReadAll(response.Body)
	var list struct {
		Products []string `json:"products"`
	}
	if json.Unmarshal(a.body, &list) == nil {
		a.products = list.Products
	}
	return a, errors.Join(err, response.Body.Close())
}

// view sends the event that a session looks at a product.
func view(t *testing.T, c *http.Client, api *fakeapi.Server, session, id string) (answer, error) {
	t.Helper()
	return send(c, request(t, http.MethodPost, api.URL()+recommendation, eventBody(session, "", fakeapi.ProductView, id)))
}

// must is view where an answer is expected.
func must(t *testing.T, c *http.Client, api *fakeapi.Server, session, id string) answer {
	t.Helper()
	a, err := view(t, c, api, session, id)
	if err != nil {
		t.Fatalf("session %s viewing %s: %v", session, id, err)
	}
	return a
}

func set(t *testing.T, api *fakeapi.Server, faults ...fakeapi.Fault) {
	t.Helper()
	if err := api.Set(faults...); err != nil {
		t.Fatalf("setting a fault: %v", err)
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("it never came about that %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func isJSON(body []byte) bool { return json.Valid(bytes.TrimSpace(body)) }
