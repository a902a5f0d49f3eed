package delivery

import (
	"context"
	"time"

	"vitrine/breaker"
)

// Drain goes on delivering what is pending while the API takes it, until ctx ends.
// Nothing may be accepted any more.
func (d *Delivery) Drain(ctx context.Context) {
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for {
		s := d.Stats()
		if s.Pending == 0 || s.InFlight == 0 && d.opt.Breaker.State() != breaker.Closed {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-look.C:
		}
	}
}
