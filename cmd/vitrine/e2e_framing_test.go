package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// smuggled is a request that a misframed one in front of it may hide: nobody sent it.
const smuggled = `{"sessionId":"smuggled","eventType":"productView","data":{"id":"p1"}}`

// Where one request ends and the next begins is never guessed: what is misframed gets
// one refusal, and what comes behind it nothing.
func TestE2EMisframedRequestsEndTheConnection(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	socket := filepath.Join(t.TempDir(), "v.sock")
	for network, s := range map[string]*sidecar{
		"tcp": start(t, api.URL()), "unix": start(t, api.URL(), "--listen=unix:"+socket),
	} {
		t.Run(network, func(t *testing.T) {
			addr := s.addr
			if network == "unix" {
				addr = socket
			}
			for _, r := range misframedRequests() {
				if got := answers(t, addr, r.request+post(smuggled)); len(got) != 1 || got[0] != http.StatusBadRequest {
					t.Errorf("%s: got %v, want one 400 and the end", r.what, got)
				}
			}
			if got := s.metrics(); got["vitrine_events_accepted_total"] != 0 || got["vitrine_panics_total"] != 0 {
				t.Errorf("got %v events and %v panics, want none", got["vitrine_events_accepted_total"], got["vitrine_panics_total"])
			}
		})
	}
	if got := api.Ledger(); len(got) != 0 {
		t.Errorf("got %d calls of the API, want none", len(got))
	}
}

// answers sends bytes and returns the statuses of all answers until the server closes.
func answers(t *testing.T, addr, request string) (statuses []int) {
	t.Helper()
	conn := connect(t, addr)
	go func() { _, _ = io.WriteString(conn, request) }() // ends with the connection, at the latest
	in := bufio.NewReader(conn)
	for {
		resp, err := http.ReadResponse(in, nil)
		var timeout net.Error
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
			return statuses
		case errors.As(err, &timeout) && timeout.Timeout():
			t.Errorf("the connection stays open after %v", statuses)
			return statuses
		case err != nil:
			t.Fatalf("reading an answer: %v", err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return append(statuses, resp.StatusCode)
		}
		statuses = append(statuses, resp.StatusCode)
	}
}

// A request is read to its end before it is refused, if its end is known: its body is no
// request.
func TestE2ERefusedBodiesAreRead(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	last := strings.Replace(post(good), "Host: localhost", "Host: localhost\r\nConnection: close", 1)
	for what, first := range map[string]string{
		"GET":             strings.Replace(post(post(smuggled)), "POST", "GET", 1),
		"DELETE, chunked": strings.Replace(framed(chunked(post(smuggled)), "Transfer-Encoding: chunked"), "POST", "DELETE", 1),
		"another path":    strings.Replace(post(post(smuggled)), recommendation, "/", 1),
		"another type":    strings.Replace(post(post(smuggled)), "application/json", "text/plain", 1),
		"no JSON":         post(post(smuggled)),
		"an upgrade":      post(post(smuggled), "Connection: Upgrade", "Upgrade: h2c"),
	} {
		got := answers(t, s.addr, first+last)
		if len(got) != 2 || got[0] < 400 || got[1] != http.StatusOK {
			t.Errorf("%s: got %v, want a refusal and a 200", what, got)
		}
	}
	s.settled(6)
	if got := items(api.API, "smuggled"); len(got) != 0 {
		t.Errorf("got events %q of a request nobody sent", got)
	}
}

// However many requests a client sends ahead, they are answered in order; and if it
// reads no answer, it is not read from without end either.
func TestE2EPipelining(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	const many = 500
	var all strings.Builder
	for i := range many {
		all.WriteString(post(fmt.Sprintf(`{"sessionId":"pipe","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true,"native":["n%d"]}}`, i)))
	}
	conn := connect(t, s.addr)
	go func() { _, _ = io.WriteString(conn, all.String()) }() // ends with the connection, at the latest
	in := bufio.NewReader(conn)
	for i := range many {
		if resp, body := response(t, in, "POST"); resp.StatusCode != http.StatusOK || !strings.Contains(body, fmt.Sprintf(`"n%d"`, i)) {
			t.Fatalf("answer %d: got %d %s", i, resp.StatusCode, body)
		}
	}

	deaf := connect(t, s.addr)
	sent := 0
	for err := error(nil); err == nil && sent < 1<<30; {
		var n int
		n, err = io.WriteString(deaf, all.String()) // until it is closed, or not read from
		sent += n
	}
	if sent >= 1<<30 {
		t.Errorf("got 1 GiB of requests read from a client that reads no answer")
	}
	want(t, "beside it", s.ask(good), "api", "", api.Ranking("hostile", "", "productView", "p1"))
}

// The other listeners are for people and for the kubelet: bounded, and refusing clearly.
func TestE2EHostileToTheOtherListeners(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	get := func(path string, headers ...string) string {
		return raw("GET "+path+" HTTP/1.1", "", append([]string{"Host: localhost", "Connection: close"}, headers...)...)
	}
	reload := func(headers ...string) string {
		return raw("POST /-/reload HTTP/1.1", "", append(headers, "Content-Length: 0", "Connection: close")...)
	}
	probes, admin := strings.TrimPrefix(s.probes, "http://"), strings.TrimPrefix(s.admin, "http://")
	for _, c := range []struct {
		what, addr, request string
		status              int
	}{
		{"a header bomb", probes, get("/livez", "X: "+strings.Repeat("x", 64<<10)), 431},
		{"many headers", probes, get("/livez", strings.TrimSpace(strings.Repeat("X: y\r\n", 8000))), 431},
		{"POST", probes, strings.Replace(get("/livez"), "GET", "POST", 1), 405},
		{"an unknown method", probes, strings.Replace(get("/livez"), "GET", "BREW", 1), 405},
		{"CONNECT", probes, "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404},
		{"a long target", probes, get("/" + strings.Repeat("x", 64<<10)), 431},
		{"an unknown encoding", probes, get("/livez", "Transfer-Encoding: xchunked"), 501},
		{"two lengths", probes, get("/livez", "Content-Length: 5", "Content-Length: 6"), 400},
		{"a signed length", probes, get("/livez", "Content-Length: +5"), 400},
		{"HTTP/2", probes, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404},
		{"no HTTP", probes, "\x16\x03\x01\x02\r\n\r\n", 400},
		{"a header bomb", admin, get("/", "X: "+strings.Repeat("x", 64<<10)), 431},
		{"a page that rebinds its name", admin, reload("Host: evil.example:8379"), 403},
		{"a page that rebinds, reading", admin, strings.Replace(get("/status.json"), "localhost", "evil.example", 1), 403},
		{"no host", admin, strings.Replace(reload(), "HTTP/1.1", "HTTP/1.0", 1), 403},
		{"another origin", admin, reload("Host: localhost", "Origin: https://evil.example"), 403},
		{"the null origin", admin, reload("Host: localhost", "Origin: null"), 403},
		{"another site", admin, reload("Host: localhost", "Sec-Fetch-Site: cross-site"), 403},
		{"an absolute target of another host", admin, strings.Replace(reload("Host: localhost"), "/-/reload", "http://evil.example/-/reload", 1), 403},
		{"reloading by GET", admin, get("/-/reload"), 405},
		{"a method in disguise", admin, get("/-/reload", "X-HTTP-Method-Override: POST"), 405},
	} {
		if got := answers(t, c.addr, c.request); len(got) != 1 || got[0] != c.status {
			t.Errorf("%s: got %v, want %d and the end", c.what, got, c.status)
		}
	}
	if text := s.log.String(); strings.Contains(text, "reload") {
		t.Errorf("got a reload, want none:\n%s", text)
	}
	s.untouched(api.API)
}
