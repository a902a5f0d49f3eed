package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"vitrine/breaker"
	"vitrine/internal/reco"
)

// views are answers that shoppers got.
type views struct {
	bySource [len(reco.Sources)]int
	failed   int // no answer, or none that says where it comes from
	took     []time.Duration
}

func (v *views) answers() int { return len(v.took) - v.failed }

// quantile returns the duration that the share q of the answers did not exceed, 0 if
// there are none.
func (v *views) quantile(q float64) time.Duration {
	if len(v.took) == 0 {
		return 0
	}
	slices.Sort(v.took)
	return v.took[min(int(q*float64(len(v.took))), len(v.took)-1)]
}

// tally collects what the shoppers see, for the next line and for the end.
type tally struct {
	mu    sync.Mutex
	since views
	all   views // without durations: a demo may run for days
}

// add counts an answer by its Vitrine-Source header.
func (t *tally) add(source string, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.since.took = append(t.since.took, took)
	for _, s := range reco.Sources {
		if s.String() == source {
			t.since.bySource[s]++
			t.all.bySource[s]++
			return
		}
	}
	t.since.failed++
	t.all.failed++
}

// take returns what came since it was last called.
func (t *tally) take() views {
	t.mu.Lock()
	defer t.mu.Unlock()
	since := t.since
	t.since = views{}
	return since
}

// total returns the counts since the start.
func (t *tally) total() views {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all
}

// greeting says what there is, and how to have a look at it.
func (d *demo) greeting() string {
	var b strings.Builder
	fmt.Fprintf(&b, `A shop with %d shoppers on this machine: a stand-in for Fashion.AI's API (median 180 ms, and no
ranking for the first two events of a session), a shop platform, and Vitrine with an embedded
Redis between them. Nothing is installed, and nothing is kept on disk.

  data      http://%[2]s%[3]s
  metrics   http://%[4]s/metrics  (probes: /startupz /livez /readyz)
  status    http://%[5]s/

Try it a few times in another terminal. Vitrine-Source says where the products come from: native
at first, for the API knows nothing of a new session, then cache.

  curl -si http://%[2]s%[3]s -H 'Content-Type: application/json' -d '%[6]s'

`, crowdSize, d.sidecar.data.Addr(), recommendationPath, d.sidecar.probes.Addr(), d.sidecar.admins.Addr(),
		`{"sessionId":"me","eventType":"categoryView","data":{"id":"c7"},"vitrine":{"limit":8}}`)
	if d.outage {
		fmt.Fprintf(&b, "After %v the API goes away for %v, and again every %v (--outage=false: never). ",
			outageAfter, outageFor, outagePeriod)
	}
	b.WriteString("Ctrl-C ends it.\n\n")
	return b.String()
}

// The columns: of one second, the answers by source, how long shoppers waited, the events
// that reached the API, and those that still have to; then what the API's breaker does.
const (
	heading = "   time  answers     api  cache  stale native   none      p50     p99   delivered  pending  breaker\n"
	row     = "%7s %8d  %6d %6d %6d %6d %6d  %7s %7s %11d %8d  %s"
)

// report is one line: what happened in a second.
type report struct {
	at        time.Duration
	views     views
	delivered uint64 // events, in this second
	pending   int    // events, now
	breaker   breaker.State
}

// String lays the line out under the heading.
func (r report) String() string {
	n := r.views.bySource
	line := fmt.Sprintf(row, r.at.Round(time.Second), r.views.answers(),
		n[reco.FromAPI], n[reco.FromCache], n[reco.FromStale], n[reco.FromNative], n[reco.FromNone],
		short(r.views.quantile(0.50)), short(r.views.quantile(0.99)), r.delivered, r.pending, r.breaker)
	if r.views.failed > 0 {
		line += fmt.Sprintf("  %d FAILED", r.views.failed)
	}
	return line
}

// short writes a duration with at most one decimal: "0.4ms", "183ms".
func short(d time.Duration) string {
	ms := float64(d) / float64(time.Millisecond)
	if ms < 10 {
		return fmt.Sprintf("%.1fms", ms)
	}
	return fmt.Sprintf("%.0fms", ms)
}

// announcement tells that the API goes away or comes back.
func announcement(phase string) string {
	if phase == away {
		return "-- the API refuses connections: soon nobody waits for it any more, and the events are kept --"
	}
	return "-- the API is back: an event that was kept is the breaker's probe, then the others follow --"
}

// farewell sums up. It comes when the sidecar has stopped, so its ledger is final.
func (d *demo) farewell(v views) string {
	var b strings.Builder
	total := v.failed
	for _, n := range v.bySource {
		total += n
	}
	n := v.bySource
	fmt.Fprintf(&b, "\n%d views: api %d, cache %d, stale %d, native %d, none %d, failed %d\n", total,
		n[reco.FromAPI], n[reco.FromCache], n[reco.FromStale], n[reco.FromNative], n[reco.FromNone], v.failed)
	e := d.sidecar.ledger()
	fmt.Fprintf(&b, "%d events accepted = %d delivered + %d expired + %d dropped + %d pending\n",
		e.Accepted, e.Delivered, e.Expired, e.Dropped.Full+e.Dropped.DeadLetter+e.Dropped.Disk, e.Pending)
	if e.Pending > 0 {
		b.WriteString("Those pending would be in the outbox folder now, or in Redis, if this were no demo.\n")
	}
	return b.String()
}
