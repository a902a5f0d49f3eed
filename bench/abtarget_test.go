package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"vitrine/bench/wire"
)

// What the sidecar itself says is no answer counts as one from elsewhere; a wrong list fails
// the run, wherever it says that it is from.
func TestAnswersFromElsewhereAreCounted(t *testing.T) {
	w := work{kind: "redis-hit", ids: 2, questions: 1}
	right, none := string(w.want(0)), `{"products":[]}`
	for _, c := range []struct {
		source, status, body string
		wrong                bool
		others               int64
	}{
		{"cache", "vitrine; hit; detail=redis", right, false, 0},
		{"cache", "vitrine; hit; detail=memory", right, false, 1},
		{"api", "vitrine; fwd=miss", right, false, 1},
		{"none", "vitrine; fwd=miss", none, false, 1},
		{"cache", "vitrine; hit; detail=redis", none, true, 0},
		{"native", "vitrine; fwd=miss", none, true, 0},
	} {
		target := newHTTPTarget("127.0.0.1:1", "/", w)
		target.source, target.detail = "cache", "detail=redis"
		err := target.check(0, answered(t, c.source, c.status, c.body))
		if errors.Is(err, errAnswer) != c.wrong || target.others.Load() != c.others {
			t.Errorf("%+v: got %v and %d from elsewhere", c, err, target.others.Load())
		}
		if err := target.close(); err != nil {
			t.Error(err)
		}
	}
}

// answered is what the harness's client makes of an answer.
func answered(t *testing.T, source, status, body string) *wire.Answer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Vitrine-Source", source)
		w.Header().Set("Cache-Status", status)
		_, _ = io.WriteString(w, body)
	}))
	defer server.Close()
	client := wire.NewClient(server.Listener.Addr().String(), false)
	defer client.Close()
	var a wire.Answer
	if err := client.Do([]byte("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), &a, time.Now().Add(callTimeout)); err != nil {
		t.Fatal(err)
	}
	return &a
}
