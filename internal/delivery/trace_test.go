package delivery_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/trace"
)

// posted is a call as it reached the API.
type posted struct{ body, traceparent string }

// posts is an API that notes what is posted, and refuses the first few.
type posts struct {
	mu     sync.Mutex
	refuse int
	all    []posted
}

func (p *posts) Recommend(c fashionai.Call) fashionai.Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.Sent()
	p.all = append(p.all, posted{string(c.Body), c.Traceparent})
	if len(p.all) <= p.refuse {
		return outcome(fashionai.ServerError, 503)
	}
	return outcome(fashionai.Empty, 200)
}

func (p *posts) got(t *testing.T, want ...posted) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.all, want) {
		t.Errorf("got posted %q, want %q", p.all, want)
	}
}

func to(api delivery.API) func(*delivery.Options) {
	return func(o *delivery.Options) { o.API = api }
}

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func traced(t *testing.T) trace.Context {
	t.Helper()
	from, ok := trace.Parse(traceparent)
	if !ok {
		t.Fatalf("got %s refused, want it valid", traceparent)
	}
	return from
}

// An event is posted with the traceparent it was accepted with, every time, and without one
// if there was none; the body is the API's own in either case.
func TestTheTraceGoesWithTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &posts{refuse: 1}
		r := start(t, to(api))
		first, second := view("s", "a"), view("s", "b")
		r.Delivery.Accept(first, time.Now(), traced(t), false)
		time.Sleep(time.Minute)
		r.Delivery.Accept(second, time.Now(), trace.Context{}, false)
		time.Sleep(time.Second)
		body := string(first.AppendJSON(nil))
		api.got(t, posted{body, traceparent}, posted{body, traceparent}, posted{string(second.AppendJSON(nil)), ""})
	})
}

// Two who ask the same are one question, whatever traces they are of.
func TestTracesDoNotTellQuestionsApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t)
		other := traced(t)
		other.Span[0]++
		first := r.Delivery.Accept(view("s", "a"), time.Now(), traced(t), true)
		time.Sleep(time.Millisecond) // so that its call ends first
		second := r.Delivery.Accept(view("s", "a"), time.Now(), other, true)
		if got := first.Wait(time.Now().Add(time.Second)); got.Collapsed {
			t.Errorf("got %+v for the first, want its own answer", got)
		}
		if got := second.Wait(time.Now().Add(time.Second)); !got.Collapsed {
			t.Errorf("got %+v for the second, want the first one's answer", got)
		}
	})
}

// The next process posts what it finds with the traceparent that it was accepted with. What
// was written by a version that knew of none is posted as ever.
func TestTheTraceSurvivesARestart(t *testing.T) {
	folder := t.TempDir()
	inBubble := func(f func(*testing.T, *journal.Journal)) {
		t.Helper()
		outbox, err := journal.Open(journal.Options{Dir: folder, MaxBytes: 64 << 20})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) { f(t, outbox) })
		if err := outbox.Close(); err != nil {
			t.Fatal(err)
		}
	}
	old, e := view("old", "a"), view("s", "b")
	inBubble(func(t *testing.T, outbox *journal.Journal) {
		t.Helper()
		plain := journal.Record{ID: [16]byte{1}, Time: time.Now().UnixNano(), Body: old.AppendJSON(nil)}
		if _, err := outbox.Append(plain); err != nil {
			t.Fatal(err)
		}
		r := start(t, func(o *delivery.Options) { o.Journal = outbox })
		if err := r.breaker.Override(breaker.Open, 0); err != nil {
			t.Fatal(err)
		}
		r.Delivery.Accept(e, time.Now(), traced(t), false)
	})
	inBubble(func(t *testing.T, outbox *journal.Journal) {
		t.Helper()
		api := &posts{}
		r := start(t, to(api), func(o *delivery.Options) { o.Journal = outbox })
		err := outbox.Pending(func(at journal.Position, record journal.Record) bool {
			return r.Replay(at, record) == nil
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		api.got(t, posted{string(old.AppendJSON(nil)), ""}, posted{string(e.AppendJSON(nil)), traceparent})
	})
}

// Another pod posts what was parked with the traceparent that it was accepted with.
func TestTheTraceGoesFromPodToPod(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared, common := newShelf(), &posts{}
		a := startAway(t, shared, &api{})
		e := view("s", "a")
		a.Delivery.Accept(e, time.Now(), traced(t), false)
		a.leave()
		if got := len(shared.items()); got != 1 {
			t.Fatalf("got %d events parked, want 1", got)
		}
		b := &pod{rig: start(t, to(common)), link: &link{shelf: shared}}
		b.park(t, b.link)
		time.Sleep(time.Minute)
		common.got(t, posted{string(e.AppendJSON(nil)), traceparent})
		shared.empty(t)
	})
}

// A dead letter that is sent again is of the trace that it was.
func TestTheTraceOfADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api := &rejecting{}
		r := start(t, to(api))
		e := view("s", "a")
		r.Delivery.Accept(e, time.Now(), traced(t), false)
		time.Sleep(time.Second)
		if n, err := r.Redrive(); n != 1 || err != nil {
			t.Errorf("got %d sent again, %v, want 1", n, err)
		}
		time.Sleep(time.Second)
		once := posted{string(e.AppendJSON(nil)), traceparent}
		api.got(t, once, once)
	})
}

// rejecting is an API that takes no event for one.
type rejecting struct{ posts }

func (r *rejecting) Recommend(c fashionai.Call) fashionai.Outcome {
	r.posts.Recommend(c)
	return outcome(fashionai.Rejected, 400)
}
