package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"

	"vitrine/bench/baseline"
	"vitrine/bench/rig"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// bareHeaders are those of a cache hit, so that a bare handler writes as many bytes.
func bareHeaders() [][2]string {
	return [][2]string{
		{"Cache-Control", "private, no-store"},
		{"Vitrine-Source", "cache"},
		{"Cache-Status", "vitrine; hit; ttl=35987; detail=memory"},
		{"Age", "12"},
		{"Vitrine-Event", "01a1fff7-fce2-7050-8d50-c1db31643adf"},
	}
}

// openBare starts a bare handler in a process of its own.
func openBare(ctx context.Context, w work, unix bool) (target, error) {
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return nil, err
	}
	var answers []baseline.Answer
	for q := range w.questions {
		answers = append(answers, baseline.Answer{Request: string(w.body(q)), Headers: bareHeaders(), Body: string(w.want(q))})
	}
	addr, file := "127.0.0.1:0", filepath.Join(dir, "answers.json")
	if unix {
		addr = "unix:" + filepath.Join(dir, "bare.sock")
	}
	remove := func() error { return os.RemoveAll(dir) }
	if err := writeAnswers(file, answers); err != nil {
		return nil, errors.Join(err, remove())
	}
	child, err := rig.StartChild(ctx, w.cpus(), "bare", addr, file, "0s")
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	t := newHTTPTarget(child.Addr(), traffic.Path, w)
	t.usage = child.Usage
	t.closers = append(t.closers, remove, child.Close)
	return t, nil
}

// openDirect calls the API itself, as an app without a sidecar does.
func openDirect(ctx context.Context, w work) (target, error) {
	upstream, err := baseline.StartUpstream(ctx, w.ids)
	if err != nil {
		return nil, err
	}
	upstream.Delay(w.delay)
	t := newHTTPTarget(upstream.Addr(), traffic.Path, w)
	t.closers = append(t.closers, upstream.Close)
	return t, nil
}

// openRelay starts a bare proxy in a process of its own, in front of an API where the
// sidecar's is.
func openRelay(ctx context.Context, w work) (target, error) {
	upstream, err := baseline.StartUpstream(ctx, w.ids)
	if err != nil {
		return nil, err
	}
	upstream.Delay(w.delay)
	child, err := rig.StartChild(ctx, w.cpus(), "relay", "127.0.0.1:0", upstream.Addr())
	if err != nil {
		return nil, errors.Join(err, upstream.Close())
	}
	t := newHTTPTarget(child.Addr(), traffic.Path, w)
	t.usage = child.Usage
	t.closers = append(t.closers, upstream.Close, child.Close)
	return t, nil
}

// startUpstream starts the API in a process of its own.
func startUpstream(ctx context.Context, w work) (*rig.Child, error) {
	return rig.StartChild(ctx, w.otherCPUs(), "upstream", "127.0.0.1:0", strconv.Itoa(w.ids), w.delay.String())
}

// eventsAt asks such an API how many events it has received.
func eventsAt(upstream *wire.Client) (int64, error) {
	var a wire.Answer
	if err := upstream.Do([]byte("GET "+baseline.EventsPath+" HTTP/1.1\r\nHost: localhost\r\n\r\n"), &a, time.Now().Add(callTimeout)); err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(a.Body), 10, 64)
}

// poster is a plain fasthttp client that posts events to the API. Its CPU is that of
// this process: the API is in another.
type poster struct {
	client *fasthttp.HostClient
	api    *rig.Child
	bodies [][]byte
	want   [][]byte
}

func openPost(ctx context.Context, w work) (target, error) {
	api, err := startUpstream(ctx, w)
	if err != nil {
		return nil, err
	}
	t := &poster{api: api, client: &fasthttp.HostClient{
		Addr: api.Addr(), MaxConns: 1 << 10, ReadTimeout: callTimeout, WriteTimeout: callTimeout,
		NoDefaultUserAgentHeader: true, DisableHeaderNamesNormalizing: true, DisablePathNormalizing: true,
	}}
	for q := range w.questions {
		t.bodies, t.want = append(t.bodies, w.body(q)), append(t.want, w.want(q))
	}
	return t, nil
}

func (t *poster) do(question int) error {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.Header.SetMethod(fasthttp.MethodPost)
	request.SetRequestURI("http://" + t.api.Addr() + traffic.Path)
	request.Header.SetContentType("application/json")
	request.Header.Set("X-FashionAI-APP-Token", "ab")
	request.SetBodyRaw(t.bodies[question])
	if err := t.client.Do(request, response); err != nil {
		return err
	}
	if response.StatusCode() != fasthttp.StatusOK || !bytes.Equal(response.Body(), t.want[question]) {
		return fmt.Errorf("%w to question %d: %d %.120s", errAnswer, question, response.StatusCode(), response.Body())
	}
	return nil
}

func (t *poster) cost() (cpu time.Duration, other float64) { return rig.Self().CPU, 0 }

func (t *poster) close() error {
	t.client.CloseIdleConnections()
	return t.api.Close()
}

// redisGet is a plain go-redis GET of the same answers.
type redisGet struct {
	server *rig.Redis
	client *redis.Client
	keys   []string
	want   [][]byte
}

func openRedisGet(ctx context.Context, w work) (target, error) {
	server, err := rig.StartRedis(ctx)
	if err != nil {
		return nil, err
	}
	t := &redisGet{server: server, client: redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: w.pool})}
	for q := range w.questions {
		t.keys, t.want = append(t.keys, "answer:"+w.session(q)), append(t.want, w.want(q))
		if err := t.client.Set(ctx, t.keys[q], t.want[q], 0).Err(); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	return t, nil
}

func (t *redisGet) do(question int) error {
	ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
	defer cancel()
	got, err := t.client.Get(ctx, t.keys[question]).Bytes()
	if err == nil && !bytes.Equal(got, t.want[question]) {
		err = errAnswer
	}
	return err
}

// cost is of this process, which does nothing else.
func (t *redisGet) cost() (cpu time.Duration, other float64) { return rig.Self().CPU, 0 }

func (t *redisGet) close() error { return errors.Join(t.client.Close(), t.server.Close()) }
