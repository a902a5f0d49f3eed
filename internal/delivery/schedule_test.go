package delivery

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vitrine/cache"
)

// drill puts a schedule through random operations, and checks after each of them that it
// holds what it was given and nothing else. It keeps its own, simpler books: a set of the
// events that are pending, and a list of those under way.
type drill struct {
	t       *testing.T
	dice    *rand.Rand
	q       *schedule
	now     time.Duration
	pending map[uint64]uint64 // session's key, by event
	flights []flown
	aside   []flown // taken out by discard, to be restored
	log     []string
}

// flown is an event under way, or set aside.
type flown struct {
	s    *session
	key  uint64
	as   class
	p    pending
	left bool
}

const drillSessions = 5

func TestScheduleKeepsOrderBoundsAndCounts(t *testing.T) {
	for seed := range uint64(300) {
		d := &drill{
			t: t, dice: rand.New(rand.NewPCG(seed, 0)),
			q: newSchedule(1 + int(seed%9)), pending: make(map[uint64]uint64),
		}
		steps := []func(){
			d.add, d.add, d.add, d.pick, d.pick, d.pick, d.pick, d.probe, d.leave, d.leave, d.leave,
			d.finish, d.finish, d.finish, d.await, d.discard, d.restore, d.backlog, d.expire,
		}
		for range 300 {
			d.now += time.Duration(d.dice.IntN(50)) * time.Millisecond
			steps[d.dice.IntN(len(steps))]()
			d.check()
			if t.Failed() {
				t.Fatalf("seed %d, after %q", seed, d.log[max(0, len(d.log)-40):])
			}
		}
		d.empty()
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func (d *drill) note(format string, a ...any) { d.log = append(d.log, fmt.Sprintf(format, a...)) }

func (d *drill) add() {
	key := d.dice.Uint64N(drillSessions)
	mark := cache.Mark(d.dice.Uint64N(2 * firstPage)) // new sessions and others
	d.q.add(key, pending{born: d.now, replay: d.dice.IntN(3) == 0, mark: mark}, d.now)
	d.pending[d.q.seq] = key
	d.note("add %d to %d", d.q.seq, key)
}

func (d *drill) total() int { return d.q.inFlight[waited] + d.q.inFlight[live] + d.q.inFlight[replay] }

func (d *drill) pick() {
	d.q.wake(d.now)
	replaying := d.dice.IntN(4) > 0
	before := d.q.inFlight
	mayReplay := replaying && before[replay] < max(d.q.slots/2, 1)
	s, as := d.q.pick(replaying)
	if s == nil {
		for c := range classes {
			if d.q.ready[c].size() > 0 && d.total() < d.q.slots && (c != replay || mayReplay) {
				d.t.Errorf("nothing was picked, with class %d ready and %v of %d slots taken", c, before, d.q.slots)
			}
		}
		return
	}
	reserve := d.q.slots / 4
	switch {
	case d.total() >= d.q.slots:
		d.t.Errorf("an event was picked with all slots taken: %v of %d", before, d.q.slots)
	case as == replay && !mayReplay:
		d.t.Errorf("a replayed event was picked with %v of %d slots taken (allowed: %t)", before, d.q.slots, replaying)
	case as == replay && d.q.ready[waited].size()+d.q.ready[live].size() > 0:
		d.t.Errorf("a replayed event went before others")
	case as == waited && before[waited] >= d.q.slots-reserve && before[live] < reserve && d.q.ready[live].size() > 0:
		d.t.Errorf("an event waited for took what is reserved for live ones: %v of %d", before, d.q.slots)
	}
	d.start(s, as)
}

func (d *drill) probe() {
	skip := map[uint64]bool{d.dice.Uint64N(drillSessions): true}
	s := d.q.pickProbe(skip)
	if s == nil {
		return
	}
	if skip[s.key] {
		d.t.Errorf("session %d was probed with again", s.key)
	}
	d.start(s, replay)
}

// start starts the session's next event, and judges whether it might.
func (d *drill) start(s *session, as class) {
	under, sending := 0, false
	replayed := false
	for _, f := range d.flights {
		if f.key == s.key {
			under++
			sending = sending || !f.left
			replayed = replayed || f.p.replay
		}
	}
	for i := range s.next {
		if !s.queue[i].received {
			d.t.Errorf("event %d overtakes %d, which the API never had", s.queue[s.next].seq, s.queue[i].seq)
		}
	}
	p := d.q.start(s, as, d.now)
	d.note("start %d of %d as %d", p.seq, s.key, as)
	if sending {
		d.t.Errorf("event %d overtakes one that has not left", p.seq)
	}
	if most := maxTogether; under >= most || (p.replay || replayed) && under > 0 {
		d.t.Errorf("event %d (replayed: %t) was started beside %d of its session", p.seq, p.replay, under)
	}
	if d.pending[p.seq] != s.key {
		d.t.Errorf("event %d was started and is not pending in session %d", p.seq, s.key)
	}
	d.flights = append(d.flights, flown{s: s, key: s.key, as: as, p: p})
}

func (d *drill) leave() {
	if len(d.flights) == 0 {
		return
	}
	if f := &d.flights[d.dice.IntN(len(d.flights))]; !f.left {
		f.left = true
		d.q.sent(f.s, d.now)
		d.note("sent %d", f.p.seq)
	}
}

// finish ends a flight as Delivery.finish does: settled, or to be tried again at once or
// later, the API having had it or not.
func (d *drill) finish() {
	if len(d.flights) > 0 {
		d.end(d.dice.IntN(len(d.flights)), d.dice.IntN(3) > 0)
	}
}

func (d *drill) end(i int, settled bool) {
	f := d.flights[i]
	d.flights = slices.Delete(d.flights, i, i+1)
	if !f.left {
		f.s.sending = false
	}
	if settled {
		delete(d.pending, f.p.seq)
	} else {
		f.p.due = d.now + time.Duration(d.dice.IntN(200))*time.Millisecond
		f.p.received = f.p.received || f.left && d.dice.IntN(2) == 0
	}
	d.q.finish(f.s, f.as, f.p, settled, d.now)
	d.note("finish %d (%t)", f.p.seq, settled)
}

// any returns a pending event, under way or not; 0 is none.
func (d *drill) any() (seq, key uint64) {
	if d.q.seq == 0 {
		return 0, 0
	}
	seq = 1 + d.dice.Uint64N(d.q.seq)
	return seq, d.pending[seq]
}

func (d *drill) await() {
	seq, key := d.any()
	d.q.await(key, seq, d.dice.IntN(3) > 0, d.now)
	d.note("await %d of %d", seq, key)
}

func (d *drill) discard() {
	seq, key := d.any()
	s := d.q.sessions[key]
	if s == nil {
		return
	}
	if p, ok := d.q.discard(s, seq, d.now); ok {
		delete(d.pending, seq)
		d.aside = append(d.aside, flown{key: key, p: p})
		d.note("discard %d", seq)
	}
}

func (d *drill) restore() {
	for _, f := range d.aside {
		f.p.replay, f.p.waited = true, false
		d.q.restore(f.key, f.p, d.now)
		d.pending[f.p.seq] = f.key
		d.note("restore %d", f.p.seq)
	}
	d.aside = nil
}

func (d *drill) backlog() {
	if d.dice.IntN(4) == 0 {
		d.q.backlog(d.now)
		d.note("backlog")
	}
}

func (d *drill) expire() {
	then := d.now - time.Second
	s := d.q.older(then)
	if s == nil {
		return
	}
	p, ok := d.q.discard(s, s.queue[s.next].seq, d.now)
	if !ok || p.born >= then {
		d.t.Errorf("got event %d, born at %v, as one older than %v", p.seq, p.born, then)
	}
	delete(d.pending, p.seq)
	d.note("expire %d", p.seq)
}

// check counts everything anew.
func (d *drill) check() {
	d.t.Helper()
	d.q.wake(d.now)
	held := make(map[uint64]uint64)
	waiting, inFlight := 0, [classes]int{}
	for _, f := range d.flights {
		held[f.p.seq] = f.key
		inFlight[f.as]++
	}
	for key, s := range d.q.sessions {
		waiting += d.checkSession(key, s, held)
	}
	if len(held) != len(d.pending) || d.q.events != len(d.pending) {
		d.t.Errorf("got %d events held and %d counted, want %d", len(held), d.q.events, len(d.pending))
	}
	for seq, key := range d.pending {
		if held[seq] != key {
			d.t.Errorf("event %d is lost", seq)
		}
	}
	if d.q.waiting[favoured]+d.q.waiting[ordinary] != waiting || d.q.inFlight != inFlight {
		d.t.Errorf("got %d waiting and %v under way, want %d and %v", d.q.waiting, d.q.inFlight, waiting, inFlight)
	}
	for h := range d.q.lines() {
		d.checkHeap(h)
	}
	d.checkHeap(&d.q.delayed)
}

// checkSession adds what the session has to held, and returns how many of it are waited for.
func (d *drill) checkSession(key uint64, s *session, held map[uint64]uint64) (waiting int) {
	notReplay, flying, replaying, sending := 0, 0, 0, false
	for i, p := range s.queue {
		if _, twice := held[p.seq]; twice || i > 0 && s.queue[i-1].seq >= p.seq {
			d.t.Errorf("event %d is there twice, or out of order", p.seq)
		}
		held[p.seq] = key
		if p.waited {
			waiting++
		}
		if !p.replay {
			notReplay++
		}
	}
	for _, f := range d.flights {
		if f.key == key {
			flying++
			sending = sending || !f.left
			if f.p.replay {
				replaying++
			}
		}
	}
	if s.waited != waiting || s.live != notReplay || s.inFlight != flying || s.replayInFlight != replaying || s.sending != sending {
		d.t.Errorf("session %d: got %d waited for, %d live, %d and %d under way, sending %t; want %d, %d, %d, %d, %t",
			key, s.waited, s.live, s.inFlight, s.replayInFlight, s.sending, waiting, notReplay, flying, replaying, sending)
	}
	if len(s.queue) == 0 && s.inFlight == 0 {
		d.t.Errorf("session %d is kept with nothing in it", key)
	}
	d.checkPlace(s)
	return waiting
}

// checkPlace looks whether a session is where it belongs. One that is ready may have been
// put there for an event that was the oldest due then; an older one, which the API has
// had, may have become due since.
func (d *drill) checkPlace(s *session) {
	next, _ := s.candidate(d.now)
	if s.in != nil && s.in != &d.q.delayed {
		next = s.next
	}
	want := &d.q.delayed
	switch {
	case s.sending, len(s.queue) == 0, next >= 0 && !s.hasRoom(&s.queue[next]):
		want = nil
	case next >= 0:
		want = d.q.lineUp(s)
	}
	if s.in != want {
		d.t.Errorf("session %d is in the wrong place: %p, want %p", s.key, s.in, want)
	}
	if next >= 0 && s.queue[next].due > d.now {
		d.t.Errorf("session %d is ready before its time", s.key)
	}
}

func (d *drill) checkHeap(h *sessionHeap) {
	for i, s := range *h {
		if s.in != h || s.index != i || d.q.sessions[s.key] != s {
			d.t.Errorf("session %d does not know where it is", s.key)
		}
		if i > 0 && h.Less(i, (i-1)/2) {
			d.t.Errorf("session %d is out of order in its heap", s.key)
		}
	}
}

// empty delivers what is left: every event must come up, and nothing may stay.
func (d *drill) empty() {
	d.restore()
	for len(d.pending) > 0 {
		for len(d.flights) > 0 {
			d.end(0, true)
		}
		d.now += time.Second
		d.q.wake(d.now)
		s, as := d.q.pick(true)
		if s == nil && len(d.pending) > 0 {
			d.t.Fatalf("%d events are never sent", len(d.pending))
		}
		if s != nil {
			d.start(s, as)
		}
	}
	if len(d.q.sessions) > 0 || d.q.events != 0 || d.q.waiting != [ranks]int{} || d.total() != 0 {
		d.t.Errorf("got %d sessions, %d events left, want none", len(d.q.sessions), d.q.events)
	}
}

func TestASessionHeapGivesTheOldestFirst(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 0))
	var h sessionHeap
	for range 100 {
		h.put(&session{order: time.Duration(dice.IntN(20)), tie: dice.Uint64()})
	}
	last := heap.Pop(&h).(*session)
	for len(h) > 0 {
		next := heap.Pop(&h).(*session)
		if next.order < last.order || next.order == last.order && next.tie < last.tie {
			t.Fatalf("got (%v, %d) after (%v, %d)", next.order, next.tie, last.order, last.tie)
		}
		last = next
	}
}

// A probe has a slot of its own and ignores back-off, but a session's replayed events
// still go one by one.
func TestAProbeStartsNothingBesideAReplayedEvent(t *testing.T) {
	q := newSchedule(4)
	s := q.add(1, pending{replay: true, born: 1}, 0)
	q.add(1, pending{replay: true, born: 2, due: time.Second}, 0)
	p := q.start(s, replay, 0)
	q.sent(s, 0)
	if got := q.pickProbe(nil); got != nil {
		t.Errorf("got event %d as a probe, want none beside event %d", got.queue[got.next].seq, p.seq)
	}
	q.finish(s, replay, p, true, 0)
	if got := q.pickProbe(nil); got != s {
		t.Errorf("got %v as a probe, want the event that is left", got)
	}
}
