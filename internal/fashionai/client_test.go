package fashionai_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

const (
	secret = "s3cr3t-token"
	event  = `{"userId":"90","sessionId":"sess456","eventType":"productView","data":{"id":"id789"}}`
)

// client returns a client of the API at url.
func client(tb testing.TB, url string, change ...func(*fashionai.Options)) *fashionai.Client {
	tb.Helper()
	token, err := fashionai.NewToken(secret)
	if err != nil {
		tb.Fatal(err)
	}
	o := fashionai.Options{URL: url, Token: token, UserAgent: "vitrine/test", Timeout: 20 * time.Second, DialTimeout: 10 * time.Second}
	for _, f := range change {
		f(&o)
	}
	c, err := fashionai.New(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func timeout(d time.Duration) func(*fashionai.Options) {
	return func(o *fashionai.Options) { o.Timeout = d }
}

func recommend(c *fashionai.Client) fashionai.Outcome {
	return c.Recommend(fashionai.Call{Body: []byte(event)})
}

func ids(r reco.Ranking) string { return strings.Join(r.IDs(), ",") }

// serve answers every request with handler.
func serve(tb testing.TB, handler http.HandlerFunc) string {
	tb.Helper()
	s := httptest.NewServer(handler)
	tb.Cleanup(s.Close)
	return s.URL
}

// speak accepts connections and lets each be served by the next of the scripts, the last
// one for all that follow, until it returns. It returns the URL and the count of connections.
func speak(tb testing.TB, scripts ...func(net.Conn, *bufio.Reader)) (string, *atomic.Int32) {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	accepted := new(atomic.Int32)
	var served sync.WaitGroup
	tb.Cleanup(func() { l.Close(); served.Wait() })
	served.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			script := scripts[min(int(accepted.Add(1)), len(scripts))-1]
			served.Go(func() {
				defer conn.Close()
				script(conn, bufio.NewReader(conn))
			})
		}
	})
	return "http://" + l.Addr().String(), accepted
}

// hear reads a request whole, and returns its body.
func hear(r *bufio.Reader) (string, error) {
	request, err := http.ReadRequest(r)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(request.Body)
	return string(body), err
}

// say answers a request with these bytes, whatever they are, then hangs up.
func say(answer string) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		if _, err := hear(r); err == nil {
			io.WriteString(conn, answer)
		}
	}
}

func list(body string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		io.WriteString(w, `{"products":["p1",2,"p1","p3"]}`)
	})
	var sent int
	out := client(t, url+"/behind/").Recommend(fashionai.Call{
		Body: []byte(event), Sent: func() { sent++ }, Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	})
	if out.Class != fashionai.OK || out.Status != 200 || ids(out.Ranking) != "p1,2,p3" || !out.Sent || sent != 1 || out.Err != nil {
		t.Errorf("got %+v, sent %d times, want ok with p1,2,p3, sent once", out, sent)
	}
	if got.Method != "POST" || got.URL.Path != "/behind/api/v1/products/protected/recommendation" || string(body) != event {
		t.Errorf("got %s %s %s", got.Method, got.URL, body)
	}
	for name, want := range map[string]string{
		"X-Fashionai-App-Token": secret,
		"Content-Type":          "application/json",
		"Accept":                "application/json",
		"User-Agent":            "vitrine/test",
		"Traceparent":           "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		"Accept-Encoding":       "",
	} {
		if got := strings.Join(got.Header[name], ","); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	if want := strings.TrimPrefix(url, "http://"); got.Host != want {
		t.Errorf("host: got %q, want %q", got.Host, want)
	}
}

func TestStatusDecidesTheClass(t *testing.T) {
	for status, want := range map[int]fashionai.Class{
		200: fashionai.OK, 201: fashionai.OK,
		400: fashionai.Rejected, 413: fashionai.Rejected, 422: fashionai.Rejected,
		401: fashionai.Unauthorized, 403: fashionai.Unauthorized,
		404: fashionai.NotFound, 409: fashionai.NotFound,
		429: fashionai.RateLimited,
		302: fashionai.ServerError, 405: fashionai.ServerError, 418: fashionai.ServerError,
		500: fashionai.ServerError, 502: fashionai.ServerError, 503: fashionai.ServerError,
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
			io.WriteString(w, `{"products":["p1"]}`)
		})
		out := recommend(client(t, url))
		if out.Class != want || out.Status != status || !out.Sent || out.Code() != strconv.Itoa(status) {
			t.Errorf("%d: got %+v, want %s", status, out, want)
		}
		if (out.Ranking.Len() > 0) != (want == fashionai.OK) {
			t.Errorf("%d: got a ranking of %d", status, out.Ranking.Len())
		}
	}
}

func TestReason(t *testing.T) {
	for _, c := range []struct {
		result fashionai.Result
		want   reco.Reason
	}{
		{fashionai.Result{Class: fashionai.OK, Status: 200}, ""},
		{fashionai.Result{Class: fashionai.Empty, Status: 200}, "empty"},
		{fashionai.Result{Class: fashionai.BadAnswer, Status: 200}, "bad-answer"},
		{fashionai.Result{Class: fashionai.NotFound, Status: 404}, "http-404"},
		{fashionai.Result{Class: fashionai.Rejected, Status: 422}, "http-422"},
		{fashionai.Result{Class: fashionai.Unauthorized, Status: 401}, "http-401"},
		{fashionai.Result{Class: fashionai.ServerError, Status: 503}, "http-503"},
		{fashionai.Result{Class: fashionai.RateLimited, Status: 429}, "rate-limited"},
		{fashionai.Result{Class: fashionai.Timeout}, "timeout"},
		{fashionai.Result{Class: fashionai.Broken}, "unreachable"},
		{fashionai.Result{Class: fashionai.Unreachable}, "unreachable"},
	} {
		if got := c.result.Reason(); got != c.want {
			t.Errorf("%s: got %q, want %q", c.result.Class, got, c.want)
		}
	}
}

func TestAnswersThatAreNoRanking(t *testing.T) {
	bomb := gzipped(strings.Repeat(" ", 10<<20))
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct {
		answer string
		want   fashionai.Class
	}{
		"empty list":         {list(`{"products":[]}`), fashionai.Empty},
		"null":               {list(`null`), fashionai.BadAnswer},
		"no list":            {list(`{}`), fashionai.BadAnswer},
		"null list":          {list(`{"products":null}`), fashionai.BadAnswer},
		"foreign element":    {list(`{"products":[{"id":1}]}`), fashionai.BadAnswer},
		"page":               {list(`<html>sorry</html>`), fashionai.BadAnswer},
		"no body":            {"HTTP/1.1 204 No Content\r\n\r\n", fashionai.BadAnswer},
		"truncated JSON":     {list(`{"products":["p1"`), fashionai.BadAnswer},
		"short body":         {"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n" + `{"products":["p1"]}`, fashionai.BadAnswer},
		"missing last chunk": {chunked + "13\r\n" + `{"products":["p1"]}` + "\r\n", fashionai.BadAnswer},
		"broken chunk":       {chunked + "zz\r\n", fashionai.BadAnswer},
		"too long":           {list(strings.Repeat(" ", 10<<20)), fashionai.BadAnswer},
		"too long a promise": {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n", fashionai.BadAnswer},
		"too long, chunked":  {chunked + "a00000\r\n" + strings.Repeat(" ", 10<<20) + "\r\n0\r\n\r\n", fashionai.BadAnswer},
		"too long, to EOF":   {"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat(" ", 10<<20), fashionai.BadAnswer},
		"bomb":               {"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " + strconv.Itoa(len(bomb)) + "\r\n\r\n" + bomb, fashionai.BadAnswer},
		"half a header":      {"HTTP/1.1 200 OK\r\nContent-", fashionai.Broken},
		"long header":        {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), fashionai.Broken},
		"not HTTP":           {"220 mail.example ESMTP\r\n\r\n", fashionai.Broken},
		"nothing":            {"", fashionai.Broken},
		"only interim ones":  {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 1000), fashionai.Broken},
		"short error":        {"HTTP/1.1 503 Busy\r\nContent-Length: 500\r\n\r\nsorry", fashionai.ServerError},
	} {
		t.Run(name, func(t *testing.T) {
			url, _ := speak(t, say(c.answer))
			api := client(t, url)
			out := recommend(api)
			if out.Class != c.want || out.Ranking.Len() != 0 || !out.Sent || out.StaleRetries != 0 {
				t.Errorf("got %+v (%v), want %s", out, out.Err, c.want)
			}
			if (c.want == fashionai.BadAnswer || c.want == fashionai.Broken) && out.Err == nil {
				t.Error("got no error to log, want one")
			}
			if out.Err != nil && (strings.Contains(out.Err.Error(), "sorry") || strings.Contains(out.Err.Error(), "mail")) {
				t.Errorf("the error %q quotes the answer", out.Err)
			}
			if s := api.Stats(); s.InUse != 0 || strings.Contains(name, "short") && s.Idle != 0 {
				t.Errorf("got %+v, want the connection gone", s)
			}
		})
	}
}

func gzipped(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, text)
	w.Close()
	return b.String()
}

func TestRankingsInEveryFraming(t *testing.T) {
	const body = `{"products":["p1","p2"]}`
	for name, answer := range map[string]string{
		"length":          list(body),
		"chunks":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\n" + body[:4] + "\r\n14\r\n" + body[4:] + "\r\n0\r\nX-Sum: 1\r\n\r\n",
		"to EOF":          "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body,
		"HTTP/1.0":        "HTTP/1.0 200 OK\r\n\r\n" + body,
		"after hints":     "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + list(body),
		"identity":        "HTTP/1.1 200 OK\r\nContent-Encoding: identity\r\n\r\n" + body,
		"lower case name": "HTTP/1.1 200 OK\r\ncontent-length: 24\r\n\r\n" + body,
	} {
		url, _ := speak(t, say(answer))
		if out := recommend(client(t, url)); out.Class != fashionai.OK || ids(out.Ranking) != "p1,p2" {
			t.Errorf("%s: got %+v, want p1,p2", name, out)
		}
	}
}

func TestRetryAfterOfAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{429, "7", 7 * time.Second},
		{429, "86400", time.Minute},
		{429, "soon", time.Second},
		{429, "", time.Second},
		{503, "3", 3 * time.Second},
		{503, "soon", 0},
		{503, "", 0},
	} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if c.header != "" {
				w.Header().Set("Retry-After", c.header)
			}
			w.WriteHeader(c.status)
		})
		if out := recommend(client(t, url)); out.RetryAfter != c.want {
			t.Errorf("%d, %q: got %s, want %s", c.status, c.header, out.RetryAfter, c.want)
		}
	}
}

func TestFetch(t *testing.T) {
	var asked, contentType string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked, contentType = r.Method+" "+r.RequestURI, r.Header.Get("Content-Type")
		w.WriteHeader(404)
		io.WriteString(w, `{"statusCode":404}`)
	})
	reply := client(t, url).Fetch("/api/v1/crm/protected/profile/email/a%2Fb%40c", time.Time{}, "")
	if reply.Class != fashionai.NotFound || string(reply.Body) != `{"statusCode":404}` {
		t.Errorf("got %+v, want not found with its body", reply)
	}
	if asked != "GET /api/v1/crm/protected/profile/email/a%2Fb%40c" || contentType != "application/json" {
		t.Errorf("got %q of type %q", asked, contentType)
	}
}

func TestPost(t *testing.T) {
	var asked string
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked = r.Method + " " + r.RequestURI + " " + string(body) + " " + r.Header.Get("Content-Type")
		io.WriteString(w, `{"products":[]}`)
	})
	c := client(t, url)
	for body, want := range map[string]string{`{"data":{"id":"p1"}}`: `POST /x?limit=1 {"data":{"id":"p1"}} application/json`, "": "POST /x?limit=1  application/json"} {
		reply := c.Post("/x?limit=1", []byte(body), time.Time{}, "")
		if reply.Class != fashionai.OK || string(reply.Body) != `{"products":[]}` || asked != want {
			t.Errorf("got %+v to %q, want %q answered", reply, asked, want)
		}
	}
}

// A rotation does not show: what is refused for the old token is sent again with the new one.
func TestUnauthorizedReadsTheTokenAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	token, err := fashionai.OpenToken(path)
	if err != nil {
		t.Fatal(err)
	}
	var seen []string
	accepted := "new"
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		now := r.Header.Get("X-FashionAI-APP-Token")
		if seen = append(seen, now); now != accepted {
			w.WriteHeader(401)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil || len(body) == 0 {
			t.Errorf("got %q, %v, want the event again", body, err)
		}
		io.WriteString(w, `{"products":["p1"]}`)
	})
	c := client(t, url, func(o *fashionai.Options) { o.Token = token })
	write(" new \n")
	if out := recommend(c); out.Class != fashionai.OK || !out.Renewed {
		t.Errorf("got %+v, want a ranking, brought by the new token", out)
	}
	if out := recommend(c); out.Class != fashionai.OK || out.Renewed {
		t.Errorf("got %+v, want a ranking at once", out)
	}
	write("newer") // not read again within a second
	accepted = "newer"
	if out := recommend(c); out.Class != fashionai.Unauthorized || out.Renewed {
		t.Errorf("got %+v, want it refused once", out)
	}
	if want := []string{"old", "new", "new", "new"}; !slices.Equal(seen, want) {
		t.Errorf("tokens: got %q, want %q", seen, want)
	}
	if err := token.Reload(); err != nil { // but when somebody asks for it
		t.Fatal(err)
	}
	if out := recommend(c); out.Class != fashionai.OK {
		t.Errorf("got %+v after Reload, want a ranking", out)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := fashionai.New(fashionai.Options{URL: "ftp://u:p@/?q", Timeout: -1, DialTimeout: -1, MaxConns: -1, MaxIdle: -1, MaxBody: -1})
	if err == nil {
		t.Fatal("got no error, want one")
	}
	for _, want := range []string{"scheme", "no host", "more than", "token", "user agent", "time-out", "dial", "connections", "idle", "body"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to tell of %q", err, want)
		}
	}
	if _, err := fashionai.New(fashionai.Options{URL: "http://a b"}); err == nil {
		t.Error("a URL that cannot be read: got no error")
	}
}
