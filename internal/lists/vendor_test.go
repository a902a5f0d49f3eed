package lists_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/lists"
	"vitrine/internal/reco"
)

const (
	products   = "/api/v1/products/protected/"
	collection = "/api/v1/merchandising-collections/protected/"

	nothing = `{"statusCode":404,"message":"No active collection","error":"Not Found"}`
)

// vendor is the API. What is set is how it answers from then on.
type vendor struct {
	mu    sync.Mutex
	class fashionai.Class // of every answer; OK = body with 200
	body  string
	takes time.Duration
	calls []string // "METHOD path body" of each, in order
}

func (v *vendor) Fetch(path string, _ time.Time, _ string) fashionai.Reply {
	return v.answer("GET " + path)
}

func (v *vendor) Post(path string, body []byte, _ time.Time, _ string) fashionai.Reply {
	return v.answer("POST " + path + " " + string(body))
}

func (v *vendor) answer(call string) fashionai.Reply {
	v.mu.Lock()
	v.calls = append(v.calls, call)
	class, body, takes := v.class, v.body, v.takes
	v.mu.Unlock()
	time.Sleep(takes)
	r := fashionai.Reply{Result: fashionai.Result{Class: class, Sent: true, Took: takes}, Body: []byte(body)}
	r.Status = map[fashionai.Class]int{
		fashionai.OK: 200, fashionai.Rejected: 400, fashionai.Unauthorized: 401, fashionai.NotFound: 404,
		fashionai.RateLimited: 429, fashionai.ServerError: 503,
	}[class]
	if class == fashionai.RateLimited {
		r.RetryAfter = 7 * time.Second
	}
	return r
}

// says makes the vendor answer every call alike.
func (v *vendor) says(class fashionai.Class, body string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.class, v.body = class, body
}

// slow makes every call take so long.
func (v *vendor) slow(takes time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.takes = takes
}

func (v *vendor) called() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]string(nil), v.calls...)
}

// remote is a Redis that all pods of a test share.
type remote struct {
	mu     sync.Mutex
	values map[string]string
	lives  map[string]time.Duration
	hears  []func(string)
	away   error
	gets   int
}

func newRemote() *remote {
	return &remote{values: make(map[string]string), lives: make(map[string]time.Duration)}
}

func (r *remote) Get(_ context.Context, key string) (string, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.gets++
	value, ok := r.values[key]
	return value, ok, r.away
}

func (r *remote) Set(_ context.Context, key, value string, life time.Duration) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.away == nil {
		r.values[key], r.lives[key] = value, life
	}
	return r.away
}

func (r *remote) Publish(_ context.Context, _, message string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, hear := range r.hears {
		hear(message)
	}
	return r.away
}

func (r *remote) Subscribe(ctx context.Context, _ string, receive func(string)) error {
	r.mu.Lock()
	r.hears = append(r.hears, receive)
	r.mu.Unlock()
	<-ctx.Done()
	return nil
}

// goes makes every call fail, or none.
func (r *remote) goes(away error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.away = away
}

func (r *remote) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.gets
}

// change replaces every value.
func (r *remote) change(to func(string) string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for key, value := range r.values {
		r.values[key] = to(value)
	}
}

// pod is what a test asks.
type pod struct {
	*lists.Lists
	t      *testing.T
	v      *vendor
	logged func() string
}

// open returns lists of the vendor, all of them on, running.
func open(t *testing.T, v *vendor, change ...func(*lists.Options)) pod {
	t.Helper()
	b, err := breaker.New(breaker.Defaults("lists"))
	if err != nil {
		t.Fatal(err)
	}
	log := new(transcript)
	life := lists.Life{Fresh: 10 * time.Minute, Stale: 2 * time.Hour}
	o := lists.Options{
		API: v, Breaker: b, HashKey: [32]byte{1}, Budget: 300 * time.Millisecond, MaxInFlight: 2, Memory: lists.DefaultMemory,
		Lives: map[lists.Kind]lists.Life{lists.Similar: life, lists.SalesRanking: life, lists.Collections: life, lists.Search: life},
		Log:   slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	l, err := lists.New(o)
	if err != nil {
		t.Fatal(err)
	}
	go l.Run(t.Context())
	return pod{l, t, v, log.String}
}

func shared(r *remote) func(*lists.Options) { return func(o *lists.Options) { o.Remote = r } }

// bubble runs a test of lists without Redis in a bubble of time.
func bubble(t *testing.T, test func(pod), change ...func(*lists.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(open(t, &vendor{class: fashionai.OK}, change...)) })
}

// request is r put to whatever list is at its path.
func (p pod) request(r lists.Request) lists.Answer {
	p.t.Helper()
	k, _, ok := p.Serves(r.Path)
	if !ok {
		p.t.Fatalf("%s: got nothing served", r.Path)
	}
	return p.Answer(k, r)
}

// want asks and checks what came, and from where.
func (p pod) want(what string, r lists.Request, status int, source reco.Source, body string) lists.Answer {
	p.t.Helper()
	a := p.request(r)
	if a.Status != status || a.Source != source || string(a.Body) != body {
		p.t.Errorf("%s: got %d %s (%s) %s%s\nwant %d %s %s", what, a.Status, a.Source, a.Reason, a.Body, a.Detail, status, source, body)
	}
	return a
}

// wantCalls checks how often the API was called so far.
func (p pod) wantCalls(what string, want int) {
	p.t.Helper()
	synctest.Wait()
	if got := p.v.called(); len(got) != want {
		p.t.Errorf("%s: got calls %q, want %d", what, got, want)
	}
}

// transcript is a log that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
