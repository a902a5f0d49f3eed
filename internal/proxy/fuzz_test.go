package proxy_test

import (
	"bufio"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// Whatever stands in a header, a request gets in only if net/http, which reads headers in
// its own way, finds in it a request of this machine's, from no browser and forwarded for
// nobody, of JSON, with the same body.
func FuzzHeaders(f *testing.F) {
	for _, lines := range []string{
		"", "Origin: http://shop.example", "origin:", "ORIGIN : x", " Origin: x", "X: y\r\n Origin: x", "X: y\nOrigin: x", "X: y\rOrigin: x",
		"Sec-Fetch-Site: none", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: none\r\nSec-Fetch-Site: same-origin",
		"X-Forwarded-For: 10.0.0.1", "Forwarded:", "Transfer-Encoding: chunked", "Transfer-Encoding: identity", "Content-Length: 0", "Content-Length: +63",
		"Host: evil.example", "Content-Type: text/plain", "Content-Type: application/json; charset=utf-8", "Content-Type: application/jsonx",
		"Content-Type: text/plain; application/json", "Cache-Control: no-cache", "Traceparent: 00-\xff", "Expect: 100-continue", "Connection: upgrade\r\nUpgrade: websocket",
		"Vitrine-Token: \x00", "Origin\x00: x", "X-Forwarded-For\t: x", "Content-Encoding: gzip",
	} {
		f.Add(lines)
	}
	r := newRig(f)
	const body = `{"sessionId":"s","eventType":"productView","data":{"id":"a"},"vitrine":{"bot":true}}`
	f.Fuzz(func(t *testing.T, lines string) {
		raw := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n", pathRecommendation, len(body))
		if !strings.Contains(strings.ToLower(lines), "content-type") {
			raw += "Content-Type: application/json\r\n"
		}
		if lines != "" {
			raw += lines + "\r\n"
		}
		raw += "\r\n" + body
		rc := new(fasthttp.RequestCtx)
		rc.Init(new(fasthttp.Request), nil, nil)
		if rc.Request.Read(bufio.NewReader(strings.NewReader(raw))) != nil {
			return
		}
		r.Handler()(rc)
		if got := rc.Response.StatusCode(); got != fasthttp.StatusOK {
			if lines == "" {
				t.Errorf("got %d without any line more, want it in", got)
			}
			return
		}
		other, err := http.ReadRequest(bufio.NewReader(strings.NewReader(raw)))
		if err != nil {
			t.Skip("net/http would not have let it in either way")
		}
		if name, _, _ := strings.Cut(other.Host, ":"); name != "localhost" {
			if address, err := netip.ParseAddr(name); err != nil || !address.IsLoopback() {
				t.Errorf("%q: got in with the Host %q", lines, other.Host)
			}
		}
		for _, name := range []string{"Origin", "X-Forwarded-For", "Forwarded"} {
			if values, found := other.Header[name]; found {
				t.Errorf("%q: got in with %s %q", lines, name, values)
			}
		}
		for _, site := range other.Header["Sec-Fetch-Site"] {
			if site != "none" {
				t.Errorf("%q: got in with Sec-Fetch-Site %q", lines, site)
			}
		}
		if kind, _, err := mime.ParseMediaType(other.Header.Get("Content-Type")); kind != "application/json" {
			t.Errorf("%q: got in with the Content-Type %q, %v", lines, kind, err)
		}
		if read, err := io.ReadAll(other.Body); err != nil || string(read) != body || len(other.TransferEncoding) > 0 {
			t.Errorf("%q: got in with the body %q, %v, %q", lines, read, err, other.TransferEncoding)
		}
	})
}
