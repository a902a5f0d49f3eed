package delivery

import (
	"errors"
	"math"
	"time"

	"vitrine/internal/journal"
	"vitrine/internal/reco"
)

// loan is an event taken over from a parked stream. Redis keeps it until it is
// settled, so that whoever comes after this process finds it there.
type loan struct {
	record journal.Record
	stream int
	entry  string // its id in the stream
	key    uint64 // of the session
	seq    uint64 // of the event
	state  loanState
	aside  pending // while set aside: what it was in the schedule
	letter bool    // settled as a dead letter that is not kept anywhere yet
}

type loanState uint8

const (
	scheduled loanState = iota // in the schedule, or under way
	setAside                   // not to be sent any more, until Redis has said whether it still has it
	settled                    // done with; Redis is to be told
)

// loans holds the events that are on loan. It has no lock of its own; only wake and
// returned may be used without the delivery's.
//
// Its positions are those of a segment that no journal ever reaches.
type loans struct {
	slots    map[uint32]*loan
	next     uint32
	bytes    int                          // of the bodies
	until    [parkedStreams]time.Duration // calls for events of the stream must end before then
	done     recentIDs
	returned chan struct{} // some were settled; room for one
}

const loanSegment = math.MaxUint32

// errRecalled says that an event is, for now, another process's to send.
var errRecalled = errors.New("the lease of its stream is over")

func newLoans() *loans {
	return &loans{
		slots: make(map[uint32]*loan), returned: make(chan struct{}, 1),
		done: recentIDs{known: make(map[[16]byte]bool)},
	}
}

func onLoan(at journal.Position) bool { return at.Segment == loanSegment }

// put takes in an event.
func (l *loans) put(n *loan) journal.Position {
	l.next++
	l.slots[l.next] = n
	l.bytes += len(n.record.Body)
	return journal.Position{Segment: loanSegment, Offset: l.next}
}

// take returns the event at that position, for a call that ends by then.
func (l *loans) take(at journal.Position, end time.Duration) (journal.Record, error) {
	n := l.slots[at.Offset]
	switch {
	case n == nil:
		return journal.Record{}, errors.New("no such record on loan")
	case !l.mayStart(at, end):
		return journal.Record{}, errRecalled
	default:
		return n.record, nil
	}
}

// mayStart reports whether a call for the event that ends by then ends under the lease.
func (l *loans) mayStart(at journal.Position, end time.Duration) bool {
	n := l.slots[at.Offset]
	return n != nil && end <= l.until[n.stream]
}

// condemn makes the event a dead letter.
func (l *loans) condemn(at journal.Position, status uint32) {
	if n := l.slots[at.Offset]; n != nil {
		n.letter, n.record.Extra = true, status
	}
}

// settle notes that nothing is left to do but to tell Redis.
func (l *loans) settle(at journal.Position) {
	if n := l.slots[at.Offset]; n != nil {
		n.state = settled
		if !n.letter { // which may come back, by an operator's hand
			l.done.add(n.record.ID)
		}
	}
}

func (l *loans) wake() {
	select {
	case l.returned <- struct{}{}:
	default:
	}
}

func (l *loans) forget(slot uint32) {
	l.bytes -= len(l.slots[slot].record.Body)
	delete(l.slots, slot)
}

// has reports whether the entry is on loan, and returns the loan of the same event
// under another entry, if that is not settled.
func (l *loans) has(stream int, entry string, id [16]byte) (same bool, twin *loan) {
	for _, n := range l.slots {
		switch {
		case n.stream != stream:
		case n.entry == entry:
			return true, nil
		case n.record.ID == id && n.state != settled:
			twin = n
		}
	}
	return false, twin
}

// recentIDs remembers the last events settled for parked streams: an entry whose
// acknowledgement was lost was appended twice.
type recentIDs struct {
	known map[[16]byte]bool
	ring  [4096][16]byte
	next  int
}

func (r *recentIDs) add(id [16]byte) {
	if r.known[id] {
		return
	}
	delete(r.known, r.ring[r.next])
	r.ring[r.next] = id
	r.known[id] = true
	r.next = (r.next + 1) % len(r.ring)
}

// borrow accepts an event that another process parked, or buries what is none, if
// wrong or its body says so. It leaves alone what this process has already.
func (d *Delivery) borrow(stream int, entry string, r journal.Record, wrong error) {
	e, err := reco.ParseEvent(r.Body)
	wrong = errors.Join(wrong, err)
	r.Key = groupOf(e.Session)
	age := max(time.Since(time.Unix(0, r.Time)), 0) // a clock set back must not make an event immortal
	d.mu.Lock()
	defer d.mu.Unlock()
	same, twin := d.loans.has(stream, entry, r.ID)
	if same {
		return
	}
	n := &loan{record: r, stream: stream, entry: entry, key: d.sessionKey(e.Session)}
	at := d.loans.put(n)
	now := d.now()
	switch {
	case wrong != nil:
		n.letter = true
		d.stats.Dropped[DeadLetter]++
	case d.loans.done.known[r.ID]:
		d.stats.Deduplicated++
	case twin != nil:
		// Redis surely has the later one, just read or appended since. It stays on loan;
		// the event is not done with by removing the other.
		if laterEntry(entry, twin.entry) {
			n.entry, twin.entry = twin.entry, n.entry
		}
		n.state = settled
		d.stats.Accepted++
		d.stats.Deduplicated++
		return
	case age > d.opt.MaxAge:
		d.stats.Expired++
	default:
		n.seq = d.addLocked(n.key, r, pending{at: at, born: now - age, replay: true}, now)
		d.work.Signal()
		return
	}
	d.stats.Accepted++
	d.loans.settle(at)
}

// lend lets calls be made for events of the stream that end by then; 0 lets none.
func (d *Delivery) lend(stream int, until time.Time) {
	d.mu.Lock()
	d.loans.until[stream] = until.Sub(d.epoch)
	d.mu.Unlock()
}

// recall takes what has not started of a stream out of the schedule, and lets
// nothing of it start any more. What is under way follows when it has failed.
func (d *Delivery) recall(stream int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loans.until[stream] = 0
	now := d.now()
	for _, n := range d.loans.slots {
		s := d.q.sessions[n.key]
		if n.stream != stream || n.state != scheduled || s == nil {
			continue
		}
		if p, ok := d.q.discard(s, n.seq, now); ok {
			d.setAsideLocked(p)
		}
	}
}

// setAsideLocked keeps an event out of the schedule that is no longer ours to send.
func (d *Delivery) setAsideLocked(p pending) {
	n := d.loans.slots[p.at.Offset]
	n.state, n.aside = setAside, p
	d.away++
}

// handBack lets go of the events of a stream that were set aside. Those that are
// no longer in Redis, as kept tells by their entries, are this process's own
// from now on: their only copy is here.
func (d *Delivery) handBack(stream int, kept func(entry string) bool) (adopted int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.now()
	for slot, n := range d.loans.slots {
		if n.stream != stream || n.state != setAside {
			continue
		}
		d.away--
		d.loans.forget(slot)
		if kept(n.entry) {
			d.stats.Parked++
			continue
		}
		p := n.aside
		p.at = d.memory.put(n.record, n.key)
		d.memory.scheduled(p.at, p.seq)
		d.q.restore(n.key, p, now)
		adopted++
	}
	d.shedLocked(now)
	d.work.Signal()
	return adopted
}

// lent says how many events of each stream are on loan, by state.
func (d *Delivery) lent() (count [parkedStreams][settled + 1]int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range d.loans.slots {
		count[n.stream][n.state]++
	}
	return count
}

// loaned says how many events are on loan, and the bytes of their bodies.
func (d *Delivery) loaned() (events, bytes int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.loans.slots), d.loans.bytes
}

// returned is a settled loan.
type returned struct {
	slot   uint32
	entry  string
	letter bool
	record journal.Record
}

// returnedOf lists the settled loans of a stream.
func (d *Delivery) returnedOf(stream int) (all []returned) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for slot, n := range d.loans.slots {
		if n.stream == stream && n.state == settled {
			all = append(all, returned{slot, n.entry, n.letter, n.record})
		}
	}
	return all
}

// buried notes that a dead letter is kept.
func (d *Delivery) buried(slot uint32) {
	d.mu.Lock()
	d.loans.slots[slot].letter = false
	d.mu.Unlock()
}

// closeLoans forgets settled loans, once Redis knows.
func (d *Delivery) closeLoans(of []returned) {
	d.mu.Lock()
	for _, r := range of {
		d.loans.forget(r.slot)
	}
	d.mu.Unlock()
}
