package main_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// good is an acceptable body, bad one that would be acceptable but for what it is sent with.
const good = `{"sessionId":"hostile","eventType":"productView","data":{"id":"p1"}}`

// post is a raw request with the headers given, one a line.
func post(body string, headers ...string) string {
	return raw("POST "+recommendation+" HTTP/1.1", body,
		append([]string{"Host: localhost", "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body))}, headers...)...)
}

func raw(line, body string, headers ...string) string {
	return line + "\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n" + body
}

// withHost is a good request with these lines for its Host.
func withHost(lines ...string) string {
	return raw("POST "+recommendation+" HTTP/1.1", good,
		append(lines, "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(good)))...)
}

// framed is a good request with these headers in place of its Content-Length.
func framed(body string, headers ...string) string {
	return raw("POST "+recommendation+" HTTP/1.1", body, append([]string{"Host: localhost", "Content-Type: application/json"}, headers...)...)
}

func chunked(body string) string {
	return fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
}

func gzipped(body string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = io.WriteString(w, body)
	_ = w.Close()
	return b.String()
}

// refusal is a request that must be refused, with that status and those words in its detail.
type refusal struct {
	what    string
	request string
	status  int
	detail  string
}

// malformedBodies are bodies that are refused with a 400 naming the member.
func malformedBodies() []refusal {
	event := func(members string) string {
		return `{"sessionId":"s","eventType":"productView","data":{"id":"p1"}` + members + `}`
	}
	var all []refusal
	for _, c := range []struct{ what, body, detail string }{
		{"no body", ``, "object"},
		{"white space", ` `, "object"},
		{"no object", `[]`, "object"},
		{"null", `null`, "object"},
		{"a string", `"x"`, "object"},
		{"no end", `{"sessionId":"s"`, ""},
		{"no JSON", `{sessionId:"s"}`, ""},
		{"a trailing comma", event(`,`), ""},
		{"a comment", event(`/**/`), ""},
		{"trailing data", event(``) + `{}`, "after the end"},
		{"a trailing NUL", event(``) + "\x00", "after the end"},
		{"a byte order mark", "\xef\xbb\xbf" + event(``), ""},
		{"UTF-16", "{\x00\"\x00", ""},
		{"no session", `{"eventType":"productView","data":{"id":"p1"}}`, "sessionId"},
		{"an empty session", `{"sessionId":"","eventType":"productView","data":{"id":"p1"}}`, "sessionId"},
		{"a null session", `{"sessionId":null,"eventType":"productView","data":{"id":"p1"}}`, "sessionId"},
		{"a numeric session", `{"sessionId":7,"eventType":"productView","data":{"id":"p1"}}`, "sessionId"},
		{"a session of 257 bytes", `{"sessionId":"` + strings.Repeat("é", 128) + `x","eventType":"productView","data":{"id":"p1"}}`, "sessionId"},
		{"no type", `{"sessionId":"s","data":{"id":"p1"}}`, "eventType"},
		{"an unknown type", `{"sessionId":"s","eventType":"ProductView","data":{"id":"p1"}}`, "eventType"},
		{"a null type", `{"sessionId":"s","eventType":null,"data":{"id":"p1"}}`, "eventType"},
		{"no data", `{"sessionId":"s","eventType":"productView"}`, "data.id"},
		{"null data", `{"sessionId":"s","eventType":"productView","data":null}`, "data"},
		{"no id", `{"sessionId":"s","eventType":"productView","data":{}}`, "data.id"},
		{"an empty id", `{"sessionId":"s","eventType":"categoryView","data":{"id":""}}`, "data.id"},
		{"a null id", `{"sessionId":"s","eventType":"productView","data":{"id":null}}`, "data.id"},
		{"a fraction for an id", `{"sessionId":"s","eventType":"productView","data":{"id":1.5}}`, "data.id"},
		{"an exponent for an id", `{"sessionId":"s","eventType":"productView","data":{"id":1e3}}`, "data.id"},
		{"1e999 for an id", `{"sessionId":"s","eventType":"productView","data":{"id":1e999}}`, "data.id"},
		{"a leading zero", `{"sessionId":"s","eventType":"productView","data":{"id":01}}`, ""},
		{"a huge integer for an id", `{"sessionId":"s","eventType":"productView","data":{"id":1` + strings.Repeat("0", 300) + `}}`, "data.id"},
		{"a list for an id", `{"sessionId":"s","eventType":"productView","data":{"id":["p1"]}}`, "data.id"},
		{"an id of 257 bytes", `{"sessionId":"s","eventType":"productView","data":{"id":"` + strings.Repeat("x", 257) + `"}}`, "data.id"},
		{"an id for a shelf", `{"sessionId":"s","eventType":"customShelf","data":{"id":"p1"}}`, "data.id"},
		{"a boolean user", event(`,"userId":true`), "userId"},
		{"an object for a user", event(`,"userId":{}`), "userId"},
		{"a NUL in the document", event(",\x00"), ""},
		{"a control character in a string", event(",\"x\":\"\x01\""), "x"},
		{"invalid UTF-8", event(",\"x\":\"\xff\""), "x"},
		{"an overlong encoding", event(",\"x\":\"\xc0\xaf\""), "x"},
		{"a lone high surrogate", event(`,"x":"\ud800"`), "x"},
		{"a lone low surrogate", event(`,"x":"\udc00\ud800"`), "x"},
		{"a surrogate in a name", event(`,"\ud800":1`), ""},
		{"a duplicate member", event(`,"sessionId":"t"`), "sessionId"},
		{"a duplicate, escaped", event(`,"session\u0049d":"t"`), "sessionId"},
		{"a duplicate at depth", event(`,"x":[{"y":{"z":1,"z":1}}]`), "x[0].y"},
		{"a duplicate in vitrine", event(`,"vitrine":{"limit":1,"limit":1}`), "limit"},
		{"nesting of 65", event(`,"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)), "deep"},
		{"nesting without an end", strings.Repeat(`{"a":`, 20000), "deep"},
		{"vitrine is no object", event(`,"vitrine":[]`), "vitrine"},
		{"a limit of 0", event(`,"vitrine":{"limit":0}`), "vitrine.limit"},
		{"a negative limit", event(`,"vitrine":{"limit":-1}`), "vitrine.limit"},
		{"a limit of 1.0", event(`,"vitrine":{"limit":1.0}`), "vitrine.limit"},
		{"a limit in quotes", event(`,"vitrine":{"limit":"1"}`), "vitrine.limit"},
		{"no budget", event(`,"vitrine":{"budgetMs":0}`), "vitrine.budgetMs"},
		{"complete in quotes", event(`,"vitrine":{"complete":"true"}`), "vitrine.complete"},
		{"bot as a number", event(`,"vitrine":{"bot":1}`), "vitrine.bot"},
		{"an object among natives", event(`,"vitrine":{"native":["a",{}]}`), "vitrine.native[1]"},
		{"a fraction to exclude", event(`,"vitrine":{"exclude":[1.5]}`), "vitrine.exclude[0]"},
	} {
		all = append(all, refusal{c.what, post(c.body), http.StatusBadRequest, c.detail})
	}
	return all
}

// foreignRequests come from a browser, through a proxy, or for another host.
func foreignRequests() []refusal {
	var all []refusal
	for _, headers := range [][]string{
		{"Origin: https://shop.example"},
		{"origin: null"},
		{"Origin: http://localhost"},
		{"ORIGIN:x"},
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-origin"},
		{"sec-fetch-site: same-site"},
		{"X-Forwarded-For: 127.0.0.1"},
		{"x-forwarded-for: 10.0.0.1, 127.0.0.1"},
		{"Forwarded: for=127.0.0.1"},
		{"Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site"},
		{"X-Forwarded-For:", "X-Forwarded-For: 10.0.0.1"},
	} {
		all = append(all, refusal{strings.Join(headers, ", "), post(good, headers...), http.StatusForbidden, ""})
	}
	for _, host := range []string{
		"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0", "[2001:db8::1]",
		"evil.example:8377", "localhost@evil.example", "localhost..", "2130706433", "[::1%25lo]",
	} {
		all = append(all, refusal{"Host " + host, withHost("Host: " + host), http.StatusForbidden, ""})
	}
	absolute := func(target string) string {
		return strings.Replace(withHost("Host: localhost"), recommendation, target+recommendation, 1)
	}
	return append(all,
		refusal{"an absolute target of another host", absolute("http://evil.example"), http.StatusForbidden, ""},
		refusal{"an absolute target beside another Host", strings.Replace(absolute("http://localhost"), "Host: localhost", "Host: evil.example", 1), http.StatusForbidden, ""},
	)
}

// misframedRequests leave it open where a request ends.
func misframedRequests() []refusal {
	var all []refusal
	length := fmt.Sprint("Content-Length: ", len(good))
	for _, headers := range [][]string{
		{length, "Transfer-Encoding: chunked"},
		{"Transfer-Encoding: chunked", length},
		{"transfer-encoding: chunked", "content-length: 5"},
		{"TRANSFER-ENCODING: CHUNKED", "CONTENT-LENGTH: 0"},
		{length, "Transfer-Encoding: identity"},
		{"Transfer-Encoding: identity, chunked", length},
		{length, "Transfer-Encoding: xchunked"},
		{length, "X: y", "transfer-Encoding: gzip, chunked"},
		{length, "Content-Length: 5"},
		{length, length},
		{"Content-Length: 5, 6"},
		{"Content-Length: +68"},
		{"Content-Length: -1"},
		{"Content-Length: 0x44"},
		{"Content-Length: 99999999999999999999"},
		{length, "Transfer-Encoding : chunked"},
		{length, "Transfer-Encoding:\r\n chunked"},
		{length, "X: y\r\n Transfer-Encoding: chunked"},
		{length, "no colon"},
		{"Transfer-Encoding: chunked", "Content-Length : 5"},
		{"X: y\r\n\tz", length},
		{"Origin : https://shop.example", length},
		{"X-Forwarded-For\t: 10.0.0.1", length},
		{"Transfer-Encoding: gzip"},
		{"Transfer-Encoding: chunked", "Transfer-Encoding: chunked"},
		{"Transfer-Encoding:\tchunked", length},
		{"Transfer-Encoding: identity"},
		{"Transfer-Encoding:"},
		{`Transfer-Encoding: "chunked"`},
		{"Transfer-Encoding: chunked, identity"},
		{"Transfer-Encoding: \x0bchunked"},
		{"Transfer-Encoding: chunked\x00"},
		{"Transfer-Encoding\x00: chunked", length},
		{"Content-Length:"},
		{"Content-Length: \x0b68"},
		{"Content-Length: 68, 68"},
		{"Content-Length: 18446744073709551684"}, // 68 if it overflows
		{"X: y\nTransfer-Encoding: chunked", length},
		{"X: y\nZ: w", length},
		{"X: y\rZ: w", length},
		{"X: a\x00b", length},
		{": y", length},
	} {
		body := good
		if headers[0] == "Transfer-Encoding: chunked" {
			body = chunked(good)
		}
		all = append(all, refusal{strings.Join(headers, ", "), framed(body, headers...), http.StatusBadRequest, ""})
	}
	for what, body := range map[string]string{
		"a chunk size that is none":     "zz\r\n" + good + "\r\n0\r\n\r\n",
		"a negative chunk size":         "-1\r\n" + good + "\r\n0\r\n\r\n",
		"a chunk size that overflows":   "ffffffffffffffffff\r\n" + good + "\r\n0\r\n\r\n",
		"a chunk longer than announced": "5\r\n" + good + "\r\n0\r\n\r\n",
		"a chunk size with a prefix":    "0x44\r\n" + good + "\r\n0\r\n\r\n",
		"a chunk size behind a space":   " 44\r\n" + good + "\r\n0\r\n\r\n",
		"chunks that bare feeds end":    "44\n" + good + "\n0\n\n",
		"a feed in a chunk extension":   "44;a=\"\n\"\r\n" + good + "\r\n0\r\n\r\n",
		"a length among the trailers":   "44\r\n" + good + "\r\n0\r\nContent-Length: 5\r\n\r\n",
	} {
		all = append(all, refusal{what, framed(body, "Transfer-Encoding: chunked"), http.StatusBadRequest, ""})
	}
	return append(all,
		refusal{"bare line feeds", strings.ReplaceAll(post(good), "\r\n", "\n"), http.StatusBadRequest, ""},
		refusal{"a bare line feed behind the request line", strings.Replace(post(good), "HTTP/1.1\r\n", "HTTP/1.1\n", 1), http.StatusBadRequest, ""},
		refusal{"chunked in HTTP/1.0", strings.Replace(framed(chunked(good), "Transfer-Encoding: chunked"), "HTTP/1.1", "HTTP/1.0", 1), http.StatusBadRequest, ""},
		refusal{"two hosts", withHost("Host: localhost", "Host: localhost"), http.StatusBadRequest, ""},
	)
}

func otherRefusals() []refusal {
	big := `{"sessionId":"` + strings.Repeat("x", 128<<10) + `"}`
	request := func(line string) string { return strings.Replace(post(good), "POST "+recommendation, line, 1) }
	all := []refusal{
		{"a form", strings.Replace(post(good), "application/json", "application/x-www-form-urlencoded", 1), 415, "Content-Type"},
		{"text", strings.Replace(post(good), "application/json", "text/plain", 1), 415, ""},
		{"no type", strings.Replace(post(good), "Content-Type: application/json\r\n", "", 1), 415, ""},
		{"a type that begins alike", strings.Replace(post(good), "application/json", "application/json5", 1), 415, ""},
		{"gzip", post(gzipped(good), "Content-Encoding: gzip"), 415, "Content-Encoding"},
		{"a large body", post(big), 413, "128 KiB"},
		{"a large body, chunked", framed(chunked(big), "Transfer-Encoding: chunked"), 413, "128 KiB"},
		{"a large body that never comes", post("", "Content-Length: 140000"), 413, ""},
		{"a header bomb", post(good, "X: "+strings.Repeat("x", 17<<10)), 431, "16 KiB"},
		{"many headers", post(good, strings.TrimSpace(strings.Repeat("X: y\r\n", 4000))), 431, ""},
		{"a long target", request("POST /" + strings.Repeat("x", 17<<10)), 431, ""},
		{"no method", request(" /"), 400, ""},
		{"no version", strings.Replace(post(good), " HTTP/1.1", "", 1), 400, ""},
		{"a form with a file", strings.Replace(post(good), "application/json", "multipart/form-data; boundary=x", 1), 415, "Content-Type"},
		{"HTTP/2", strings.Replace(post(good), "HTTP/1.1", "HTTP/2.0", 1), 505, "HTTP/1.1"},
		{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, ""},
		{"HTTP/0.9", "GET " + recommendation + "\r\n", 400, ""},
		{"an absurd length", post("", "Content-Length: 9223372036854775807"), 413, ""},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, ""},
	}
	for i := range all {
		if all[i].status == http.StatusRequestEntityTooLarge {
			all[i].request = strings.Replace(all[i].request, "Content-Length: 0\r\n", "", 1)
		}
	}
	for _, path := range []string{
		"/", "/api", recommendation + "/", "/" + recommendation, recommendation + "/../recommendation", "/api/../api" + recommendation[4:],
		"/" + strings.ReplaceAll(recommendation[1:], "/", "%2f"), "/api/v1/products/protected/recommendatio%6e", "/API" + recommendation[4:],
		"//api/v1/products/protected/recommendation", recommendation + "%00", "/v1/stock", "/v1/page/", "/metrics", "/status.json",
		"/api/v1/products/protected/similar",
	} {
		all = append(all, refusal{"path " + path, request("POST " + path), http.StatusNotFound, ""})
	}
	all = append(all, refusal{"an unknown profile kind", request("GET /api/v1/crm/protected/profile/shoesize/44"), http.StatusNotFound, ""})
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "post"} {
		all = append(all, refusal{"method " + method, request(method + " " + recommendation), http.StatusMethodNotAllowed, ""})
	}
	return all
}

func TestE2EHostileRequests(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	var all []refusal
	for _, some := range [][]refusal{malformedBodies(), foreignRequests(), misframedRequests(), otherRefusals()} {
		all = append(all, some...)
	}
	for _, r := range all {
		t.Run(r.what, func(t *testing.T) { r.check(t, s.addr) })
	}
	s.untouched(api.API)
	if got := s.metrics()["vitrine_panics_total"]; got != 0 {
		t.Errorf("got %v panics, want none", got)
	}
	want(t, "a good request after them", s.ask(good), "api", "", api.Ranking("hostile", "", "productView", "p1"))
}

func (r refusal) check(t *testing.T, addr string) {
	t.Helper()
	resp, body := exchange(t, addr, r.request)
	if resp.StatusCode != r.status {
		t.Fatalf("got %d %s, want %d", resp.StatusCode, body, r.status)
	}
	if got := resp.Header.Get("Allow"); (got == "POST") != (r.status == http.StatusMethodNotAllowed) {
		t.Errorf("got Allow %q with a %d", got, r.status)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("got Content-Type %q, want application/problem+json", got)
	}
	if strings.HasPrefix(r.request, "HEAD") {
		return
	}
	var problem struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(body), &problem); err != nil {
		t.Fatalf("got %s: %v", body, err)
	}
	if problem.Type == "" || problem.Title == "" || problem.Detail == "" || problem.Status != r.status {
		t.Errorf("got %s, want type, title, status and detail", body)
	}
	if !strings.Contains(problem.Detail, r.detail) {
		t.Errorf("got detail %q, want %q in it", problem.Detail, r.detail)
	}
}

// exchange sends bytes and reads one answer.
func exchange(t *testing.T, addr, request string) (*http.Response, string) {
	t.Helper()
	conn := connect(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Logf("sending: %v", err) // the answer may have come before
	}
	method, _, _ := strings.Cut(request, " ")
	return response(t, bufio.NewReader(conn), method)
}

func connect(t *testing.T, addr string) net.Conn {
	t.Helper()
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	conn, err := net.Dial(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func response(t *testing.T, r *bufio.Reader, method string) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("reading the answer's body: %v", err)
	}
	return resp, string(body)
}

// What is unusual and allowed is not refused.
func TestE2EUnusualRequests(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	_, port, _ := net.SplitHostPort(s.addr)
	requests := map[string]string{
		"HTTP/1.0":                          strings.Replace(post(good), "HTTP/1.1", "HTTP/1.0", 1),
		"chunked":                           framed(chunked(good), "Transfer-Encoding: chunked"),
		"chunked, in capitals":              framed(chunked(good), "TRANSFER-ENCODING: Chunked"),
		"chunked, with trailers":            framed(strings.TrimSuffix(chunked(good), "\r\n")+"X: y\r\n\r\n", "Transfer-Encoding: chunked", "Trailer: X"),
		"a charset":                         strings.Replace(post(good), "application/json", `Application/JSON ;charset="utf-8"`, 1),
		"identity":                          post(good, "Content-Encoding: identity"),
		"typed into the address bar":        post(good, "Sec-Fetch-Site: none"),
		"a query":                           strings.Replace(post(good), " HTTP/1.1", "?utm_source=x&y=%zz HTTP/1.1", 1),
		"an absolute target":                strings.Replace(post(good), "POST ", "POST http://localhost", 1),
		"white space in the document":       post(" \t\r\n" + strings.ReplaceAll(good, ",", " ,\n\t") + "\n"),
		"an escaped name":                   post(strings.Replace(good, "sessionId", `session\u0049d`, 1)),
		"nesting of 64":                     post(strings.TrimSuffix(good, "}") + `,"x":` + strings.Repeat("[", 63) + strings.Repeat("]", 63) + `}`),
		"15 KiB of headers":                 post(good, "X: "+strings.Repeat("x", 15<<10)),
		"127 KiB of body":                   post(strings.TrimSuffix(good, "}") + `,"x":"` + strings.Repeat("x", 127<<10) + `"}`),
		"1e999 where nobody cares":          post(strings.TrimSuffix(good, "}") + `,"x":1e999}`),
		"a NUL in a string, as JSON has it": post(strings.TrimSuffix(good, "}") + `,"x":"\u0000"}`),
	}
	for _, host := range []string{"localhost", "LOCALHOST", "localhost:" + port, "127.0.0.1", "127.0.0.1:" + port, "127.9.9.9", "[::1]", "[::1]:" + port, "localhost."} {
		requests["Host "+host] = withHost("Host: " + host)
	}
	for what, request := range requests {
		resp, body := exchange(t, s.addr, request)
		if resp.StatusCode != http.StatusOK || resp.Header.Get("Vitrine-Event") == "" {
			t.Errorf("%s: got %d %s, want 200", what, resp.StatusCode, body)
		}
	}
	t.Run("Expect: 100-continue", func(t *testing.T) {
		conn := connect(t, s.addr)
		in := bufio.NewReader(conn)
		request := post(good, "Expect: 100-continue")
		head := strings.TrimSuffix(request, good)
		if _, err := io.WriteString(conn, head); err != nil {
			t.Fatal(err)
		}
		if resp, _ := response(t, in, "GET"); resp.StatusCode != http.StatusContinue {
			t.Fatalf("got %d, want 100", resp.StatusCode)
		}
		if _, err := io.WriteString(conn, good); err != nil {
			t.Fatal(err)
		}
		if resp, body := response(t, in, "POST"); resp.StatusCode != http.StatusOK {
			t.Errorf("got %d %s, want 200", resp.StatusCode, body)
		}
	})
	t.Run("pipelining", func(t *testing.T) {
		conn := connect(t, s.addr)
		in := bufio.NewReader(conn)
		var all string
		for i := range 20 {
			all += post(fmt.Sprintf(`{"sessionId":"pipe","eventType":"productView","data":{"id":"p%d"},"vitrine":{"limit":%d}}`, i, i+1))
		}
		if _, err := io.WriteString(conn, all); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			resp, body := response(t, in, "POST")
			if got := strings.Count(body, `"p`) - 1; resp.StatusCode != http.StatusOK || got != i+1 {
				t.Fatalf("answer %d: got %d %s, want %d products", i, resp.StatusCode, body, i+1)
			}
		}
	})
	s.settled(len(requests) + 21)
}

// Whoever sends byte by byte, or nothing, harms only themselves.
func TestE2ESlowClients(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	idle := make([]net.Conn, 200)
	for i := range idle {
		idle[i] = connect(t, s.addr)
		if i%2 == 0 {
			if _, err := io.WriteString(idle[i], "POST "); err != nil {
				t.Fatal(err)
			}
		}
	}
	want(t, "beside them", s.ask(good), "api", "", api.Ranking("hostile", "", "productView", "p1"))
	// A request that has begun must come to its end soon.
	unended := []string{"POST " + recommendation + " HTTP/1.1\r\nHost: localhost\r\n", strings.TrimSuffix(post(good), "}")}
	for i, begun := range unended {
		if _, err := io.WriteString(idle[2*i+1], begun); err != nil {
			t.Fatal(err)
		}
	}
	for i, begun := range unended {
		resp, body := response(t, bufio.NewReader(idle[2*i+1]), "POST")
		if resp.StatusCode != http.StatusRequestTimeout {
			t.Errorf("got %d %s for %q, want 408", resp.StatusCode, body, begun)
		}
	}
	s.settled(1)
}
