package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/ops"
	"vitrine/internal/profile"
	"vitrine/internal/reco"
)

// office is an admin listener whose actions are written down, and can be made to fail.
type office struct {
	client

	breakers []ops.Breaker

	mu    sync.Mutex
	calls []string
	err   error
	log   bytes.Buffer
}

func (o *office) did(what string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, what)
	return o.err
}

// took returns what was called since it was last asked.
func (o *office) took() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	calls := strings.Join(o.calls, " | ")
	o.calls = nil
	return calls
}

func (o *office) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

func (o *office) logged() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.String()
}

func (o *office) Write(line []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(line)
}

func openOffice(t *testing.T) *office {
	t.Helper()
	o := &office{breakers: newBreakers(t, "recommendation", "redis")}
	a, err := ops.NewAdmin(ops.AdminOptions{
		Metrics: newMetrics(),
		Sources: ops.Sources{Breakers: o.breakers},
		Log:     slog.New(slog.NewTextHandler(o, nil)),
		Hash:    func(string) string { return "h4sh" },
		Explain: func(_ context.Context, r reco.Request) (any, error) {
			return map[string]string{"item": r.Item}, o.did("explain " + r.Session)
		},
		EraseSession: func(_ context.Context, session string) (any, error) {
			return map[string]int{"rankings": 2}, o.did("erase " + session)
		},
		EraseProfile: func(_ context.Context, kind, value string) (any, error) {
			if value == "nobody" {
				_, err := profile.ParseIdentifier(kind, value)
				return nil, err
			}
			return map[string]bool{"profile": true}, o.did("erase " + kind + " " + value)
		},
		Outbox:       func(context.Context) (any, error) { return map[string]int{"pending": 3}, o.did("outbox") },
		Redrive:      func(context.Context) (int, error) { return 2, o.did("redrive") },
		Reload:       func(context.Context) (any, error) { return map[string]bool{"token": true}, o.did("reload") },
		AllowedHosts: []string{"vitrine.internal"},
	})
	if err != nil {
		t.Fatal(err)
	}
	o.client = serveReal(t, a.Serve)
	return o
}

func TestAdminOptions(t *testing.T) {
	t.Parallel()
	_, err := ops.NewAdmin(ops.AdminOptions{EraseSession: func(context.Context, string) (any, error) { return struct{}{}, nil }})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want all three named", err)
	}
}

const event = `{"sessionId":"s1","eventType":"productView","data":{"id":"p1"}}`

func TestAdminActions(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	long := strings.Repeat("s", 256)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		did                      string // what was called
		says                     string // part of the answer
	}{
		{"explain", "POST", "/explain", event, 200, "explain s1", `"item": "p1"`},
		{"explain nothing", "POST", "/explain", ``, 400, "", "must be an object"},
		{"explain a bad event", "POST", "/explain", strings.Replace(event, `"p1"`, `1.5`, 1), 400, "", "data.id: "},
		{"explain far too much", "POST", "/explain", `"` + strings.Repeat("x", 128<<10) + `"`, 413, "", "131072 bytes"},
		{"explain by GET", "GET", "/explain", ``, 405, "", "use POST"},

		{"erase a session", "DELETE", "/sessions/sess456", ``, 200, "erase sess456", `"rankings": 2`},
		{"a slash in it", "DELETE", "/sessions/a%2Fb", ``, 200, "erase a/b", `"rankings": 2`},
		{"decoded once", "DELETE", "/sessions/a%252Fb%2541", ``, 200, "erase a%2Fb%41", `"rankings": 2`},
		{"a plus is a plus", "DELETE", "/sessions/a+b%20c", ``, 200, "erase a+b c", `"rankings": 2`},
		{"dots", "DELETE", "/sessions/%2e%2e", ``, 200, "erase ..", `"rankings": 2`},
		{"a line break", "DELETE", "/sessions/a%0d%0ab", ``, 200, "erase a\r\nb", `"rankings": 2`},
		{"not ASCII", "DELETE", "/sessions/" + url.PathEscape("é😀"), ``, 200, "erase é😀", `"rankings": 2`},
		{"the longest", "DELETE", "/sessions/" + long, ``, 200, "erase " + long, `"rankings": 2`},
		{"too long", "DELETE", "/sessions/" + long + "x", ``, 400, "", "1 to 256 bytes"},
		{"not UTF-8", "DELETE", "/sessions/%ff", ``, 400, "", "UTF-8"},
		{"none", "DELETE", "/sessions/", ``, 404, "", ""},
		{"two segments", "DELETE", "/sessions/a/b", ``, 404, "", ""},
		{"a way around", "DELETE", "/x/../sessions/a", ``, 404, "", ""},
		{"two slashes", "DELETE", "//sessions/a", ``, 404, "", ""},
		{"session by POST", "POST", "/sessions/a", ``, 405, "", "use DELETE"},
		{"session by GET", "GET", "/sessions/a", ``, 405, "", "use DELETE"},

		{"erase a profile", "DELETE", "/profiles/email/ana%40example.org", ``, 200, "erase email ana@example.org", `"profile": true`},
		{"by its id", "DELETE", "/profiles/user-profile-id/7", ``, 200, "erase user-profile-id 7", `"profile": true`},
		{"no identifier", "DELETE", "/profiles/email/nobody", ``, 400, "", "no e-mail address"},
		{"an unknown kind", "DELETE", "/profiles/name/ana", ``, 404, "", "identifier of this kind"},
		{"an empty value", "DELETE", "/profiles/email/", ``, 404, "", ""},
		{"a value not UTF-8", "DELETE", "/profiles/email/%c0%af", ``, 400, "", "UTF-8"},

		{"outbox", "GET", "/outbox", ``, 200, "outbox", `"pending": 3`},
		{"outbox by DELETE", "DELETE", "/outbox", ``, 405, "", "use GET"},
		{"redrive", "POST", "/outbox/redrive", ``, 200, "redrive", `"redriven": 2`},
		{"redrive by GET", "GET", "/outbox/redrive", ``, 405, "", "use POST"},
		{"reload", "POST", "/-/reload", ``, 200, "reload", `"token": true`},
		{"reload by GET", "GET", "/-/reload", ``, 405, "", "use POST"},
		{"nowhere", "GET", "/nowhere", ``, 404, "", ""},
		{"status by POST", "POST", "/status.json", ``, 405, "", "use GET"},
		{"page by POST", "POST", "/", ``, 405, "", "use GET"},

		{"pprof", "GET", "/debug/pprof/goroutine?debug=1", ``, 200, "", "goroutine profile"},
		{"pprof's list", "GET", "/debug/pprof/", ``, 200, "", "goroutine"},
		{"pprof by POST", "POST", "/debug/pprof/heap", ``, 405, "", "use GET"},
		{"a symbol", "POST", "/debug/pprof/symbol", `0x1`, 200, "", "num_symbols"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := o.do(tt.method, tt.path, tt.body)
			if got.status != tt.status || !strings.Contains(got.body, tt.says) {
				t.Errorf("got %d %s, want %d saying %q", got.status, got.body, tt.status, tt.says)
			}
			if did := o.took(); did != tt.did {
				t.Errorf("got %q done, want %q", did, tt.did)
			}
			if tt.status >= 400 {
				checkProblem(t, got)
			}
			if allow := got.header.Get("Allow"); (tt.status == 405) != (allow != "") {
				t.Errorf("got Allow %q for %d", allow, got.status)
			}
		})
	}
	log := o.logged()
	for _, personal := range []string{"sess456", "ana", "example.org"} {
		if strings.Contains(log, personal) {
			t.Errorf("the log names %q:\n%s", personal, log)
		}
	}
	for _, line := range []string{
		`msg="operator: erase session" session=h4sh`, `msg="operator: erase profile" kind=email person=h4sh`,
		`msg="operator: redrive dead letters" events=2`, `msg="operator: reload configuration"`,
	} {
		if !strings.Contains(log, line) {
			t.Errorf("the log lacks %s:\n%s", line, log)
		}
	}
}

func TestAdminActionsThatFail(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	o.fail(errors.New("redis is away"))
	for _, tt := range []struct {
		method, path, body string
		status             int
	}{
		{"POST", "/explain", event, 503},
		{"DELETE", "/sessions/a", ``, 503},
		{"DELETE", "/profiles/phone/5511999998888", ``, 503},
		{"GET", "/outbox", ``, 503},
		{"POST", "/outbox/redrive", ``, 503},
		{"POST", "/-/reload", ``, 422},
	} {
		got := o.do(tt.method, tt.path, tt.body)
		if got.status != tt.status || !strings.Contains(got.body, "redis is away") {
			t.Errorf("%s %s: got %d %s, want %d with the reason", tt.method, tt.path, got.status, got.body, tt.status)
		}
		checkProblem(t, got)
		if erase := tt.method == "DELETE"; erase != (got.header.Get("Retry-After") != "") {
			t.Errorf("%s %s: got Retry-After %q", tt.method, tt.path, got.header.Get("Retry-After"))
		}
	}
	if log := o.logged(); strings.Count(log, `err="redis is away"`) != 4 || strings.Contains(log, "5511999998888") {
		t.Errorf("got log\n%s\nwant the four failed changes, and nobody named", log)
	}
}

func TestAbsentFunctionsAreNotFound(t *testing.T) {
	t.Parallel()
	a, err := ops.NewAdmin(ops.AdminOptions{Metrics: newMetrics(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	c := serveReal(t, a.Serve)
	for path, method := range map[string]string{
		"/explain": "POST", "/sessions/a": "DELETE", "/profiles/email/a": "DELETE", "/outbox": "GET",
		"/outbox/redrive": "POST", "/-/reload": "POST", "/breaker/redis": "POST",
	} {
		got := c.do(method, path, `{"state":"open"}`)
		if got.status != 404 {
			t.Errorf("%s %s: got %d, want 404", method, path, got.status)
		}
		checkProblem(t, got)
	}
	for _, path := range []string{"/", "/status.json", "/debug/pprof/cmdline"} {
		if got := c.do("GET", path, ""); got.status != 200 {
			t.Errorf("%s: got %d, want 200", path, got.status)
		}
	}
}

func TestBreakerOverride(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	for _, tt := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"postgres", `{"state":"open"}`, 404, "no breaker of this name"},
		{"postgres", `{"state":"ajar"}`, 404, "no breaker of this name"},
		{"redis", `{"state":"ajar"}`, 400, "state: "},
		{"redis", `{"state":"half-open"}`, 400, "state: "},
		{"redis", `{"state":""}`, 400, "state: "},
		{"redis", `{}`, 400, "state: "},
		{"redis", ``, 400, "must be like"},
		{"redis", `open`, 400, "must be like"},
		{"redis", `{"state":7}`, 400, "must be like"},
		{"redis", `{"state":"open","until":"10m"}`, 400, "until"},
		{"redis", `{"state":"open"}{}`, 400, "data after"},
		{"redis", `{"state":"open","for":"10"}`, 400, "for: "},
		{"redis", `{"state":"open","for":"0s"}`, 400, "for: "},
		{"redis", `{"state":"open","for":"-1m"}`, 400, "for: "},
		{"redis", `{"state":"open","for":"24h1s"}`, 400, "for: "},
		{"redis", `{"state":"open","x":"` + strings.Repeat("x", 1024) + `"}`, 413, "1024 bytes"},
	} {
		got := o.do("POST", "/breaker/"+tt.name, tt.body)
		if got.status != tt.status || !strings.Contains(got.body, tt.says) {
			t.Errorf("%s %s: got %d %s, want %d saying %q", tt.name, tt.body, got.status, got.body, tt.status, tt.says)
		}
		checkProblem(t, got)
	}
	if now := o.breakers[1].Snapshot(); now.Override != "auto" || len(now.Changes) != 0 {
		t.Fatalf("got %+v after refusals only, want no change", now)
	}
	for _, tt := range []struct {
		body, override string
		state          breaker.State
		lasts          time.Duration
	}{
		{`{"state":"open","for":"24h"}`, "open", breaker.Open, 24 * time.Hour},
		{`{"state":"closed"}`, "closed", breaker.Closed, 10 * time.Minute},
		{`{"state":"open","for":""}`, "open", breaker.Open, 10 * time.Minute},
		{`{"state":"auto","for":"10m"}`, "auto", breaker.Closed, 0},
	} {
		before := time.Now()
		got := o.do("POST", "/breaker/recommendation", tt.body)
		after := time.Now()
		now := o.breakers[0].Snapshot()
		if got.status != 200 || now.Override != tt.override || now.State != tt.state {
			t.Errorf("%s: got %d %s and %+v", tt.body, got.status, got.body, now)
		}
		if until := now.OverrideUntil; tt.lasts > 0 && (until.Before(before.Add(tt.lasts)) || until.After(after.Add(tt.lasts))) {
			t.Errorf("%s: got it until %v, want %v from now", tt.body, until, tt.lasts)
		}
		var said struct{ Name, Override string }
		if err := json.Unmarshal([]byte(got.body), &said); err != nil || said.Name != "recommendation" || said.Override != tt.override {
			t.Errorf("%s: got %s, %v", tt.body, got.body, err)
		}
	}
	if log := o.logged(); !strings.Contains(log, `msg="operator: breaker" name=recommendation state=open for=24h0m0s`) {
		t.Errorf("got log\n%s", log)
	}
}

func TestWebPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	o := openOffice(t)
	own := "http://" + o.addr
	for _, tt := range []struct {
		name    string
		headers []string
		changes int // status of a change
		shows   int // status of what is merely shown
		pprof   int
	}{
		{"curl", nil, 200, 200, 200},
		{"the page itself", []string{"Origin", own, "Sec-Fetch-Site", "same-origin"}, 200, 200, 200},
		{"typed into the browser", []string{"Sec-Fetch-Site", "none"}, 200, 200, 200},
		{"a foreign page", []string{"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"}, 403, 200, 403},
		{"a foreign page, by Origin alone", []string{"Origin", "https://evil.example"}, 403, 200, 403},
		{"a foreign page, by Sec-Fetch-Site alone", []string{"Sec-Fetch-Site", "cross-site"}, 403, 200, 403},
		{"another port of this host", []string{"Origin", "http://127.0.0.1:1", "Sec-Fetch-Site", "same-site"}, 403, 200, 403},
		{"a page without an origin", []string{"Origin", "null"}, 403, 200, 403},
		{"two origins", []string{"Origin", own, "Origin", "https://evil.example"}, 403, 200, 403},
		{"this host over https", []string{"Origin", "https://" + o.addr}, 403, 200, 403},
		{"localhost", []string{"Host", "localhost:8379"}, 200, 200, 200},
		{"localhost in capitals, no port", []string{"Host", "LOCALHOST"}, 200, 200, 200},
		{"IPv6 loopback", []string{"Host", "[::1]:8379"}, 200, 200, 200},
		{"IPv6 loopback, no port", []string{"Host", "[::1]"}, 200, 200, 200},
		{"another loopback address", []string{"Host", "127.1.2.3"}, 200, 200, 200},
		{"a host that was allowed", []string{"Host", "vitrine.internal:80"}, 200, 200, 200},
		{"a name that points to loopback", []string{"Host", "rebound.evil.example"}, 403, 403, 403},
		{"a name that begins like it", []string{"Host", "localhost.evil.example"}, 403, 403, 403},
		{"a name that begins like an address", []string{"Host", "127.0.0.1.evil.example"}, 403, 403, 403},
		{"the pod's address", []string{"Host", "10.1.2.3:8379"}, 403, 403, 403},
		{"every address", []string{"Host", "0.0.0.0"}, 403, 403, 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, ask := range []struct {
				method, path string
				want         int
			}{
				{"DELETE", "/sessions/a", tt.changes},
				{"GET", "/status.json", tt.shows},
				{"GET", "/debug/pprof/cmdline", tt.pprof},
			} {
				got := o.do(ask.method, ask.path, "", tt.headers...)
				if got.status != ask.want {
					t.Errorf("%s %s: got %d, want %d", ask.method, ask.path, got.status, ask.want)
				}
				if ask.want == 403 {
					checkProblem(t, got)
				}
			}
			if did := o.took(); (did != "") != (tt.changes == 200) {
				t.Errorf("got %q done", did)
			}
		})
	}
}

// What an operator asked for is done even if the connection does not last, but not
// for ever.
func TestAnActionOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hungUp, done := make(chan struct{}), make(chan error, 1)
		a, err := ops.NewAdmin(ops.AdminOptions{
			Metrics: newMetrics(), Log: slog.New(slog.DiscardHandler), Hash: func(string) string { return "" },
			EraseSession: func(ctx context.Context, _ string) (any, error) {
				<-hungUp
				done <- ctx.Err()
				<-ctx.Done()
				return nil, ctx.Err()
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		l, start := newPipes(), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Serve(ctx, l) }()
		c := l.dial(t)
		if _, err := c.Write([]byte("DELETE /sessions/a HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = c.Close()
		synctest.Wait()
		close(hungUp)
		if err := <-done; err != nil {
			t.Errorf("got %v, want the action to go on", err)
		}
		time.Sleep(8*time.Second - time.Since(start))
		synctest.Wait()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took != 8*time.Second {
			t.Errorf("got it ended after %v, want 8 s", took)
		}
	})
}
