package main_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vitrine/bench/fakeapi"
)

// books is what a run writes down to be judged by.
type books struct {
	mu        sync.Mutex
	asked     []asked
	processes map[*sidecar]*account
	cuts      []span // when calls under way may have been cut off before the API read them
	scrapes   int
	kept      int // outbox folders that were not deleted, since something was left in them
}

// asked is one event of a shopper.
type asked struct {
	session  string
	n        int
	by       *sidecar
	accepted bool // a 200 with a Vitrine-Event came back; if not, it may have been accepted or not
	id       string
}

// account is a process, and what it has last said of itself.
type account struct {
	line     string    // events of one line are judged by their order; empty if those of this process are not
	at       time.Time // before it was asked
	ended    time.Time // after its last call
	accepted float64
	retried  float64
	unknown  float64 // of retried: those where the API may have had the event
}

type span struct{ from, to time.Time }

func (s span) has(at time.Time) bool { return !at.Before(s.from) && !at.After(s.to) }

func (b *books) note(e asked) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, e)
}

// cut notes that calls under way may be cut off by what f does.
func (b *books) cut(f func()) {
	from := time.Now()
	f()
	b.cuts = append(b.cuts, span{from, time.Now()})
}

func (b *books) open(s *sidecar, line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.processes[s] = &account{line: line, at: time.Now()}
}

// close says that the process sends nothing any more.
func (b *books) close(s *sidecar) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.processes[s].ended = time.Now()
}

// running are the processes that may still send something.
func (b *books) running() (all []*sidecar) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s, a := range b.processes {
		if a.ended.IsZero() {
			all = append(all, s)
		}
	}
	return all
}

// read scrapes a process. The identity of the metrics is judged at once.
func (b *books) read(s *sidecar) {
	at := time.Now()
	now, err := s.scrape()
	if err != nil {
		return // it has just ended
	}
	s.balanced(now)
	a := account{at: at, accepted: now["vitrine_events_accepted_total"]}
	for name, value := range now {
		if cause, is := strings.CutPrefix(name, `vitrine_events_retried_total{cause="`); is {
			a.retried += value
			if cause == `ambiguous"}` || cause == `stale-connection"}` {
				a.unknown += value
			}
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.scrapes++
	a.line, a.ended = b.processes[s].line, b.processes[s].ended
	*b.processes[s] = a
}

// receipts are the calls of one event that the API has read, in their order.
type receipts []fakeapi.Entry

// settled reports whether the API has answered one of them so that the event is done
// with: taken, or rejected and by that a dead letter.
func (r receipts) settled() bool {
	return slices.ContainsFunc(r, func(e fakeapi.Entry) bool { return e.Status == 200 || e.Status == 422 })
}

// taken counts those that the API may have learned from: answered well, or not at all.
func (r receipts) taken() (n int) {
	for _, e := range r {
		if e.Status == 200 || e.Status == 0 {
			n++
		}
	}
	return n
}

// judge compares what was asked with what the API has received.
//
//   - No loss: every accepted event has been answered by the API so that it is settled. A
//     dead letter is one it has answered with 422; nothing else makes any here.
//   - Nothing invented: every call is an event that was sent to a sidecar.
//   - Order: of two events of one session, accepted one after the other over one outbox,
//     a crash between them or not, the first is first received first. See inOrder for
//     what cannot be judged.
//   - Duplicates are few, and counted.
//   - Calls are not more than events accepted, by whatever process, and retries counted.
func (r *ledgerRun) judge() {
	entries := r.api.Ledger()
	received := make(map[string]receipts)
	for _, e := range entries {
		received[e.Session+" "+e.ID] = append(received[e.Session+" "+e.ID], e)
	}
	accepted, lost, duplicates, known := 0, 0, 0, make(map[string]bool)
	for _, e := range r.asked {
		key := e.session + " " + strconv.Itoa(e.n)
		known[key] = true
		duplicates += max(received[key].taken()-1, 0)
		if !e.accepted {
			continue
		}
		accepted++
		if !received[key].settled() {
			lost++
			r.t.Errorf("event %s (%s) was accepted and is lost; the API has had %v", key, e.id, received[key])
		}
	}
	for key := range received {
		if !known[key] {
			r.t.Errorf("event %s was received and never sent", key)
		}
	}
	if 20*duplicates > accepted {
		r.t.Errorf("got %d duplicates of %d events, want at most 5 %%", duplicates, accepted)
	}
	swapped, unjudged := r.inOrder(received)
	r.t.Logf("seed %d: %d events sent, %d accepted, %d lost, %d duplicates (%.1f %%), %d out of order, %d pairs that cannot be judged, %s, %d processes, %d scrapes, %d outboxes kept",
		r.seed, len(r.asked), accepted, lost, duplicates, 100*float64(duplicates)/float64(accepted), swapped, unjudged,
		r.bounded(entries), len(r.processes), r.scrapes, r.kept)
}

// closeBy is how near to each other two calls must be received to have been under way
// together, or to a cut for one of them to have been cut off.
const closeBy = 250 * time.Millisecond

// inOrder judges neighbours of a session. Up to four live events may be under way
// together, so that calls started in order may be received in another: those received
// close to each other prove nothing. Neither does an event received just before others
// were cut off, as it may have been under way together with the one that should have
// come first, whose call the API had not read yet.
//
// A sidecar with outbox.park_after is left out: what it has parked in an outage is any
// pod's to deliver after it, and what it accepts then does not wait for that.
func (r *ledgerRun) inOrder(received map[string]receipts) (swapped, unjudged int) {
	before := make(map[string]asked) // by session and line
	inTurn := slices.Clone(r.asked)
	slices.SortFunc(inTurn, func(a, b asked) int { return cmp.Compare(a.n, b.n) })
	for _, e := range inTurn {
		line := r.processes[e.by].line
		if !e.accepted || line == "" {
			continue
		}
		line += e.session
		first, second := before[line], e
		before[line] = e
		a, b := received[fmt.Sprint(e.session, " ", first.n)], received[fmt.Sprint(e.session, " ", second.n)]
		if len(a) == 0 || len(b) == 0 || a[0].Seq < b[0].Seq {
			continue
		}
		if a[0].At.Sub(b[0].At) < closeBy || slices.ContainsFunc(r.cuts, func(c span) bool {
			return span{c.from.Add(-closeBy), c.to}.has(b[0].At)
		}) {
			unjudged++
			continue
		}
		swapped++
		r.t.Errorf("%s: event %d was first received at %v, event %d before it at %v", e.session, first.n, a[0].At, second.n, b[0].At)
	}
	return swapped, unjudged
}

// bounded judges how many calls there were. What a process did after it was last scraped
// is not known: the calls received since then, and those whose connection it may have
// been about to find stale, are left out of the count.
func (r *ledgerRun) bounded(entries []fakeapi.Entry) string {
	var accepted, retried, unknown float64
	var unseen []span
	for _, a := range r.processes {
		accepted += a.accepted
		retried += a.retried
		unknown += a.unknown
		unseen = append(unseen, span{a.at.Add(-apiTimeout), a.ended})
	}
	calls := 0
	for _, e := range entries {
		if !slices.ContainsFunc(unseen, func(s span) bool { return s.has(e.At) }) {
			calls++
		}
	}
	if float64(calls) > accepted+retried {
		r.t.Errorf("got %d calls, want at most %v accepted and %v tried again", calls, accepted, retried)
	}
	return fmt.Sprintf("%d calls, %d of them judged against %v accepted and %v retried (%v of these unknown)", len(entries), calls, accepted, retried, unknown)
}
