package delivery

import (
	"context"
	"errors"
	"time"

	"vitrine/breaker"
)

const (
	// drainParking is kept for parking of the time there is to drain: at the start of it
	// nothing more is sent, and the last calls come back meanwhile.
	drainParking = 2 * time.Second
	// drainLast is when sessions are parked whose last event is still on its way out.
	drainLast  = 500 * time.Millisecond
	drainLook  = 20 * time.Millisecond
	drainRetry = 100 * time.Millisecond // while Redis does not take events
)

// Drain is what a process does with its events before it goes, until ctx ends, which
// must have a deadline. Nothing may be accepted any more, and nothing is sent after.
// It goes on delivering while the API takes events; what is left then is parked, if p is
// not nil, oldest first, and after that still what comes back from calls under way. What
// it does not get to stays pending, and in the journal if there is one.
func (d *Delivery) Drain(ctx context.Context, p *Parking) {
	end, _ := ctx.Deadline()
	delivering, cancel := context.WithDeadline(ctx, end.Add(-drainParking))
	if p != nil { // what is on loan is safe where it came from
		p.recallAll()
		p.giveBack(delivering)
	}
	d.finishWell(delivering)
	cancel()
	d.stop()
	if p != nil {
		p.drain(ctx, end)
		return
	}
	restWhile(ctx, func() bool { return d.Stats().InFlight > 0 })
}

// finishWell waits while what is pending is being delivered.
func (d *Delivery) finishWell(ctx context.Context) {
	restWhile(ctx, func() bool { return d.Stats().Pending > 0 && d.opt.Breaker.State() == breaker.Closed })
}

// drain gives back what is on loan and parks the rest. Redis being away or full is
// tried again while there is time.
func (p *Parking) drain(ctx context.Context, end time.Time) {
	for {
		p.recallAll()
		p.giveBack(ctx)
		_, err := p.ship(ctx, p.d.backlog(everything), time.Until(end) < drainLast)
		pause := drainLook
		if err != nil {
			p.complain("events could not be parked", err)
			pause = drainRetry
		}
		now := p.d.Stats()
		onLoan, _ := p.d.loaned()
		done := now.Pending == 0 || errors.Is(err, errNoRoom) && now.InFlight == 0
		if done && onLoan == 0 || !rest(ctx, pause) {
			break
		}
	}
	for stream := range parkedStreams {
		p.d.handBack(stream, func(string) bool { return true }) // Redis cannot be asked any more
	}
}

func restWhile(ctx context.Context, busy func() bool) {
	for busy() {
		if !rest(ctx, drainLook) {
			return
		}
	}
}

// rest reports whether it could rest for so long.
func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
