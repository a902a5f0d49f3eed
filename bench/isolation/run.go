// Package isolation looks for lists that reach somebody they are not for.
//
// The API it puts behind the sidecars says with every id whose it is: session, user,
// question, and how often the session had been erased. So do the native lists it sends
// along. Shoppers then do at random all that could mix them up: they log in and out, share
// a session, go from pod to pod, ask for several lists at once, hang up, are erased; and
// profiles are asked for in between.
package isolation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// Options say how much is asked of how many.
type Options struct {
	Binary   string // a built sidecar
	Requests int    // in total
	Pods     int    // beside one Redis
	Workers  int    // requests under way together
	Sessions int    // that live at once; each gives way to a new one after a while
	Seed     uint64 // of what is asked, and where
	Redis    string // redis.url
	KeyFile  string // profile.key_file

	// Progress is told now and then how many requests were answered. nil tells nobody.
	Progress func(done int)
}

// Result is what came of it.
type Result struct {
	Answers map[string]int // lists by source, and what else was done
	Wrong   int            // lists that were not the asker's
	First   []string       // of them
	Failed  int            // requests without a good answer
	Why     string         // the first of them failed
	Took    time.Duration
}

// Run asks, and returns when everything was answered. An error means that it could not be tried,
// or that a sidecar ended by itself, as one with a race detector does.
func Run(ctx context.Context, o Options) (result Result, err error) {
	erased := newRegister()
	server := httptest.NewServer(&api{erased: erased, length: 12})
	defer server.Close()
	c := &crowd{opts: o, judge: newJudge(erased), turn: make([]atomic.Int64, o.Sessions)}
	c.left.Store(int64(o.Requests))
	defer func() {
		for _, p := range c.pods {
			p.client.Close()
			err = errors.Join(err, p.sidecar.Close())
		}
	}()
	for range o.Pods {
		sidecar, err := rig.StartSidecar(ctx, rig.Options{Binary: o.Binary, Upstream: server.URL, Token: fakeapi.DefaultToken, Redis: o.Redis, Env: o.environ()})
		if err != nil {
			return Result{}, err
		}
		c.pods = append(c.pods, pod{sidecar, wire.NewClient(sidecar.Addr(), false)})
	}
	began := time.Now()
	var group sync.WaitGroup
	for i := range o.Workers {
		group.Go(func() { c.work(ctx, rand.New(rand.NewPCG(o.Seed, uint64(i)))) })
	}
	group.Wait()
	result = Result{
		Answers: c.judge.answers, Wrong: c.judge.wrong, First: c.judge.first,
		Failed: c.failed, Why: c.why, Took: time.Since(began),
	}
	for _, p := range c.pods {
		if !p.sidecar.Running() {
			return result, fmt.Errorf("a sidecar has ended by itself:\n%s", p.sidecar.Log())
		}
	}
	return result, ctx.Err()
}

// BuildRace builds the sidecar of the module in the working folder with the race detector,
// and returns its path.
func BuildRace(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "vitrine-race")
	command := exec.CommandContext(ctx, "go", "build", "-race", "-o", path, "vitrine/cmd/vitrine")
	command.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the sidecar with the race detector: %w\n%s", err, out)
	}
	return path, nil
}

// environ makes lists go stale and leave memory soon, so that every way to an answer is taken.
func (o *Options) environ() map[string]string {
	return map[string]string{
		"VITRINE_CACHE_FRESH": "2s", "VITRINE_CACHE_STALE": "1m", "VITRINE_CACHE_EMPTY": "100ms", "VITRINE_CACHE_MEMORY": "1MiB",
		"VITRINE_PROFILE_FRESH": "2s", "VITRINE_PROFILE_STALE": "1m", "VITRINE_PROFILE_KEY_FILE": o.KeyFile,
		"VITRINE_BUDGET": "3s", "VITRINE_REDIS_BUDGET": "100ms", // a race detector takes its time
		"GORACE": "halt_on_error=1 exitcode=66",
	}
}

// Write writes the result for people.
func (r Result) Write(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, what := range slices.Sorted(maps.Keys(r.Answers)) {
		fmt.Fprintf(t, "%s\t%d\t\n", what, r.Answers[what])
	}
	fmt.Fprintf(t, "failed\t%d\t\n", r.Failed)
	fmt.Fprintf(t, "crossed\t%d\t\n", r.Wrong)
	if err := t.Flush(); err != nil {
		return err
	}
	for _, text := range r.First {
		fmt.Fprintf(w, "CROSSED  %s\n", text)
	}
	if r.Failed > 0 {
		fmt.Fprintf(w, "FAILED   %s\n", r.Why)
	}
	return nil
}

type pod struct {
	sidecar *rig.Sidecar
	client  *wire.Client
}

// crowd is all the shoppers.
type crowd struct {
	opts  Options
	pods  []pod
	judge *judge
	left  atomic.Int64
	turn  []atomic.Int64 // how often each session's place was asked for

	mu     sync.Mutex
	failed int
	why    string
}

// requestsOfASession is after how many requests a session gives way to a new one.
const requestsOfASession = 1500

// shopper returns a session, and the user who has it at this moment or, now and then, one that had.
func (c *crowd) shopper(rng *rand.Rand) (session, user string) {
	place := rng.IntN(len(c.turn))
	turn := c.turn[place].Add(1)
	users := [...]string{"", "u1", "", "u2", "u3"}
	now := turn / 40
	if rng.IntN(10) == 0 {
		now += int64(rng.IntN(3))
	}
	return fmt.Sprintf("s%d-%d", place, turn/requestsOfASession), users[now%int64(len(users))]
}

func (c *crowd) question(rng *rand.Rand) traffic.Request {
	r := traffic.Request{Complete: rng.IntN(4) == 0, Limit: rng.IntN(20)}
	r.Session, r.User = c.shopper(rng)
	r.Type = [...]string{fakeapi.ProductView, fakeapi.CategoryView, fakeapi.ShopTheLook, fakeapi.CustomShelf}[rng.IntN(4)]
	if r.Type != fakeapi.CustomShelf {
		r.ID = fmt.Sprint("i", rng.IntN(8))
	}
	for range 1 + rng.IntN(3) {
		r.Native = append(r.Native, ownerOf(r)+"#native")
	}
	return r
}

// work asks one request after the other until there are enough.
func (c *crowd) work(ctx context.Context, rng *rand.Rand) {
	w := worker{crowd: c, rng: rng}
	for ctx.Err() == nil {
		left := c.left.Add(-1)
		if left < 0 {
			return
		}
		if done := c.opts.Requests - int(left); c.opts.Progress != nil && done%10_000 == 0 {
			c.opts.Progress(done)
		}
		pod := rng.IntN(len(c.pods))
		var err error
		switch dice := rng.IntN(1000); {
		case dice < 5:
			err = w.erase(ctx, pod)
		case dice < 25:
			err = w.hangUp(pod)
		case dice < 75:
			err = w.profile(pod)
		case dice < 150:
			err = w.page(pod)
		default:
			err = w.ask(pod)
		}
		if err != nil {
			c.fail(err)
		}
	}
}

func (c *crowd) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed++; c.failed == 1 {
		c.why = err.Error()
	}
}

// worker is one of the crowd's connections.
type worker struct {
	*crowd
	rng    *rand.Rand
	answer wire.Answer
}

// patience is how long one answer may take: a bound against hanging.
const patience = 30 * time.Second

func (w *worker) do(pod int, request []byte, into any) error {
	w.answer.Status = 0
	if err := w.pods[pod].client.Do(request, &w.answer, time.Now().Add(patience)); err != nil {
		return err
	}
	if w.answer.Status != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", w.answer.Status, w.answer.Body)
	}
	return json.Unmarshal(w.answer.Body, into)
}

func (w *worker) ask(pod int) error {
	q := w.judge.asking(w.question(w.rng), pod)
	var list struct{ Products []string }
	if err := w.do(pod, q.AppendHTTP(nil), &list); err != nil {
		return err
	}
	w.judge.list(q, w.answer.Header("vitrine-source"), list.Products)
	return nil
}

// page asks for several lists at once, of any sessions.
func (w *worker) page(pod int) error {
	questions := make([]asked, 2+w.rng.IntN(4))
	events := make([]json.RawMessage, len(questions))
	for i := range questions {
		questions[i] = w.judge.asking(w.question(w.rng), pod)
		events[i] = questions[i].AppendBody(nil)
	}
	body, err := json.Marshal(map[string]any{"events": events})
	if err != nil {
		return err
	}
	var page struct {
		Results []struct {
			Products []string
			Source   string
		}
	}
	if err := w.do(pod, traffic.AppendPost(nil, "/v1/page", body), &page); err != nil {
		return err
	}
	if len(page.Results) != len(questions) {
		return fmt.Errorf("%d results for a page of %d", len(page.Results), len(questions))
	}
	for i, result := range page.Results {
		w.judge.list(questions[i], result.Source, result.Products)
	}
	w.judge.count("(pages)")
	return nil
}

// profile asks for somebody's profile, spelt in one of many ways.
func (w *worker) profile(pod int) error {
	who := fmt.Sprintf("someone%d@example.com", w.rng.IntN(50))
	var got struct{ Who string }
	request := "GET /api/v1/crm/protected/profile/email/" + who + " HTTP/1.1\r\nHost: localhost\r\n\r\n"
	if err := w.do(pod, []byte(request), &got); err != nil {
		if w.answer.Status == http.StatusServiceUnavailable { // there is nothing to serve instead
			w.judge.count("(profiles not had in time)")
			return nil
		}
		return err
	}
	if !strings.HasSuffix(got.Who, "email/"+who) {
		w.judge.blame("the profile of %s on pod %d: got that of %s", who, pod, got.Who)
	}
	w.judge.count("(profiles)")
	return nil
}

// hangUp asks and goes before the answer comes.
func (w *worker) hangUp(pod int) error {
	w.judge.count("(hung up)")
	r := w.question(w.rng)
	return w.pods[pod].client.HangUp(r.AppendHTTP(nil), time.Duration(w.rng.IntN(8))*time.Millisecond, time.Now().Add(patience))
}

// erase erases a session on one pod, unless it is being erased already. The sidecar says
// so if Redis did not hear of it in time, and then it is told again.
func (w *worker) erase(ctx context.Context, pod int) error {
	session, _ := w.shopper(w.rng)
	if !w.judge.erased.begin(session) {
		return nil
	}
	for {
		err := w.pods[pod].sidecar.Erase(ctx, session)
		if err == nil {
			break
		}
		if !errors.Is(err, rig.ErrNotEverywhere) {
			return err // it is taken for under way for good, and asserts nothing
		}
		w.judge.count("(erases tried again)")
		time.Sleep(50 * time.Millisecond) // its breaker may be open
	}
	w.judge.erased.end(session, pod)
	w.judge.count("(erased)")
	return nil
}
