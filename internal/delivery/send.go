package delivery

import (
	"errors"
	"math/rand/v2"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/reco"
)

const (
	retryLeast = 200 * time.Millisecond // back-off after a first failure, before jitter
	retryMost  = 30 * time.Second
	maxStrikes = 10 // failures, while other events succeed, that make an event a dead letter
)

// flight is an event under way.
type flight struct {
	pending
	session *session
	class   class
	permit  breaker.Permit
	left    bool // the request's last byte has gone out; guarded by the delivery's lock
}

// send is a worker: it sends one event after the other until the delivery stops.
func (d *Delivery) send() {
	var buffer []byte
	for {
		f := d.next()
		if f == nil {
			return
		}
		buffer = d.deliver(f, buffer[:0])
	}
}

// next waits until there is an event to send; nil means that the delivery stops.
func (d *Delivery) next() *flight {
	d.mu.Lock()
	defer d.mu.Unlock()
	for !d.stopping {
		now := d.now()
		due := d.q.wake(now)
		f, wait := d.chooseLocked(now)
		if f != nil {
			d.work.Signal() // there may be more
			return f
		}
		d.alarmLocked(now, due)
		if wait > 0 {
			d.alarmLocked(now, now+wait)
		}
		d.work.Wait()
	}
	return nil
}

// chooseLocked starts the event that is to be sent now. Without one it says after
// how long there may be one, or 0 if only an event, a call's end or the breaker can
// bring one.
func (d *Delivery) chooseLocked(now time.Duration) (*flight, time.Duration) {
	send, replaying, wait := d.pace.may(now)
	if !send {
		return nil, wait
	}
	state := d.opt.Breaker.State()
	if state == breaker.Closed {
		clear(d.probed)
		s, as := d.q.pick(replaying)
		if s == nil {
			return nil, wait
		}
		return d.startLocked(s, as, now)
	}
	if next := time.Until(d.opt.Breaker.NextAttempt()); next > 0 {
		return nil, next
	}
	s := d.q.pickProbe(d.probed)
	if s == nil { // every session has had its turn
		clear(d.probed)
		s = d.q.pickProbe(d.probed)
	}
	if s == nil {
		return nil, 0
	}
	d.probed[s.key] = true
	return d.startLocked(s, replay, now)
}

// startLocked starts the session's next event, if the breaker agrees.
func (d *Delivery) startLocked(s *session, as class, now time.Duration) (*flight, time.Duration) {
	permit, err := d.opt.Breaker.Admit()
	if refused, ok := errors.AsType[*breaker.Refused](err); ok {
		return nil, max(time.Until(refused.Until), time.Millisecond)
	}
	d.pace.sent(now)
	return &flight{pending: d.q.start(s, as, now), session: s, class: as, permit: permit}, 0
}

// alarmLocked sees to it that a worker looks again at that time; 0 is never.
func (d *Delivery) alarmLocked(now, at time.Duration) {
	if at == 0 || (d.alarmAt != 0 && d.alarmAt <= at) {
		return
	}
	d.alarmAt = at
	if d.alarm == nil {
		d.alarm = time.AfterFunc(at-now, d.ring)
		return
	}
	d.alarm.Reset(at - now)
}

func (d *Delivery) ring() {
	d.mu.Lock()
	d.alarmAt = 0
	d.mu.Unlock()
	d.work.Signal()
}

// deliver posts an event and settles what comes of it. It returns the buffer, grown.
func (d *Delivery) deliver(f *flight, buffer []byte) []byte {
	record, e, err := d.load(f.at, buffer)
	if errors.Is(err, errRecalled) {
		f.permit.Done(breaker.Outcome{Kind: breaker.Ignored})
		d.finish(f, verdict{untried: true})
		return buffer
	}
	if err != nil {
		f.permit.Done(breaker.Outcome{Kind: breaker.Ignored})
		d.opt.Log.Error("an accepted event cannot be read back, and is dropped", "error", err)
		d.finish(f, verdict{settled: true, dropped: Disk})
		d.settle(f.at)
		return buffer
	}
	started := time.Now()
	if started.Sub(d.epoch)-f.born > d.opt.MaxAge {
		f.permit.Done(breaker.Outcome{Kind: breaker.Ignored})
		d.finish(f, verdict{settled: true, expired: true})
		d.settle(f.at)
		return record.Body
	}
	body, traceparent := bodyOf(&record, e)
	out := d.opt.API.Recommend(fashionai.Call{
		Body:        body,
		Deadline:    started.Add(d.opt.Timeout),
		Sent:        func() { d.sent(f) },
		Traceparent: traceparent,
	})
	f.permit.Done(breaker.Outcome{Kind: kindOf(out.Class), Took: out.Took})
	if out.Class == fashionai.RateLimited {
		d.hold(out.RetryAfter)
	}
	result := d.remember(e, f, started, out)
	v := d.judge(f, out)
	if v.dropped == DeadLetter {
		d.bury(f.at, record, out)
	}
	if v.settled {
		d.settle(f.at)
	}
	d.finishFor(f, v, e, started, result, out)
	return record.Body
}

// load reads an event's body back, into buffer if it comes from the journal.
func (d *Delivery) load(at journal.Position, buffer []byte) (r journal.Record, e reco.Event, err error) {
	if inMemory(at) || onLoan(at) {
		d.mu.Lock()
		r, err = d.heldLocked(at)
		d.mu.Unlock()
		r.Body = append(buffer, r.Body...) // the caller keeps what it is given as its buffer
	} else {
		r, err = d.opt.Journal.Read(at, buffer)
	}
	if err != nil {
		return r, e, err
	}
	e, err = reco.ParseEvent(r.Body)
	return r, e, err
}

// heldLocked returns the event that this process holds at that position.
func (d *Delivery) heldLocked(at journal.Position) (journal.Record, error) {
	if onLoan(at) {
		return d.loans.take(at, d.now()+d.opt.Timeout)
	}
	held, ok := d.memory.get(at)
	if !ok {
		return held, errors.New("no such record in memory")
	}
	return held, nil
}

// sent lets the session's next event follow this one.
func (d *Delivery) sent(f *flight) {
	d.mu.Lock()
	if !f.left {
		f.left = true
		d.q.sent(f.session, d.now())
	}
	d.mu.Unlock()
	d.work.Signal()
}

// kindOf is what an outcome says about the health of the API.
func kindOf(c fashionai.Class) breaker.Kind {
	switch c {
	case fashionai.OK, fashionai.Empty, fashionai.NotFound, fashionai.Rejected:
		return breaker.Success
	case fashionai.Unauthorized, fashionai.RateLimited:
		return breaker.Ignored // our fault or its wish, not its illness
	case fashionai.Unreachable:
		return breaker.ConnectFailure
	case fashionai.BadAnswer, fashionai.ServerError, fashionai.Timeout, fashionai.Broken:
		return breaker.Failure
	default:
		return breaker.Failure
	}
}

// hold makes a pause, as the API has asked: never shorter, by jitter a little longer.
func (d *Delivery) hold(pause time.Duration) {
	pause += time.Duration(rand.Int64N(int64(pause/10) + 1))
	d.opt.Breaker.Hold(time.Now().Add(pause))
	d.mu.Lock()
	now := d.now()
	d.holdUntil = max(d.holdUntil, now+pause)
	d.releaseLocked(reco.RateLimited, now)
	d.q.backlog(now)
	d.mu.Unlock()
}

// remember gives the cache what the call brought, and says what a waiting shopper gets of it.
func (d *Delivery) remember(e reco.Event, f *flight, started time.Time, out fashionai.Outcome) Result {
	result := Result{Reason: out.Reason(), Status: out.Status}
	if out.Class != fashionai.OK && out.Class != fashionai.Empty {
		return result
	}
	ranking := out.Ranking
	if e.Type.ViewsProduct() {
		ranking = ranking.Without(e.Item)
	}
	if ranking.Empty() {
		d.opt.Rankings.StoreEmpty(e)
		result.Reason = reco.Empty
		return result
	}
	result.Ranking, result.Reason = ranking, reco.NoReason
	result.Stored = d.opt.Rankings.Store(e, ranking, started, f.mark)
	return result
}

// verdict is what becomes of an event after a try.
type verdict struct {
	settled   bool
	untried   bool // a taken-over event that is no longer this process's to send
	delivered bool
	expired   bool
	dropped   Drop
	cause     Cause         // of the next try, unless settled
	after     time.Duration // before the next try
	strike    bool          // the try counts towards the dead letter, if others succeed meanwhile
}

// judge decides what becomes of the event. It changes f's counts of failures.
func (d *Delivery) judge(f *flight, out fashionai.Outcome) verdict {
	v := verdict{strike: true}
	switch out.Class {
	case fashionai.OK, fashionai.Empty, fashionai.BadAnswer, fashionai.NotFound:
		return verdict{settled: true, delivered: true}
	case fashionai.Rejected:
		return verdict{settled: true, dropped: DeadLetter}
	case fashionai.RateLimited:
		v.cause, v.strike = HTTP, false // it waits; however often it is told to, it is not at fault
		f.received = true
	case fashionai.Unauthorized, fashionai.ServerError:
		v.cause = HTTP
		f.received = true
	case fashionai.Timeout:
		v.cause = Ambiguous
		f.received = true
	case fashionai.Broken:
		v.cause = Ambiguous
	case fashionai.Unreachable:
		if v.cause = Unsent; out.Sent {
			v.cause = Ambiguous
		}
	}
	v.after = max(d.backoff(f.attempts), out.RetryAfter)
	if f.attempts < 255 {
		f.attempts++
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.strike && f.successes != d.successes {
		f.successes = d.successes
		if f.strikes++; f.strikes >= maxStrikes {
			return verdict{settled: true, dropped: DeadLetter}
		}
	}
	return v
}

// backoff is the time to wait after so many earlier failures, with full jitter.
func (d *Delivery) backoff(attempts uint8) time.Duration {
	most := retryMost
	if shift := int(attempts); shift < 8 {
		most = min(retryLeast<<shift, retryMost)
	}
	return rand.N(most)
}

// finishFor ends a flight and answers those who wait for its question.
func (d *Delivery) finishFor(f *flight, v verdict, e reco.Event, started time.Time, r Result, out fashionai.Outcome) {
	d.mu.Lock()
	d.stats.Retried[StaleConnection] += uint64(out.StaleRetries) //nolint:gosec // a count
	if out.Renewed {
		d.stats.Retried[HTTP]++
	}
	d.q.observe(out.Took)
	d.resolveLocked(e, f.seq, started.Sub(d.epoch), r, d.now())
	d.mu.Unlock()
	d.finish(f, v)
}

// finish books what became of the event and lets its session go on.
func (d *Delivery) finish(f *flight, v verdict) {
	d.mu.Lock()
	now := d.now()
	p := f.pending
	switch {
	case v.delivered:
		d.stats.Delivered++
		d.successes++
	case v.expired:
		d.stats.Expired++
	case v.dropped != 0:
		d.stats.Dropped[v.dropped]++
	case v.untried:
	default:
		d.stats.Retried[v.cause]++
		p.due = now + v.after
	}
	if !f.left {
		f.left = true // what was never sent holds its session no longer under way, but back in the queue
		f.session.sending = false
	}
	recalled := !v.settled && onLoan(p.at) && !d.loans.mayStart(p.at, now+d.opt.Timeout)
	if recalled {
		d.setAsideLocked(p)
	}
	d.q.finish(f.session, f.class, p, v.settled || recalled, now)
	d.mu.Unlock() // nobody is woken: the worker that calls this looks for the next event itself
}
