package fakeapi

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// director knows which faults there are at this moment. It needs no goroutine: a
// script is a function of the time since it was set.
type director struct {
	mu      sync.Mutex
	dice    *rand.Rand
	script  Script
	started time.Time
}

// verdict is a call's fate.
type verdict struct {
	fault   Fault // the zero Fault for a call that is left alone
	phase   string
	latency time.Duration // how long the answer takes, delay included
}

// posture is what holds for connections at a moment.
type posture struct {
	refuse      bool
	certificate Certificate
	idleClose   time.Duration
	closeAfter  int
}

func newDirector(seed uint64) *director {
	return &director{dice: rand.New(rand.NewPCG(seed, 0x66617465))}
}

func (d *director) play(s Script) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.script, d.started = s, time.Now()
}

// judge decides a call's fate. Usual is the latency of a well API.
func (d *director) judge(e Endpoint, usual Latency) verdict {
	d.mu.Lock()
	defer d.mu.Unlock()
	phase, since, _ := d.nowLocked()
	v := verdict{phase: phase.Name}
	for _, f := range phase.Faults {
		if f.hitsCalls() && f.active(since) && (len(f.On) == 0 || slices.Contains(f.On, e)) &&
			(f.Share == 0 || d.dice.Float64() < f.Share) {
			v.fault = f
			break
		}
	}
	if v.fault.Latency != nil {
		usual = *v.fault.Latency
	}
	v.latency = usual.sample(d.dice.NormFloat64()) + v.fault.Delay
	return v
}

// posture returns what holds for connections, and after how long that may change,
// 0 for not by itself. Of several faults each contributes what it sets.
func (d *director) posture() (p posture, next time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	phase, since, next := d.nowLocked()
	for _, f := range phase.Faults {
		if !f.hitsConnections() {
			continue
		}
		if flap := f.nextFlap(since); flap > 0 && (next == 0 || flap < next) {
			next = flap
		}
		if !f.active(since) {
			continue
		}
		p.refuse = p.refuse || f.Answer == Refuse
		if f.Certificate != "" {
			p.certificate = f.Certificate
		}
		p.idleClose = max(p.idleClose, f.IdleClose)
		p.closeAfter = max(p.closeAfter, f.CloseAfter)
	}
	return p, next
}

func (d *director) phase() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	phase, _, _ := d.nowLocked()
	return phase.Name
}

func (d *director) nowLocked() (phase Phase, since, left time.Duration) {
	return d.script.At(time.Since(d.started))
}
