package delivery_test

import (
	"time"

	"vitrine/internal/delivery"
	"vitrine/internal/reco"
	"vitrine/internal/trace"
)

// Most tests accept events that are of no trace.

func (r *rig) Accept(e reco.Event, wanted bool) delivery.Ticket {
	return r.Delivery.Accept(e, time.Now(), trace.Context{}, wanted)
}

func (p *realPod) Accept(e reco.Event, wanted bool) delivery.Ticket {
	return p.Delivery.Accept(e, time.Now(), trace.Context{}, wanted)
}
