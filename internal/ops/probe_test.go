package ops_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/ops"
)

func TestProbeOptions(t *testing.T) {
	t.Parallel()
	_, err := ops.NewProbe(ops.ProbeOptions{})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v, want all three named", err)
	}
}

func TestProbePaths(t *testing.T) {
	t.Parallel()
	c := serveReal(t, newProbe(t, ops.ProbeOptions{}).Serve)
	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"GET", "/startupz", 200},
		{"GET", "/livez", 200},
		{"GET", "/readyz", 200},
		{"GET", "/metrics", 200},
		{"GET", "/metrics?name[]=go_goroutines", 200},
		{"HEAD", "/livez", 405},
		{"POST", "/livez", 405},
		{"PUT", "/startupz", 405},
		{"DELETE", "/readyz", 405},
		{"OPTIONS", "/metrics", 405},
		{"BREW", "/livez", 405},
		{"GET", "/", 404},
		{"POST", "/", 404},
		{"GET", "/livez/", 404},
		{"GET", "//livez", 404},
		{"GET", "/x/../livez", 404},
		{"GET", "/debug/pprof/", 404},
		{"GET", "/status.json", 404},
	} {
		got := c.do(tt.method, tt.path, "")
		if got.status != tt.status {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, got.status, tt.status)
		}
		if tt.status == 405 && got.header.Get("Allow") != "GET" {
			t.Errorf("%s %s: got Allow %q, want GET", tt.method, tt.path, got.header.Get("Allow"))
		}
		if tt.status >= 400 && tt.method != "HEAD" {
			checkProblem(t, got)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %s: got Cache-Control %q", tt.method, tt.path, got.header.Get("Cache-Control"))
		}
	}
}

func checkProblem(t *testing.T, got reply) {
	t.Helper()
	var p struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(got.body), &p); err != nil {
		t.Errorf("%q: %v", got.body, err)
	}
	if kind := got.header.Get("Content-Type"); kind != "application/problem+json" || p.Type == "" || p.Title == "" || p.Detail == "" || p.Status != got.status {
		t.Errorf("got %s: %+v for status %d", kind, p, got.status)
	}
}

func TestLiveness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Pointer[error]
		var log bytes.Buffer
		p := newProbe(t, ops.ProbeOptions{
			Log: slog.New(slog.NewTextHandler(&log, nil)),
			SelfCall: func(context.Context) error {
				if err := broken.Load(); err != nil {
					return *err
				}
				return nil
			},
		})
		l := newPipes()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- p.Serve(ctx, l) }()
		get := func(path string) string {
			return ask(t, l.dial(t), "GET "+path+" HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n")
		}
		check := func(path, want string) {
			t.Helper()
			if got := get(path); got != want {
				t.Errorf("%s: got %s, want %s", path, got, want)
			}
		}
		const fine, away = "HTTP/1.1 200 OK", "HTTP/1.1 503 Service Unavailable"
		err := errors.New("connection refused")
		broken.Store(&err)
		check("/startupz", away)
		check("/livez", away)
		if !strings.Contains(log.String(), "connection refused") {
			t.Errorf("got log %q, want the reason", log.String())
		}
		broken.Store(nil)
		time.Sleep(time.Second)
		check("/startupz", fine)
		check("/livez", fine)
		broken.Store(&err)
		time.Sleep(time.Second)
		check("/livez", away)
		check("/startupz", fine) // a slow start is over once and for all
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// The pod's address is open to the whole cluster: many callers must cost the data path
// no more than one.
func TestCallersShareASelfCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int32
		l, stop := served(t, func(ctx context.Context) error {
			calls.Add(1)
			<-ctx.Done() // a data path that hangs
			return ctx.Err()
		})
		start := time.Now()
		var callers sync.WaitGroup
		for range 50 {
			callers.Go(func() {
				if got := ask(t, l.dial(t), livez); got != "HTTP/1.1 503 Service Unavailable" {
					t.Errorf("got %s", got)
				}
			})
		}
		callers.Wait()
		if took := time.Since(start); took != 900*time.Millisecond || calls.Load() != 1 {
			t.Errorf("got %d calls in %v, want one that was given up after 900 ms", calls.Load(), took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

// A kubelet that hangs up must not make the next one hear that the data path is gone.
func TestASelfCallOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, stop := served(t, func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(300 * time.Millisecond):
				return nil
			}
		})
		hasty := l.dial(t)
		go func() { _, _ = hasty.Write([]byte(livez)) }()
		synctest.Wait()
		_ = hasty.Close()
		if got := ask(t, l.dial(t), livez); got != "HTTP/1.1 200 OK" {
			t.Errorf("got %s", got)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	var redis atomic.Bool
	redis.Store(true)
	c := serveReal(t, newProbe(t, ops.ProbeOptions{Ready: []ops.Dependency{
		{Name: "redis", Check: func() (bool, string) { return redis.Load(), "PING took 1 ms" }},
		{Name: "api", Check: func() (bool, string) { return true, "" }},
	}}).Serve)
	for _, up := range []bool{true, false, true} {
		redis.Store(up)
		got := c.do("GET", "/readyz", "")
		want := ops.Readiness{Ready: up, Dependencies: map[string]ops.DependencyStatus{
			"redis": {Ready: up, Detail: "PING took 1 ms"}, "api": {Ready: true},
		}}
		var said ops.Readiness
		if err := json.Unmarshal([]byte(got.body), &said); err != nil {
			t.Fatal(err)
		}
		if said.Ready != want.Ready || len(said.Dependencies) != 2 ||
			said.Dependencies["redis"] != want.Dependencies["redis"] || said.Dependencies["api"] != want.Dependencies["api"] {
			t.Errorf("got %+v, want %+v", said, want)
		}
		status := http.StatusOK
		if !up {
			status = http.StatusServiceUnavailable
		}
		if got.status != status || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %d %s, want %d", got.status, got.header.Get("Content-Type"), status)
		}
	}
}
