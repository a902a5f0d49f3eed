package journal_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"vitrine/internal/journal"
)

// model is a journal beside what it must hold.
type model struct {
	*testing.T
	rng     *rand.Rand
	dir     string
	journal *journal.Journal
	next    int
	pending []kept
	settled []journal.Position
}

// A journal holds what a slice would, whatever is done to it and wherever the process dies.
func TestModel(t *testing.T) {
	for seed := range uint64(6) {
		m := &model{T: t, rng: rand.New(rand.NewPCG(seed, 0)), dir: t.TempDir()}
		m.journal = open(t, small(m.dir))
		for range 400 {
			m.step()
		}
		checkPending(t, m.journal, m.pending)
		closeJournal(t, m.journal)
	}
}

func (m *model) step() {
	m.Helper()
	switch p := m.rng.IntN(100); {
	case p < 50:
		m.append()
	case p < 80:
		m.settle()
	case p < 88:
		mustMaintain(m, m.journal)
	case p < 92:
		m.read()
	case p < 95:
		checkPending(m, m.journal, m.pending)
	case p < 97:
		closeJournal(m, m.journal)
		m.reopen(m.dir)
	default:
		copied := crash(m, m.dir)
		closeJournal(m, m.journal)
		m.reopen(copied)
	}
}

func (m *model) append() {
	r := numbered(m.next, m.rng.IntN(500))
	at, err := m.journal.Append(r)
	switch {
	case err == nil:
		m.next++
		m.pending = append(m.pending, kept{at, r})
	case !errors.Is(err, journal.ErrFull) && !errors.Is(err, journal.ErrUnavailable):
		m.Fatalf("Append: %v", err)
	}
}

// settle settles mostly from the front, as deliveries do, and now and then what is settled already.
func (m *model) settle() {
	if len(m.settled) > 0 && m.rng.IntN(10) == 0 {
		mustSettle(m, m.journal, m.settled[m.rng.IntN(len(m.settled))])
	}
	if n := len(m.pending); n > 0 {
		i := m.rng.IntN(min(n, 4))
		mustSettle(m, m.journal, m.pending[i].at)
		m.settled = append(m.settled, m.pending[i].at)
		m.pending = slices.Delete(m.pending, i, i+1)
	}
}

func (m *model) read() {
	for _, want := range m.pending {
		got, err := m.journal.Read(want.at, nil)
		if err != nil || !sameRecord(got, want.Record) {
			m.Fatalf("Read(%v): got %v, %v, want %v", want.at, got, err, want.Record)
		}
	}
}

func (m *model) reopen(dir string) {
	m.dir = dir
	m.journal = open(m, small(dir))
	m.settled = nil // the sequence begins anew in an empty folder
	if st := m.journal.Stats(); st.Damaged != 0 || st.Torn != 0 {
		m.Fatalf("got %+v, want nothing damaged or torn", st)
	}
	checkPending(m, m.journal, m.pending)
}
