package delivery

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"vitrine/cache"
)

const regular = cache.Mark(firstPage + 1) // of an event of a session that has been here before

// enqueue adds an event of a session of its own, and says somebody waits for it.
func enqueue(q *schedule, key uint64, p pending, wanted bool) uint64 {
	q.add(key, p, p.born)
	if wanted {
		q.await(key, q.seq, true, p.born)
	}
	return q.seq
}

// serve sends the next event and ends its call, and returns its number, 0 if there is none.
func serve(q *schedule, now time.Duration) uint64 {
	s, as := q.pick(true)
	if s == nil {
		return 0
	}
	p := q.start(s, as, now)
	q.sent(s, now)
	q.finish(s, as, p, true, now)
	return p.seq
}

// Favoured sessions go first, but every fourth turn is that of an older ordinary one; one
// that is younger has no claim.
func TestEveryFourthTurnGoesByAge(t *testing.T) {
	q := newSchedule(16)
	for key := range uint64(4) {
		enqueue(q, key, pending{born: time.Duration(key)}, true) // 1 to 4, of new sessions
	}
	for key := uint64(4); key < 16; key++ {
		enqueue(q, key, pending{born: time.Duration(key), mark: regular}, true) // 5 to 16
	}
	enqueue(q, 16, pending{born: 16}, true) // 17, of a new session
	var got []uint64
	for seq := serve(q, 20); seq != 0; seq = serve(q, 20) {
		got = append(got, seq)
	}
	if want := []uint64{5, 6, 7, 1, 8, 9, 10, 2, 11, 12, 13, 3, 14, 15, 16, 4, 17}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A session that is too far behind to catch up at once is not favoured.
func TestASessionFarBehindIsOrdinary(t *testing.T) {
	q := newSchedule(16)
	for range maxTogether + 1 {
		q.add(1, pending{born: 1, mark: regular}, 1)
	}
	last := q.add(2, pending{born: 2, mark: regular}, 2)
	if s, _ := q.pick(true); s != last {
		t.Errorf("got session %d first, want the one that can catch up", s.key)
	}
	serve(q, 3)
	serve(q, 3) // one less behind
	if s := q.sessions[1]; s.rank() != favoured {
		t.Error("got a session that can catch up as ordinary, want it favoured again")
	}
}

// However many favoured events come that somebody waits for, every event is sent: one
// turn in liveTurn is for those nobody waits for, and of these every fourth by age.
func TestNothingStarvesWhileOthersAreWaitedFor(t *testing.T) {
	for _, slots := range []int{1, 3, 16} {
		for seed := range uint64(20) {
			dice := rand.New(rand.NewPCG(seed, 0))
			q := newSchedule(slots)
			poor := make(map[uint64]bool)
			for key := range 1 + dice.Uint64N(20) {
				for range 1 + dice.IntN(3) {
					poor[enqueue(q, key, pending{born: time.Duration(key)}, false)] = true
				}
			}
			most := (len(poor) + 1) * liveTurn * byAge
			now := time.Duration(100)
			for range most {
				now++
				enqueue(q, 100+dice.Uint64N(1000), pending{born: now, mark: regular}, true)
				enqueue(q, 2000+dice.Uint64N(1000), pending{born: now, mark: regular}, false)
				delete(poor, serve(q, now))
			}
			if len(poor) > 0 {
				t.Errorf("%d slots, seed %d: %d old events were not sent in %d turns", slots, seed, len(poor), most)
			}
		}
	}
}

// What has to be sent before an event that somebody waits for uses up the slots of live
// events, which are a quarter, not those of waited-for ones.
func TestWhatIsInFrontOfAWaitedForEventCountsAsLive(t *testing.T) {
	q := newSchedule(4)
	q.add(1, pending{born: 1, mark: regular}, 1)
	enqueue(q, 1, pending{born: 2, mark: regular}, true)
	s, as := q.pick(true)
	if s.key != 1 || as != live {
		t.Fatalf("got class %d, want the event in front as a live one", as)
	}
	q.start(s, as, 3)
	q.sent(s, 3)
	if s, as = q.pick(true); s.key != 1 || as != waited {
		t.Errorf("got class %d, want the event that is waited for", as)
	}
}

func TestOverloaded(t *testing.T) {
	const slots = 8
	// busy is a schedule without a free slot, and with so many waited for.
	busy := func(favoured, ordinary int) *schedule {
		q := newSchedule(slots)
		for key := range uint64(slots) {
			enqueue(q, key, pending{}, true)
			s, as := q.pick(true)
			q.start(s, as, 0)
		}
		for i := range uint64(favoured) {
			enqueue(q, 100+i, pending{mark: regular}, true)
		}
		for i := range uint64(ordinary) {
			enqueue(q, 200+i, pending{}, true)
		}
		return q
	}
	for _, test := range []struct {
		what               string
		favoured, ordinary int
		carried            int // events in front that nobody waits for
		mark               cache.Mark
		want               bool
	}{
		{"nobody waits", 0, 0, 0, 0, false},
		{"a new session among its like", 0, slots - 1, 0, 0, false},
		{"as many as slots", 0, slots, 0, 0, true},
		{"half as many while favoured ones come", 1, slots / 2, 0, 0, true},
		{"fewer while favoured ones come", 7, slots/2 - 1, 0, 0, false},
		{"new sessions are not in the way of others", slots - 1, slots, 0, regular, false},
		{"as many favoured as slots", slots, 0, 0, regular, true},
		{"one in front", 7, 0, 1, regular, false},
		{"two in front", 7, 0, 2, regular, true},
		{"a page in front while few wait", 1, slots, firstPage, regular, false},
		{"more than a page in front", 0, 0, firstPage + 1, regular, true},
		{"new, with two in front", 0, 0, 2, 0, true},
	} {
		q := busy(test.favoured, test.ordinary)
		for range test.carried {
			q.add(1000, pending{mark: test.mark}, 0)
		}
		q.add(1000, pending{mark: test.mark}, 0)
		if got := q.overloaded(1000, q.seq); got != test.want {
			t.Errorf("%s: got overloaded %t, want %t", test.what, got, test.want)
		}
	}
	q := newSchedule(slots)
	for range 3 * maxTogether {
		q.add(1, pending{}, 0)
	}
	if q.overloaded(1, q.seq) {
		t.Error("got overloaded with every slot free, want a session to drain")
	}
	if q.overloaded(2, 1) || q.overloaded(1, 1000) {
		t.Error("got overloaded for an event that is not in the queue, want it to be under way")
	}
}

func TestRemaining(t *testing.T) {
	q := newSchedule(4)
	q.observe(60 * time.Millisecond)
	for range 200 {
		q.observe(90 * time.Millisecond)
	}
	if off := 90*time.Millisecond - q.call; off < 0 || off > time.Millisecond {
		t.Fatalf("got %v for a call, want the last ones' 90ms", q.call)
	}
	q.call = 90 * time.Millisecond
	first := enqueue(q, 1, pending{mark: regular}, true)
	if got := q.remaining(1, first); got != 0 {
		t.Errorf("got %v with slots free, want 0", got)
	}
	for key := uint64(2); key < 6; key++ {
		s, as := q.pick(true)
		q.start(s, as, 0)
		enqueue(q, key, pending{mark: regular}, true)
	}
	// Of 4 slots 3 are for those who are waited for: a round of them takes a call.
	if got := q.remaining(5, q.seq); got != 120*time.Millisecond {
		t.Errorf("got %v as the only one, want a third of a round and the call", got)
	}
	newcomer := enqueue(q, 9, pending{}, true)
	if got := q.remaining(9, newcomer); got != 150*time.Millisecond {
		t.Errorf("got %v behind one, want two thirds of a round and the call", got)
	}
	if got := q.remaining(1, first); got != 0 {
		t.Errorf("got %v under way, want 0", got)
	}
}
