package delivery

import (
	"errors"
	"fmt"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/reco"
)

// Letters is the journal of dead letters, which is read back while it is open.
type Letters interface {
	Journal
	// Pending calls yield for every record that is not settled, oldest first.
	Pending(yield func(journal.Position, journal.Record) bool) error
}

// Letter is an event the API rejects, as an operator may see it.
type Letter struct {
	ID       ID        `json:"id"`
	Accepted time.Time `json:"accepted"`
	Event    string    `json:"event"`            // its type
	Status   int       `json:"status,omitempty"` // the API's last answer; 0 if there was none
}

// maxBuried bounds the dead letters that no journal holds; beyond it the oldest is forgotten.
const maxBuried = 1000

// deadLetters keeps rejected events for an operator to look at and send again. They
// are out of the ledger: counted as dropped, and as accepted anew once redriven.
type deadLetters struct {
	journal Letters // nil = none
	buried  []journal.Record
}

// bury keeps a rejected event. One taken over from Redis goes back there, to the dead
// letters of all pods.
func (d *Delivery) bury(at journal.Position, r journal.Record, out fashionai.Outcome) {
	r.Extra = uint32(out.Status) //nolint:gosec // an HTTP status
	if onLoan(at) {
		d.mu.Lock()
		d.loans.condemn(at, r.Extra)
		d.mu.Unlock()
		return
	}
	d.buryHere(r)
}

// buryHere keeps a rejected event among this process's dead letters.
func (d *Delivery) buryHere(r journal.Record) {
	if d.dead.journal != nil {
		_, err := d.dead.journal.Append(r)
		if err == nil {
			return
		}
		d.opt.Log.Warn("the journal of dead letters fails; memory takes over", "error", err)
	}
	r.Body = append([]byte(nil), r.Body...)
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.dead.buried) == maxBuried {
		d.dead.buried = append(d.dead.buried[:0], d.dead.buried[1:]...)
	}
	d.dead.buried = append(d.dead.buried, r)
}

// DeadLetters lists at most limit of the dead letters, oldest first, and says how many there are.
func (d *Delivery) DeadLetters(limit int) (letters []Letter, total int, err error) {
	err = d.eachDead(func(_ journal.Position, r journal.Record) bool {
		if total++; total <= limit {
			letters = append(letters, letterOf(r))
		}
		return true
	})
	return letters, total, err
}

func letterOf(r journal.Record) Letter {
	l := Letter{ID: r.ID, Accepted: time.Unix(0, r.Time), Status: int(r.Extra), Event: "unreadable"}
	if e, err := reco.ParseEvent(r.Body); err == nil {
		l.Event = e.Type.String()
	}
	return l
}

// eachDead calls yield for every dead letter; one in memory has no position.
func (d *Delivery) eachDead(yield func(journal.Position, journal.Record) bool) error {
	if d.dead.journal != nil {
		more := true
		err := d.dead.journal.Pending(func(at journal.Position, r journal.Record) bool {
			more = yield(at, r)
			return more
		})
		if err != nil {
			return fmt.Errorf("reading the dead letters: %w", err)
		}
		if !more {
			return nil
		}
	}
	d.mu.Lock()
	buried := d.dead.buried
	d.mu.Unlock()
	for _, r := range buried {
		if !yield(journal.Position{}, r) {
			break
		}
	}
	return nil
}

// Redrive accepts every dead letter again, and says how many there were.
func (d *Delivery) Redrive() (n int, err error) {
	again := func(r journal.Record) bool {
		if time.Since(time.Unix(0, r.Time)) > d.opt.MaxAge {
			r.Time = time.Now().UnixNano() // an operator asks for it: its age begins anew
		}
		r.Extra = 0
		if err := d.Replay(d.append(r), r); err != nil {
			d.opt.Log.Warn("a dead letter cannot be sent again", "error", err)
			return false
		}
		n++
		return true
	}
	d.mu.Lock()
	buried := d.dead.buried
	d.dead.buried = nil
	d.mu.Unlock()
	for _, r := range buried {
		again(r)
	}
	if d.dead.journal == nil {
		return n, nil
	}
	var failed error
	err = d.dead.journal.Pending(func(at journal.Position, r journal.Record) bool {
		if again(r) {
			failed = d.dead.journal.Settle(at)
		}
		return failed == nil
	})
	if err = errors.Join(err, failed); err != nil {
		return n, fmt.Errorf("redriving the dead letters: %w", err)
	}
	return n, nil
}
