package delivery

import (
	"math/rand/v2"
	"testing"
	"time"
)

// In any span of time, sends are at most what the rate allows for so long, and the burst.
func TestPacerBoundsEverySpan(t *testing.T) {
	for seed := range uint64(50) {
		dice := rand.New(rand.NewPCG(seed, 0))
		p := pacer{ceiling: float64(dice.IntN(3) * (5 + dice.IntN(200)))}
		liveEvery := time.Duration(1+dice.IntN(100)) * time.Millisecond
		var all, replayed []time.Duration
		var fastest float64 // replay has ever been allowed to be
		now, nextLive := time.Duration(0), time.Duration(0)
		for range 3000 {
			now += time.Duration(dice.IntN(10_000)) * time.Microsecond
			if dice.IntN(500) == 0 {
				now += time.Duration(dice.IntN(100)) * time.Second // a pause must not be made up for
			}
			live := now >= nextLive && dice.IntN(10) > 0
			if live {
				nextLive = now + liveEvery
				p.accept(now)
			}
			fastest = max(fastest, replayOverLive*p.liveRate(now), replayLeast)
			send, replaying, wait := p.may(now)
			if (send && replaying) == (wait > 0) {
				t.Fatalf("seed %d: got %t, %t and a wait of %v", seed, send, replaying, wait)
			}
			if send && (live || replaying) {
				p.sent(now)
				all = append(all, now)
				if !live {
					replayed = append(replayed, now)
				}
			}
		}
		bounded(t, "replayed events", replayed, fastest)
		if p.ceiling > 0 {
			bounded(t, "events", all, p.ceiling)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// bounded looks at every span of up to a hundred sends.
func bounded(t *testing.T, what string, at []time.Duration, rate float64) {
	t.Helper()
	burst := max(rate/10, 1)
	for i := range at {
		for j := i; j < min(i+100, len(at)); j++ {
			if got, most := float64(j-i+1), (at[j]-at[i]).Seconds()*rate+burst; got > most+1e-6 {
				t.Fatalf("got %v %s in %v, want at most %v", got, what, at[j]-at[i], most)
			}
		}
	}
}

// Who waits for as long as it is told may send then.
func TestPacerSaysHowLongToWait(t *testing.T) {
	dice := rand.New(rand.NewPCG(1, 0))
	p := pacer{ceiling: 30}
	now := time.Duration(0)
	for range 1000 {
		send, replaying, wait := p.may(now)
		if !send || !replaying {
			now += wait
			if again, _, _ := p.may(now); !send && !again {
				t.Fatalf("got no send after the %v it said", wait)
			}
			if again, replaying, _ := p.may(now); send && (!again || !replaying) {
				t.Fatalf("got no replay after the %v it said", wait)
			}
			continue
		}
		p.sent(now)
		now += time.Duration(dice.IntN(20)) * time.Millisecond
	}
	if now < 20*time.Second {
		t.Errorf("got a thousand rounds in %v, want the ceiling to hold them up", now)
	}
}
