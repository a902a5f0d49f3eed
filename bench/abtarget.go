package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

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

// noter is a target that has something to say of itself after a comparison.
type noter interface {
	notes(ctx context.Context, side string) []string
}

// work is what both sides are asked.
type work struct {
	kind      string // hit, redis-hit, miss, native or deliver
	questions int
	ids       int
	delay     time.Duration // of the API
	env       settings
	binary    string // of the sidecar; empty builds the one of this module
	pin       bool
	pool      int // of redis-get

	processors int // the server may use, if not pinned; 0 is all
}

// with is the work with further settings.
func (w work) with(more settings) work {
	w.env = maps.Clone(w.env)
	maps.Copy(w.env, more)
	return w
}

// cpus are the processors of a server.
func (w work) cpus() string {
	switch {
	case w.pin:
		return serverCPU
	case w.processors > 0:
		return "0-" + strconv.Itoa(w.processors-1)
	default:
		return ""
	}
}

// otherCPUs are those of whatever must not disturb it.
func (w work) otherCPUs() string {
	if w.pin {
		return generatorCPUs()
	}
	return ""
}

func (w work) session(question int) string { return "ab" + strconv.Itoa(1_000_000+question) }

// body is the request for a question. The native ordering brings the viewed product
// with it, in its middle.
func (w work) body(question int) []byte {
	r := traffic.Request{Session: w.session(question), Type: "customShelf"}
	if w.kind == "native" {
		r.Type, r.Complete, r.Native = "productView", true, w.native(question)
		r.ID = r.Native[w.ids/2]
	}
	return r.AppendBody(nil)
}

func (w work) native(question int) (ids []string) {
	for i := range w.ids {
		ids = append(ids, "native-product-"+strconv.Itoa(1_000_000+i*w.questions+question))
	}
	return ids
}

// want is the answer's body.
func (w work) want(question int) []byte {
	if w.kind != "native" {
		return baseline.List(w.session(question), w.ids)
	}
	ids := slices.Delete(w.native(question), w.ids/2, w.ids/2+1)
	return []byte(`{"products":["` + strings.Join(ids, `","`) + `"]}`)
}

// keepWords is how many questions and answers are kept ready; beyond it they are made up
// each time, which costs the generator about two microseconds.
const keepWords = 100_000

// httpTarget is anything that answers HTTP.
type httpTarget struct {
	work     work
	path     string
	client   *wire.Client
	requests [][]byte // nil makes them up
	want     [][]byte
	anything bool   // only the status is checked
	source   string // what Vitrine-Source should be; empty is anything
	detail   string // what Cache-Status should hold
	asked    atomic.Int64
	others   atomic.Int64 // answers of another source
	fresh    func() []byte
	answers  sync.Pool
	usage    func() rig.Usage
	closers  []func() error
}

func newHTTPTarget(addr, path string, w work) *httpTarget {
	t := &httpTarget{work: w, path: path, client: wire.NewClient(addr, false), answers: sync.Pool{New: func() any { return new(wire.Answer) }}}
	if w.questions <= keepWords {
		for q := range w.questions {
			t.requests = append(t.requests, traffic.AppendPost(nil, path, w.body(q)))
			t.want = append(t.want, w.want(q))
		}
	}
	if w.kind == "miss" {
		t.anything, t.fresh = true, w.newQuestions()
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
	if err := t.client.Do(t.request(question), a, time.Now().Add(callTimeout)); err != nil {
		return err
	}
	return t.check(question, a)
}

func (t *httpTarget) line() (do func(question int) error, done func() error, err error) {
	l, err := wire.DialLine(t.client.Addr(), callTimeout)
	if err != nil {
		return nil, nil, err
	}
	var a wire.Answer
	return func(question int) error {
		if err := l.Do(t.request(question), &a); err != nil {
			return err
		}
		return t.check(question, &a)
	}, l.Close, nil
}

func (t *httpTarget) check(question int, a *wire.Answer) error {
	source := a.Header("vitrine-source")
	elsewhere := t.source != "" && source != t.source || t.detail != "" && !strings.Contains(a.Header("cache-status"), t.detail)
	switch {
	case a.Status != 200:
		return fmt.Errorf("%w: status %d: %.200s", errAnswer, a.Status, a.Body)
	case elsewhere && source == "none": // it says so itself: Redis was too late, and the API has too much to do
	case !t.anything && !bytes.Equal(a.Body, t.answer(question)):
		return fmt.Errorf("%w to question %d: got %.120s, want %.120s", errAnswer, question, a.Body, t.answer(question))
	}
	t.asked.Add(1)
	if elsewhere {
		t.others.Add(1)
	}
	return nil
}

func (t *httpTarget) request(question int) []byte {
	switch {
	case t.fresh != nil:
		return t.fresh()
	case t.requests == nil:
		return traffic.AppendPost(make([]byte, 0, 512), t.path, t.work.body(question))
	default:
		return t.requests[question]
	}
}

func (t *httpTarget) answer(question int) []byte {
	if t.want == nil {
		return t.work.want(question)
	}
	return t.want[question]
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
	first, second, both := strings.Cut(name, "+")
	if both {
		return openSeries(ctx, first, second, w)
	}
	name, unix := strings.CutSuffix(name, "@unix")
	kind, path, _ := strings.Cut(name, ":")
	switch {
	case kind == "vitrine":
		if path != "" {
			w.binary = path
		}
		return openVitrine(ctx, w, unix)
	case name == "bare":
		return openBare(ctx, w, unix)
	case name == "nginx" || name == "varnish":
		return openProxy(ctx, name, w)
	case name == "redis-get":
		return openRedisGet(ctx, w)
	case name == "direct":
		return openDirect(ctx, w)
	case name == "relay":
		return openRelay(ctx, w)
	case name == "post":
		return openPost(ctx, w)
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
	t := newHTTPTarget(addr, "/"+path, w)
	t.anything = true
	return t, nil
}

// series is two targets asked one after the other for one answer.
type series struct{ first, second target }

func openSeries(ctx context.Context, first, second string, w work) (target, error) {
	a, err := openTarget(ctx, first, w)
	if err != nil {
		return nil, err
	}
	b, err := openTarget(ctx, second, w)
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return series{a, b}, nil
}

func (t series) do(question int) error {
	return errors.Join(t.first.do(question), t.second.do(question))
}

// cost is unknown: it is not one server's.
func (t series) cost() (cpu time.Duration, other float64) {
	_, x := t.first.cost()
	_, y := t.second.cost()
	return 0, max(x, y)
}

func (t series) close() error { return errors.Join(t.first.close(), t.second.close()) }

// primers ask at once; more would only wait for the sidecar's bulkhead.
const primers = 32

// prime asks every question once.
func (t *httpTarget) prime(ctx context.Context) error {
	if err := t.ask(ctx, t.work.questions); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	return nil
}

// ask asks so many questions, one after the other and from the start again.
func (t *httpTarget) ask(ctx context.Context, n int) error {
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
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i % t.work.questions
	}
	close(next)
	group.Wait()
	return errors.Join(errors.Join(errs...), ctx.Err())
}
