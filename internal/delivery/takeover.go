package delivery

import (
	"context"
	"fmt"
	"time"

	"vitrine/internal/redis"
)

// How much is taken over at once. The rest stays in Redis, where other pods find it.
const (
	window       = 64      // events of one stream on loan
	probeWindow  = 4       // while the API is being probed
	maxBusy      = 4       // streams being emptied by this process
	maxLoanBytes = 4 << 20 // of bodies on loan; beyond it nothing more is read
	lookEvery    = time.Second
	renewEvery   = time.Second // far below a lease's life: one that Redis forgot is noticed soon
)

// tenure is the time of having a stream's lease.
type tenure struct {
	renewed   time.Time
	until     time.Time
	begun     bool // what the last holder had was asked for
	recovered bool // all of that is on loan or settled
	emptied   bool // the stream had no more when it was last read
	readAt    time.Time
	recalled  bool // nothing of it is started any more
}

// takeOver empties the streams it holds, and takes hold of others while there are few
// of those.
func (p *Parking) takeOver(ctx context.Context) {
	p.resume(ctx, window)
	p.seek(ctx, window, func() bool { return p.busy() < maxBusy })
}

// probe takes over a few events if there is nothing here to probe the API with. One of
// them is sent; there are others so that the next probe need not be the one that failed.
func (p *Parking) probe(ctx context.Context) {
	if p.d.Stats().Pending > 0 {
		return
	}
	p.resume(ctx, probeWindow)
	p.seek(ctx, probeWindow, func() bool { onLoan, _ := p.d.loaned(); return onLoan == 0 })
}

// resume goes on with the streams it holds.
func (p *Parking) resume(ctx context.Context, most int) {
	for stream, t := range p.held {
		if t == nil {
			continue
		}
		if t.recalled && p.d.lent()[stream][settled] > 0 {
			continue // Redis does not hear of what was delivered; no more until it does
		}
		if t.recalled { // but the API, or Redis, came back before the last call had ended
			t.recalled, t.begun, t.recovered, t.emptied = false, false, false, false
			p.d.lend(stream, t.until)
		}
		p.refill(ctx, stream, most)
	}
}

// busy says how many streams are held that have more than is on loan.
func (p *Parking) busy() (n int) {
	for _, t := range p.held {
		if t != nil && !t.emptied {
			n++
		}
	}
	return n
}

// seek takes hold of streams while more are wanted. It looks at all of them when the
// weather has changed or one was to be had, else at one every second: thousands of
// pods do the same.
func (p *Parking) seek(ctx context.Context, most int, more func() bool) {
	for more() {
		if p.look == 0 {
			if time.Since(p.lookedAt) < lookEvery {
				return
			}
			p.look = 1
		}
		p.look--
		p.lookedAt = time.Now()
		stream := p.cursor
		p.cursor = (p.cursor + 1) % parkedStreams
		if err := p.hold(ctx, stream, most); err != nil {
			p.look = parkedStreams
			p.complain("parked events could not be looked for", err)
			return
		}
	}
}

// hold tries to get the lease of a stream, if there is anything in it, and begins to empty it.
func (p *Parking) hold(ctx context.Context, stream, most int) error {
	if p.held[stream] != nil {
		return nil
	}
	length, err := p.lengths(ctx, streamName(stream))
	if err != nil || length[0] == 0 {
		return err
	}
	now := time.Now() // before asking: our notion of the lease must not outlive Redis's
	got, err := p.opt.Redis.Acquire(ctx, leaseName(stream), p.owner, p.lease)
	if err != nil || !got {
		return err //nolint:wrapcheck // it is complained of with what it was for
	}
	p.opt.Log.InfoContext(ctx, "taking over parked events", "stream", stream, "events", length[0])
	p.look = parkedStreams // a stream nobody has the lease of: there may be others
	p.held[stream] = &tenure{renewed: now, until: now.Add(p.lease)}
	p.d.lend(stream, now.Add(p.lease))
	p.keep(ctx, streamName(stream), p.life)
	p.refill(ctx, stream, most)
	return nil
}

// refill reads a stream until most of its events are on loan. First come those that
// the last holder had read and not settled; the rest only after them, because a
// session's events go in order.
func (p *Parking) refill(ctx context.Context, stream, most int) {
	t := p.held[stream]
	for {
		count := p.d.lent()[stream]
		onLoan := count[scheduled] + count[setAside] + count[settled]
		switch {
		case onLoan > most/2 && t.begun, p.full():
			return
		case !t.recovered && t.begun && onLoan > 0:
			return // Redis gives the oldest only, and those are the ones on loan
		case t.emptied && time.Since(t.readAt) < lookEvery:
			return
		}
		wanted := most - onLoan
		if !t.recovered {
			wanted = most + onLoan + 1 // it gives those on loan once more; one less says that these are all
		}
		entries, err := p.opt.Redis.XReadGroup(ctx, streamName(stream), parkedGroup, parkedConsumer, wanted, !t.recovered)
		if err != nil {
			p.complain("parked events could not be read", err)
			return
		}
		p.borrow(ctx, stream, entries)
		all := len(entries) < wanted
		t.begun, t.readAt = true, time.Now()
		t.emptied = t.recovered && all
		t.recovered = t.recovered || all
		p.settle(ctx, stream) // what had expired, or was rubbish
	}
}

// full reports whether the bodies on loan take as much memory as they may.
func (p *Parking) full() bool {
	_, bytes := p.d.loaned()
	return bytes >= maxLoanBytes
}

// borrow accepts what was read from a stream.
func (p *Parking) borrow(ctx context.Context, stream int, entries []redis.Entry) {
	for _, e := range entries {
		if len(e.Values) == 0 { // somebody has removed it meanwhile
			if err := p.opt.Redis.XSettle(ctx, streamName(stream), parkedGroup, e.ID); err != nil {
				p.complain("a removed entry could not be acknowledged", err)
			}
			continue
		}
		record, wrong := parseEntry(e.Values, time.Now())
		p.d.borrow(stream, e.ID, record, wrong)
	}
}

// giveBack tells Redis of what was settled, lets go of what is not to be sent here any
// more, and renews or ends the leases.
func (p *Parking) giveBack(ctx context.Context) {
	for stream, count := range p.d.lent() {
		if count[settled] > 0 {
			p.settle(ctx, stream)
		}
		if count[setAside] > 0 {
			p.handBack(ctx, stream)
		}
		t := p.held[stream]
		switch {
		case t == nil:
		case t.recalled && count[scheduled]+count[settled] == 0, // the next holder must not find what is settled
			t.emptied && count == [settled + 1]int{}:
			p.release(ctx, stream)
		case time.Since(t.renewed) >= renewEvery:
			p.renew(ctx, stream, t)
		}
	}
}

// settle removes from a stream what is settled, its dead letters after keeping them elsewhere.
func (p *Parking) settle(ctx context.Context, stream int) {
	done := p.d.returnedOf(stream)
	if len(done) == 0 {
		return
	}
	entries := make([]string, len(done))
	for i, r := range done {
		entries[i] = r.entry
		if r.letter {
			p.bury(ctx, r)
		}
	}
	if err := p.opt.Redis.XSettle(ctx, streamName(stream), parkedGroup, entries...); err != nil {
		p.complain("delivered events could not be removed from Redis", err)
		p.recallAll() // until Redis hears of them, whoever comes next would send them again
		return
	}
	p.d.closeLoans(done)
}

// handBack lets go of what was set aside, as soon as Redis has said that it still has
// it. What it has lost is delivered here.
func (p *Parking) handBack(ctx context.Context, stream int) {
	last, err := p.opt.Redis.XLastID(ctx, streamName(stream))
	if err != nil {
		p.complain("events could not be handed back", err)
		return
	}
	if lost := p.d.handBack(stream, func(entry string) bool { return !laterEntry(entry, last) }); lost > 0 {
		p.opt.Log.WarnContext(ctx, "Redis has lost parked events; those that were taken over are kept here", "stream", stream, "events", lost)
	}
}

func (p *Parking) renew(ctx context.Context, stream int, t *tenure) {
	now := time.Now()
	had, err := p.opt.Redis.Renew(ctx, leaseName(stream), p.owner, p.lease)
	switch {
	case err == nil && had:
		t.renewed, t.until = now, now.Add(p.lease)
		if !t.recalled {
			p.d.lend(stream, t.until)
		}
	case err == nil, now.Add(p.d.opt.Timeout).After(t.until):
		// Another process may have it. That Redis was emptied is the other way to
		// lose it, which handBack finds out.
		p.opt.Log.WarnContext(ctx, "the lease of a parked stream is lost", "stream", stream, "error", err)
		p.d.recall(stream)
		p.held[stream] = nil
	default:
		p.complain("a lease could not be renewed", err)
	}
}

// recallAll stops the starting of events on loan.
func (p *Parking) recallAll() {
	for stream, t := range p.held {
		if t != nil && !t.recalled {
			t.recalled = true
			p.d.recall(stream)
		}
	}
}

func (p *Parking) release(ctx context.Context, stream int) {
	p.d.recall(stream)
	p.held[stream] = nil
	if err := p.opt.Redis.Release(ctx, leaseName(stream), p.owner); err != nil {
		p.complain(fmt.Sprintf("a lease could not be given back; it ends after %v", p.lease), err)
	}
}
