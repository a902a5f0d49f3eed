package main_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

// TestLedger is the proof that no accepted event is lost and none is invented: shoppers
// go on while sidecars, Redis and the API are killed at random; then all is healed, what
// is pending is delivered, and the books are compared. See ledger_judge_test.go for the
// laws.
//
// Plainly it is a short run. LEDGER_SEEDS=10 makes it ten long ones (`make ledger`);
// LEDGER_FIRST is the first seed, 1 if unset. The seed decides what happens and in which
// order; when exactly is the machine's doing.
func TestLedger(t *testing.T) {
	seeds, _ := strconv.Atoi(os.Getenv("LEDGER_SEEDS"))
	if seeds == 0 {
		t.Parallel()
		newLedgerRun(t, 1, 16, 80).judged(func(r *ledgerRun) {
			r.trouble((*ledgerRun).down, (*ledgerRun).crash)
			r.trouble((*ledgerRun).failing, (*ledgerRun).replace)
			r.trouble((*ledgerRun).well, (*ledgerRun).crashRedis)
		})
		return
	}
	first, _ := strconv.Atoi(os.Getenv("LEDGER_FIRST"))
	first = max(first, 1)
	for seed := first; seed < first+seeds; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			newLedgerRun(t, uint64(seed), 40, 150).judged((*ledgerRun).chaos)
		})
	}
}

// ledgerRun is a shop with two pods that goes through bad times. Its methods are for the
// test's goroutine, if nothing else is said.
type ledgerRun struct {
	t     *testing.T
	seed  uint64
	dice  *rand.Rand
	api   *fakeapi.Server
	redis *redistest.Server
	pods  [2]*pod
	lag   time.Duration // mean pause of a shopper
	count int           // shoppers

	traffic, watch ending
	books
}

// pod is the outbox folder of a pod, and the sidecar at work on it.
type pod struct {
	outbox string
	parks  bool                    // what has waited for long, also while it lives
	now    atomic.Pointer[sidecar] // nil while there is none
}

// ending stops goroutines and waits for them.
type ending struct {
	told chan struct{}
	all  sync.WaitGroup
}

func (e *ending) now() {
	close(e.told)
	e.all.Wait()
}

// apiTimeout is how long a sidecar waits for the API here.
const apiTimeout = time.Second

func newLedgerRun(t *testing.T, seed uint64, shoppers, perSecond int) *ledgerRun {
	t.Helper()
	r := &ledgerRun{
		t: t, seed: seed, dice: rand.New(rand.NewPCG(seed, 0)),
		api: newAPI(t),
		// A Redis that keeps what it has acknowledged: what is promised rests on that.
		redis: redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always"),
		lag:   time.Duration(shoppers) * time.Second / time.Duration(perSecond), count: shoppers,
	}
	r.books.processes = make(map[*sidecar]*account)
	r.traffic.told, r.watch.told = make(chan struct{}), make(chan struct{})
	for i := range r.pods {
		r.pods[i] = r.newPod()
	}
	return r
}

// newPod starts a sidecar on an empty outbox.
func (r *ledgerRun) newPod() *pod {
	p := &pod{outbox: filepath.Join(r.t.TempDir(), "outbox"), parks: r.dice.IntN(2) == 0}
	r.launch(p)
	return p
}

// launch starts a sidecar on the pod's outbox.
func (r *ledgerRun) launch(p *pod) {
	flags := []string{
		"--outbox.dir=" + p.outbox, "--redis.url=" + r.redis.URL(),
		"--budget=200ms", "--upstream.timeout=" + apiTimeout.String(), "--log.level=info",
	}
	line := fmt.Sprint(p.outbox, r.kept) // one that parked what it could before begins anew
	if p.parks {
		flags, line = append(flags, "--outbox.park_after=1s"), ""
	}
	s := start(r.t, r.api.URL(), flags...)
	r.open(s, line)
	r.say("start of", s.data)
	p.now.Store(s)
}

// judged runs the shop while there is trouble, heals it, and judges.
func (r *ledgerRun) judged(trouble func(*ledgerRun)) {
	began := time.Now()
	for i := range r.count {
		r.traffic.all.Go(func() { r.shop(i) })
	}
	r.watch.all.Go(r.scrapeAll)
	trouble(r)
	r.rest(500 * time.Millisecond)
	r.traffic.now()
	troubled := time.Since(began)
	r.drain()
	r.watch.now()
	for _, p := range r.pods {
		r.close(p.now.Load())
	}
	r.judge()
	r.t.Logf("seed %d: trouble for %v, healed after another %v", r.seed, troubled.Round(time.Second), (time.Since(began) - troubled).Round(time.Second))
}

// shop is one shopper's session: one event after the other, numbered, each once,
// whatever becomes of it. It is for a goroutine of its own.
func (r *ledgerRun) shop(shopper int) {
	dice := rand.New(rand.NewPCG(r.seed, uint64(shopper)+1))
	session := fmt.Sprintf("s%02d", shopper)
	for n := 1; ; n++ {
		select {
		case <-r.traffic.told:
			return
		case <-time.After(time.Duration(dice.ExpFloat64() * float64(r.lag))):
		}
		p := r.pods[shopper%len(r.pods)] // its folder may be another by now
		s := p.now.Load()
		if s == nil {
			p = r.pods[(shopper+1)%len(r.pods)]
			s = p.now.Load()
		}
		if s == nil {
			continue
		}
		a, err := s.try(productView(session, strconv.Itoa(n)))
		e := asked{session: session, n: n, by: s, id: a.event}
		e.accepted = err == nil && a.status == http.StatusOK && a.event != ""
		r.note(e)
	}
}

// scrapeAll scrapes every sidecar, again and again, until it has ended. It is for a
// goroutine of its own.
func (r *ledgerRun) scrapeAll() {
	for {
		for _, s := range r.running() {
			r.read(s)
		}
		select {
		case <-r.watch.told:
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// drain waits until nothing is pending in any pod, nor parked.
func (r *ledgerRun) drain() {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		left := 0
		for _, p := range r.pods {
			left += int(p.now.Load().metrics()["vitrine_events_pending"])
		}
		for stream := range 16 {
			n, err := strconv.Atoi(r.redis.Do("XLEN", fmt.Sprintf("v1:parked:{%d}", stream)))
			if err != nil {
				r.t.Fatal(err)
			}
			left += n
		}
		if left == 0 {
			return
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("%d events are neither delivered nor given up long after all is well", left)
		}
	}
}

// rest lets the shop go on for that long, more or less.
func (r *ledgerRun) rest(mean time.Duration) {
	time.Sleep(time.Duration((0.5 + r.dice.Float64()) * float64(mean)))
}

type (
	// ailment makes the API unwell, and says what makes it well again.
	ailment func(*ledgerRun) (cure func())
	// accident is something that happens meanwhile.
	accident func(*ledgerRun)
)

// chaos is troubles of all kinds, one after the other.
func (r *ledgerRun) chaos() {
	ailments := []ailment{
		(*ledgerRun).down, (*ledgerRun).down, (*ledgerRun).failing, (*ledgerRun).flaky, (*ledgerRun).hanging,
		(*ledgerRun).resetting, (*ledgerRun).limiting, (*ledgerRun).rejecting, (*ledgerRun).slow, (*ledgerRun).well,
	}
	accidents := []accident{
		(*ledgerRun).crash, (*ledgerRun).crash, (*ledgerRun).replace, (*ledgerRun).replace,
		(*ledgerRun).crashRedis, (*ledgerRun).pauseRedis, func(*ledgerRun) {},
	}
	for range 10 {
		r.trouble(ailments[r.dice.IntN(len(ailments))], accidents[r.dice.IntN(len(accidents))])
	}
}

// trouble is an accident while the API is unwell.
func (r *ledgerRun) trouble(a ailment, b accident) {
	cure := a(r)
	r.rest(700 * time.Millisecond)
	b(r)
	r.rest(300 * time.Millisecond)
	cure()
	r.say("the API is well")
	r.rest(700 * time.Millisecond)
}

// say tells what happens, for who looks for the cause of a failure.
func (r *ledgerRun) say(what ...any) {
	r.t.Log(append([]any{time.Now().Format("15:04:05.000")}, what...)...)
}

func (r *ledgerRun) well() func() { return func() {} }

func (r *ledgerRun) down() func() {
	r.say("the API is down")
	r.cut(func() { r.must(r.api.Stop()) })
	return func() { r.must(r.api.Start()) }
}

// sick lets loose a fault that a call is read whole in spite of: one that is not would be
// missing in the ledger, and the order could not be judged.
func (r *ledgerRun) sick(f fakeapi.Fault) func() {
	r.say("the API is sick:", fmt.Sprintf("%+v", f))
	sick(r.t, r.api, f)
	return r.api.Clear
}

func (r *ledgerRun) failing() func() { return r.sick(fakeapi.Fault{Status: 503}) }
func (r *ledgerRun) flaky() func()   { return r.sick(fakeapi.Fault{Status: 500, Share: 0.3}) }

// hanging and resetting leave it unknown whether the API has had an event: each makes a
// duplicate. So they are rare, and come and go.
func (r *ledgerRun) hanging() func() {
	return r.sick(fakeapi.Fault{Answer: fakeapi.Hang, Share: 0.2, Up: 500 * time.Millisecond, Down: 250 * time.Millisecond})
}

func (r *ledgerRun) resetting() func() {
	return r.sick(fakeapi.Fault{Answer: fakeapi.ResetAfter, Share: 0.2, Up: 500 * time.Millisecond, Down: 250 * time.Millisecond})
}

func (r *ledgerRun) limiting() func()  { return r.sick(fakeapi.Fault{Status: 429, RetryAfter: "1"}) }
func (r *ledgerRun) rejecting() func() { return r.sick(fakeapi.Fault{Status: 422, Share: 0.1}) }
func (r *ledgerRun) slow() func()      { return r.sick(fakeapi.Fault{Delay: 300 * time.Millisecond}) }

// crash kills a sidecar, and starts another on its outbox.
func (r *ledgerRun) crash() {
	p := r.pods[r.dice.IntN(len(r.pods))]
	s := p.now.Swap(nil)
	r.say("crash of", s.data)
	r.cut(s.kill)
	r.close(s)
	r.launch(p)
}

// replace ends a pod as a deploy does: its outbox goes with it, and a pod with an empty
// one takes its place. Only if the sidecar says that it could not park everything is the
// outbox kept for the next.
func (r *ledgerRun) replace() {
	p := r.pods[r.dice.IntN(len(r.pods))]
	s := p.now.Swap(nil)
	r.say("SIGTERM for", s.data)
	code := s.stop()
	r.close(s)
	if code != 0 {
		r.t.Errorf("got exit code %d after SIGTERM, want 0", code)
	}
	if strings.Contains(s.log.String(), "left in the outbox") {
		r.kept++
	} else {
		r.must(os.RemoveAll(p.outbox))
		p.outbox = filepath.Join(r.t.TempDir(), "outbox")
	}
	r.launch(p)
}

func (r *ledgerRun) crashRedis() {
	r.say("crash of Redis")
	r.redis.Kill()
	r.rest(300 * time.Millisecond)
	r.redis.Start()
}

func (r *ledgerRun) pauseRedis() {
	r.say("Redis pauses")
	r.redis.Pause()
	r.rest(500 * time.Millisecond)
	r.redis.Resume()
}

func (r *ledgerRun) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
