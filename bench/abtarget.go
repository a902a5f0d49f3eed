package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"vitrine/bench/baseline"
	"vitrine/bench/rig"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// target is one side of a comparison. do makes one call and checks it; cost is the CPU
// the server's process has used, 0 if there is no telling, and the share of answers
// that came from another source than the work is about. All may be used concurrently
// but close.
type target interface {
	do(question int) error
	cost() (cpu time.Duration, other float64)
	close() error
}

// work is what both sides are asked.
type work struct {
	kind      string // hit, redis-hit, miss or native
	questions int
	ids       int
	delay     time.Duration // of the API
	env       settings
	binary    string
	pin       bool
}

// Processors when pinned: the server on the first, the generator on the others.
const serverCPU = "0"

func (w work) cpus() string {
	if w.pin {
		return serverCPU
	}
	return ""
}

func (w work) session(question int) string { return "ab" + strconv.Itoa(100_000+question) }

// body is the request for a question.
func (w work) body(question int) []byte {
	r := traffic.Request{Session: w.session(question), Type: "customShelf"}
	if w.kind == "native" {
		r.Complete = true
		for i := range w.ids {
			r.Native = append(r.Native, "native-product-"+strconv.Itoa(1_000_000+i*w.questions+question))
		}
	}
	return r.AppendBody(nil)
}

// want is the answer's body.
func (w work) want(question int) []byte {
	if w.kind != "native" {
		return baseline.List(w.session(question), w.ids)
	}
	body := w.body(question)
	start := bytes.Index(body, []byte(`"native":`)) + len(`"native":`)
	return slices.Concat([]byte(`{"products":`), body[start:len(body)-2], []byte(`}`))
}

// httpTarget is anything that answers HTTP.
type httpTarget struct {
	client   *wire.Client
	requests [][]byte
	want     [][]byte // nil checks the status only
	source   string   // what Vitrine-Source should be; empty is anything
	asked    atomic.Int64
	others   atomic.Int64 // answers of another source
	fresh    func() []byte
	answers  sync.Pool
	usage    func() rig.Usage
	closers  []func() error
}

func newHTTPTarget(addr string, w work) *httpTarget {
	t := &httpTarget{client: wire.NewClient(addr, false), answers: sync.Pool{New: func() any { return new(wire.Answer) }}}
	for q := range w.questions {
		t.requests = append(t.requests, traffic.AppendPost(nil, traffic.Path, w.body(q)))
		t.want = append(t.want, w.want(q))
	}
	if w.kind == "miss" {
		t.want, t.fresh = nil, w.newQuestions()
	}
	t.closers = append(t.closers, func() error { t.client.Close(); return nil })
	return t
}

// newQuestions returns what makes requests of sessions nobody has seen.
func (w work) newQuestions() func() []byte {
	var n atomic.Int64
	run := strconv.FormatInt(time.Now().UnixNano(), 36)
	return func() []byte {
		r := traffic.Request{Session: run + "-" + strconv.FormatInt(n.Add(1), 10), Type: "customShelf"}
		return r.AppendHTTP(make([]byte, 0, 512))
	}
}

var errAnswer = errors.New("wrong answer")

// callTimeout is far above anything a comparison should see.
const callTimeout = 10 * time.Second

func (t *httpTarget) do(question int) error {
	a, _ := t.answers.Get().(*wire.Answer) // the pool holds nothing else
	defer t.answers.Put(a)
	request := t.requests[question]
	if t.fresh != nil {
		request = t.fresh()
	}
	if err := t.client.Do(request, a, time.Now().Add(callTimeout)); err != nil {
		return err
	}
	switch {
	case a.Status != 200:
		return fmt.Errorf("%w: status %d: %.200s", errAnswer, a.Status, a.Body)
	case t.want != nil && !bytes.Equal(a.Body, t.want[question]):
		return fmt.Errorf("%w to question %d: got %.120s, want %.120s", errAnswer, question, a.Body, t.want[question])
	}
	t.asked.Add(1)
	if t.source != "" && a.Header("vitrine-source") != t.source {
		t.others.Add(1)
	}
	return nil
}

func (t *httpTarget) cost() (cpu time.Duration, other float64) {
	if t.usage != nil {
		cpu = t.usage().CPU
	}
	return cpu, float64(t.others.Load()) / float64(max(1, t.asked.Load()))
}

func (t *httpTarget) close() error {
	var errs []error
	for _, c := range slices.Backward(t.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// openTarget makes a side from its name.
func openTarget(ctx context.Context, name string, w work) (target, error) {
	name, unix := strings.CutSuffix(name, "@unix")
	kind, path, _ := strings.Cut(name, ":")
	switch {
	case kind == "vitrine":
		w.binary = path
		return openVitrine(ctx, w, unix)
	case name == "bare":
		return openBare(ctx, w, unix)
	case name == "redis-get":
		return openRedisGet(ctx, w)
	case name == "direct":
		return openDirect(ctx, w)
	case kind == "http":
		return openURL(name, w)
	default:
		return nil, fmt.Errorf("there is no target %q (see -h)", name)
	}
}

// openURL reaches a server somebody else has started. What it must answer is unknown.
func openURL(url string, w work) (target, error) {
	addr, path, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	if !strings.Contains(addr, ":") {
		return nil, fmt.Errorf("%q names no port", url)
	}
	t := newHTTPTarget(addr, w)
	t.want = nil
	for q := range t.requests {
		t.requests[q] = traffic.AppendPost(nil, "/"+path, w.body(q))
	}
	return t, nil
}

// openVitrine starts a sidecar with its own API and, if the work needs it, Redis, and
// asks every question once so that the answers are where the work wants them.
func openVitrine(ctx context.Context, w work, unix bool) (target, error) {
	t := newHTTPTarget("", w)
	if err := t.startVitrine(ctx, w, unix); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *httpTarget) startVitrine(ctx context.Context, w work, unix bool) error {
	upstream, err := baseline.StartUpstream(ctx, w.ids)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, upstream.Close)
	o := rig.Options{Binary: w.binary, Upstream: upstream.URL(), Token: "ab", Unix: unix, CPUs: w.cpus(), Env: map[string]string{
		"VITRINE_BUDGET": "5s", "VITRINE_CACHE_FRESH": "10h", "VITRINE_CACHE_FRESH_EVENTS": "0",
	}}
	if w.kind == "redis-hit" {
		o.Env["VITRINE_CACHE_MEMORY"] = "1MiB" // the least there is: of enough questions nearly all are Redis's
		server, err := rig.StartRedis(ctx)
		if err != nil {
			return err
		}
		t.closers = append(t.closers, server.Close)
		o.Redis = server.URL()
	}
	maps.Copy(o.Env, w.env)
	if o.Binary == "" {
		dir, err := os.MkdirTemp("", "vitrine-bench-")
		if err != nil {
			return err
		}
		t.closers = append(t.closers, func() error { return os.RemoveAll(dir) })
		if o.Binary, err = rig.Build(ctx, dir); err != nil {
			return err
		}
	}
	sidecar, err := rig.StartSidecar(ctx, o)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, sidecar.Close)
	t.client, t.usage = wire.NewClient(sidecar.Addr(), false), sidecar.Usage
	if w.kind == "native" {
		t.source = "native"
		upstream.Delay(w.delay)
		return sidecar.Override(ctx, "recommendation", "open", time.Hour)
	}
	if err := t.prime(ctx); err != nil {
		return err
	}
	upstream.Delay(w.delay)
	t.source = "cache"
	if w.kind == "miss" {
		t.source = "api"
	}
	return nil
}

// primers ask at once; more would only wait for the sidecar's bulkhead.
const primers = 32

// prime asks every question once.
func (t *httpTarget) prime(ctx context.Context) error {
	next := make(chan int)
	errs := make([]error, primers)
	var group sync.WaitGroup
	for i := range primers {
		group.Go(func() {
			for q := range next {
				if err := t.do(q); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for q := range t.requests {
		if ctx.Err() != nil {
			break
		}
		next <- q
	}
	close(next)
	group.Wait()
	if err := errors.Join(errors.Join(errs...), ctx.Err()); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}

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
	child, err := rig.StartChild(ctx, w.cpus(), "bare", addr, file)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	t := newHTTPTarget(child.Addr(), w)
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
	t := newHTTPTarget(upstream.Addr(), w)
	t.closers = append(t.closers, upstream.Close)
	return t, nil
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
	t := &redisGet{server: server, client: redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 256})}
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

// cost knows nothing: the client's CPU is ours and cannot be told apart.
func (t *redisGet) cost() (cpu time.Duration, other float64) { return 0, 0 }

func (t *redisGet) close() error { return errors.Join(t.client.Close(), t.server.Close()) }
