//go:build !race

// It has no goroutines; the race detector would only make it slow.

package delivery_test

import (
	"fmt"
	"slices"
)

// This is a model of how two events of one session get through two pods and one parked
// stream, small enough that every order of steps can be tried. Its steps are named after
// the functions that make them:
//
//	Accept, next, deliver (its answer and its mark apart), finish    delivery.go, send.go
//	claim, add (sent and acknowledged apart), parked, shipAgain      claim.go, ship.go
//	hold, borrow, settle, recall, handBack, release, renew, resume   takeover.go, loan.go
//	recover                                                          cmd/vitrine
//
// A step that fails without an effect (Redis away or full, a call that did not leave) is one
// that is not made. Anything may happen at any time, with a few faults among it:
// a process is killed, and its calls under way may or may not have arrived; its disk is lost
// with it; an answer of the API or of Redis is lost on the way; a process is paused for
// longer than its lease, or Redis is unreachable for it; Redis loses everything.
//
// The laws, of every state that can be reached:
//
//   - An accepted event has a copy that survives, or has been taken by the API; so that it
//     is never settled without that. From every state, without further faults, the API can
//     still get it. The steps of an idle process are made again and again, so that it does.
//   - The API takes an event once, and once more at most for each time that a fault left
//     somebody in the dark about it; any number of times once Redis has lost it: see Parking.
//
// What is assumed is where an event may be lost without breaking the law, and no state is
// excused for another reason:
//
//   - the disk of a dead process is lost while the only copy is there;
//   - Redis loses what it acknowledged, and no process that shipped the event lives to see
//     it: a loss is seen by the stream's highest id having gone back.
//
// Another process that parks before the shipper has looked hides the loss: a limit of
// looking at the highest id, and part of the second assumption.
//
// Left out: time (expiry, the age at which shipments are forgotten, the window of loans),
// dead letters, memory in the journal's place, and order, which schedule_test.go has.
type model struct {
	events [modelEvents]modelEvent
	pods   [modelPods]modelPod
	redis  modelRedis
	faults uint8 // left
	size   modelSize
}

// modelSize bounds what is tried: how many events there are, and how many entries are
// appended before Redis has lost any.
type modelSize struct{ events, entries uint8 }

const (
	modelEvents  = 2
	modelPods    = 2
	modelEntries = 4         // appended to the stream, ever
	nobody       = modelPods // owner of a lease; also of one whose owner has died
)

type modelEvent struct {
	accepted bool
	taken    bool  // by the API
	credit   uint8 // times it may be taken yet: once, and for each time somebody is left in the dark
	twice    bool  // taken once too often
	excused  bool  // lost, by what is assumed not to happen
}

// unbounded is the credit of an event that may be taken any number of times.
const unbounded = 4

func (e *modelEvent) take() {
	e.taken, e.twice = true, e.credit == 0
	if e.credit != unbounded {
		e.credit = max(e.credit, 1) - 1
	}
}

func (e *modelEvent) dark() { e.credit = min(e.credit+1, unbounded) }

// modelPlace is where a copy of an event is in a process.
type modelPlace uint8

const (
	nowhere  modelPlace = iota
	queued              // in the schedule
	flying              // in deliver, before the answer
	answered            // in deliver, after it: not marked as settled yet
	sending             // own ones: claimed, and appended, but Redis's answer is not there yet
	aside               // loans: set aside
	told                // loans: settled, and Redis is to be told
	adopted             // loans: the only copy, queued
)

type modelPod struct {
	up      bool
	journal [modelEvents]bool // not marked as settled; outlives the process
	own     [modelEvents]modelPlace
	loans   [modelEntries]modelPlace
	done    [modelEvents]bool  // settled on loan: loans.done
	shipped [modelEvents]uint8 // entry + 1 of the last shipment, 0 = none
	held    bool               // the lease, so it believes
	lent    bool               // loans may be sent
}

type modelRedis struct {
	event  [modelEntries]uint8 // of each entry
	there  [modelEntries]bool
	next   uint8 // the entry to be appended next; entries rise like their ids
	last   uint8 // entry + 1 of the highest id it knows of
	owner  uint8 // of the lease
	missed bool  // it has lost acknowledged entries
}

// modelStep is a possible next state.
type modelStep struct {
	label modelLabel
	fault bool
	to    model
}

// modelLabel says what a step was, of which event or entry, in which pod; -1 is none.
type modelLabel struct {
	what    string
	of, pod int
}

// modelSteps collects the steps from a state.
type modelSteps struct {
	from model
	list []modelStep
}

// step adds a step that changes a copy of the state.
func (l *modelSteps) step(what string, of, pod int, change func(m *model)) {
	to := l.from
	change(&to)
	l.list = append(l.list, modelStep{label: modelLabel{what, of, pod}, to: to.settled()})
}

// fault is step for what must not happen too often.
func (l *modelSteps) fault(what string, of, pod int, change func(m *model)) {
	if l.from.faults == 0 {
		return
	}
	to := l.from
	to.faults--
	change(&to)
	l.list = append(l.list, modelStep{label: modelLabel{what, of, pod}, fault: true, to: to.settled()})
}

// settled makes equal what makes no difference, and excuses what is lost by assumption.
func (m *model) settled() model {
	for e := range m.events {
		event := &m.events[e]
		if event.accepted && !event.taken && !m.survives(e) {
			event.excused = event.excused || m.redis.missed
		}
	}
	if m.faults == 0 {
		m.hurry()
	}
	return *m
}

// hurry takes the steps at once that only a fault could have come before: there are none left.
func (m *model) hurry() {
	for p := range m.pods {
		pod := &m.pods[p]
		for e, place := range pod.own {
			switch place {
			case flying:
				pod.own[e] = queued
			case answered, sending:
				pod.own[e], pod.journal[e] = nowhere, false
			default:
			}
		}
		for i, place := range pod.loans {
			if place == answered {
				pod.loans[i], pod.done[m.redis.event[i]] = told, true
			}
		}
		if !m.redis.missed {
			pod.shipped = [modelEvents]uint8{} // Redis will lose nothing
		}
	}
}

// survives reports whether there is a copy of the event that no single death takes away,
// or whose loss would be seen by its shipper.
func (m *model) survives(e int) bool {
	for p := range m.pods {
		pod := &m.pods[p]
		if pod.journal[e] || pod.up && pod.shipped[e] > m.redis.last {
			return true
		}
	}
	for i, there := range m.redis.there {
		if there && int(m.redis.event[i]) == e {
			return true
		}
	}
	return false
}

// exists reports whether there is any copy.
func (m *model) exists(e int) bool {
	for p := range m.pods {
		pod := &m.pods[p]
		if pod.own[e] != nowhere {
			return true
		}
		for i, place := range pod.loans {
			if int(m.redis.event[i]) == e && place != nowhere && place != told {
				return true
			}
		}
	}
	return m.survives(e)
}

func (m *model) append(e int) (entry int) {
	entry = int(m.redis.next)
	m.redis.event[entry], m.redis.there[entry] = uint8(e), true
	m.redis.next++
	m.redis.last = m.redis.next
	return entry
}

// room reports whether another entry may be appended: some are kept for shipping again.
func (m *model) room() bool {
	return m.redis.next < m.size.entries || m.redis.missed && m.redis.next < modelEntries
}

func (m *model) steps() []modelStep {
	l := &modelSteps{from: *m}
	for p := range m.pods {
		if !m.pods[p].up {
			m.dead(l, p)
			continue
		}
		m.kill(l, p)
		for e := range m.events {
			m.accept(l, p, e)
			m.ownEvent(l, p, e)
			m.shipAgain(l, p, e)
		}
		m.tenure(l, p)
		for i := range m.redis.next {
			m.entry(l, p, int(i))
		}
	}
	if m.redis.last > 0 {
		l.fault("Redis loses everything", -1, -1, func(m *model) {
			for e := range m.events { // it is shipped and adopted, and the lease, which was lost too, is had by several
				m.events[e].credit = unbounded
			}
			m.redis.there, m.redis.last, m.redis.owner, m.redis.missed = [modelEntries]bool{}, 0, nobody, true
		})
	}
	return l.list
}

func (m *model) accept(l *modelSteps, p, e int) {
	if e >= int(m.size.events) || m.events[e].accepted || e > 0 && !m.events[e-1].accepted {
		return
	}
	l.step("Accept event", e, p, func(m *model) {
		m.events[e].accepted = true
		m.pods[p].journal[e], m.pods[p].own[e] = true, queued
	})
}

// ownEvent is what becomes of an event in the journal of a process.
func (m *model) ownEvent(l *modelSteps, p, e int) {
	put := func(what string, place modelPlace, more func(m *model)) {
		l.step(what, e, p, func(m *model) {
			m.pods[p].own[e] = place
			more(m)
		})
	}
	switch m.pods[p].own[e] {
	case queued:
		if m.faults > 0 {
			put("next event", flying, func(*model) {})
		} else {
			put("next and deliver event", answered, func(m *model) { m.events[e].take() })
		}
		if m.room() && slices.Max(m.pods[p].shipped[:]) <= m.redis.last { // else it ships again first
			put("claim and add event", sending, func(m *model) { m.pods[p].shipped[e] = uint8(m.append(e)) + 1 })
		}
	case flying:
		put("finish, not sent: event", queued, func(*model) {})
		put("deliver event", answered, func(m *model) { m.events[e].take() })
		l.fault("deliver, but the answer is lost: event", e, p, func(m *model) {
			m.pods[p].own[e] = queued
			m.events[e].take()
			m.events[e].dark()
		})
	case answered:
		put("settle event", nowhere, func(m *model) { m.pods[p].journal[e] = false })
	case sending:
		put("parked event", nowhere, func(m *model) { m.pods[p].journal[e] = false })
		l.fault("add, but the answer is lost: event", e, p, func(m *model) {
			m.pods[p].own[e], m.pods[p].shipped[e] = queued, 0
			m.events[e].dark()
		})
	default:
	}
}

func (m *model) shipAgain(l *modelSteps, p, e int) {
	if m.pods[p].own[e] == nowhere && m.pods[p].shipped[e] > m.redis.last && m.room() {
		l.step("shipAgain event", e, p, func(m *model) {
			m.pods[p].shipped[e] = uint8(m.append(e)) + 1
		})
	}
}

// tenure is how a process comes by the lease, and loses it.
func (m *model) tenure(l *modelSteps, p int) {
	pod := &m.pods[p]
	recall := func(m *model) {
		pod := &m.pods[p]
		pod.lent = false
		for i, place := range pod.loans {
			if place == queued {
				pod.loans[i] = aside
			}
		}
	}
	if !pod.held {
		if m.redis.owner == nobody && m.redis.there != [modelEntries]bool{} {
			l.step("hold", -1, p, func(m *model) {
				m.pods[p].held, m.pods[p].lent, m.redis.owner = true, true, uint8(p)
			})
		}
		return
	}
	var count [adopted + 1]int
	for _, place := range pod.loans {
		count[place]++
	}
	scheduled := count[queued] + count[flying] + count[answered]
	switch {
	case int(m.redis.owner) != p:
		l.step("renew, in vain", -1, p, func(m *model) {
			recall(m)
			m.pods[p].held = false
		})
	case pod.lent:
		l.step("recall", -1, p, recall)
	default:
		l.step("resume", -1, p, func(m *model) { m.pods[p].lent = true })
	}
	if count[told]+scheduled == 0 && (!pod.lent || count[aside] == 0) {
		l.step("release", -1, p, func(m *model) {
			m.pods[p].held, m.pods[p].lent = false, false
			if int(m.redis.owner) == p {
				m.redis.owner = nobody
			}
		})
	}
	if int(m.redis.owner) == p {
		l.fault("the lease ends during a pause", -1, p, func(m *model) {
			m.redis.owner, m.pods[p].lent = nobody, false
			m.inTheDark(p)
		})
	}
}

// inTheDark notes what the process has under way, or has not told Redis of.
func (m *model) inTheDark(p int) {
	for i, place := range m.pods[p].loans {
		if place == flying || place == answered || place == told {
			m.events[m.redis.event[i]].dark()
		}
	}
}

// entry is what a process does with an entry of the stream.
func (m *model) entry(l *modelSteps, p, i int) {
	pod := &m.pods[p]
	e := int(m.redis.event[i])
	put := func(what string, place modelPlace, more func(m *model)) {
		l.step(what, i, p, func(m *model) {
			m.pods[p].loans[i] = place
			more(m)
		})
	}
	notSent := queued
	if !pod.lent {
		notSent = aside
	}
	switch pod.loans[i] {
	case nowhere:
		if pod.held && m.redis.there[i] {
			m.borrow(l, p, i)
		}
	case queued:
		if pod.lent {
			put("next entry", flying, func(*model) {})
		} else {
			put("finish, recalled: entry", aside, func(*model) {})
		}
	case flying:
		put("finish, not sent: entry", notSent, func(*model) {})
		put("deliver entry", answered, func(m *model) { m.events[e].take() })
		l.fault("deliver, but the answer is lost: entry", i, p, func(m *model) {
			m.pods[p].loans[i] = notSent
			m.events[e].take()
			m.events[e].dark()
		})
	case answered:
		put("settle entry", told, func(m *model) { m.pods[p].done[e] = true })
	case told:
		put("tell Redis of entry", nowhere, func(m *model) { m.redis.there[i] = false })
	case aside:
		if i < int(m.redis.last) {
			put("handBack entry", nowhere, func(*model) {})
		} else {
			put("handBack, adopted: entry", adopted, func(*model) {})
		}
	case adopted: // flown in one step: nobody else has it
		put("deliver entry", nowhere, func(m *model) { m.events[e].take() })
	default:
	}
}

// borrow takes an entry over. Of two with the same event the later stays on loan.
func (m *model) borrow(l *modelSteps, p, i int) {
	l.step("borrow entry", i, p, func(m *model) {
		pod := &m.pods[p]
		if pod.done[m.redis.event[i]] {
			pod.loans[i] = told
			return
		}
		for j, place := range pod.loans {
			if j != i && m.redis.event[j] == m.redis.event[i] && place != nowhere && place != told && place != adopted {
				pod.loans[max(i, j)], pod.loans[min(i, j)] = place, told
				return
			}
		}
		pod.loans[i] = queued
	})
}

// kill ends a process in the middle of whatever it does.
func (m *model) kill(l *modelSteps, p int) {
	for _, arrived := range []bool{false, true} {
		what := "kill"
		if arrived {
			what = "kill, when calls under way have arrived,"
		}
		l.fault(what, -1, p, func(m *model) {
			pod := &m.pods[p]
			m.inTheDark(p)
			for e, place := range pod.own {
				if place == flying && arrived {
					m.events[e].take()
				}
				if place == flying || place == answered || place == sending {
					m.events[e].dark()
				}
			}
			for i, place := range pod.loans {
				if place == flying && arrived {
					m.events[m.redis.event[i]].take()
				}
			}
			*pod = modelPod{journal: pod.journal}
			if int(m.redis.owner) == p {
				m.redis.owner = nobody // after a while
			}
		})
	}
}

// dead is what may become of a pod whose process has ended.
func (m *model) dead(l *modelSteps, p int) {
	l.step("recover", -1, p, func(m *model) {
		pod := &m.pods[p]
		pod.up = true
		for e, pending := range pod.journal {
			if pending {
				pod.own[e] = queued
			}
		}
	})
	if m.pods[p].journal != [modelEvents]bool{} {
		l.fault("the disk is lost", -1, p, func(m *model) {
			m.pods[p].journal = [modelEvents]bool{}
			for e := range m.events {
				event := &m.events[e]
				event.excused = event.excused || event.accepted && !event.taken && !m.exists(e)
			}
		})
	}
}

// law returns what is wrong with a state, or nothing.
func (m *model) law() string {
	for e, event := range m.events {
		switch {
		case event.accepted && !event.taken && !event.excused && !m.exists(e):
			return fmt.Sprintf("event %d is lost", e)
		case event.twice:
			return fmt.Sprintf("event %d is taken once more, with nobody in the dark", e)
		}
	}
	return ""
}

// delivered reports whether there is nothing left to hope for.
func (m *model) delivered() bool {
	for _, event := range m.events[:m.size.events] {
		if !event.taken && !event.excused {
			return false
		}
	}
	return true
}
