// Package fleet foretells what a cache of rankings gives: it lets the traffic model's
// shoppers pass by pods that only remember when they saw which question, without a
// network, a sidecar or real time.
package fleet

import (
	"hash/fnv"
	"iter"
	"math/rand/v2"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/traffic"
)

// Options says what fleet, beside one Redis, is meant.
type Options struct {
	Pods        int
	Affinity    bool          // a session stays with its pod
	Fresh       time.Duration // cache.fresh
	FreshEvents int           // cache.fresh_events; 0 is off
	Memory      int64         // cache.memory of a pod, bytes
	Redis       bool
	Latency     time.Duration // of the API: an answer is there so long after its question
	Cold        int           // empty answers at the start of a session

	// Rate is what one pod is asked a second. The simulated shoppers are a sample of
	// the fleet's; the rate says how fast their entries are pushed out of memory.
	Rate float64

	// Entry is what an answer takes in memory, bytes.
	Entry int64

	Seed uint64 // of the way requests take without affinity
}

// Shares is where answers come from, as shares of all requests.
type Shares struct {
	Requests int
	Memory   float64 // fresh in the pod's own memory
	Redis    float64 // fresh in Redis
	Miss     float64 // must wait for the API
	Stored   float64 // whose event brings a ranking to keep
	Repeated float64 // asked before by the same session, fresh or not: what no cache can pass
}

// Hit is the share answered from either tier.
func (s Shares) Hit() float64 { return s.Memory + s.Redis }

// Residence is how long an entry stays in a full memory tier: its size over what comes
// in. Every event brings a ranking, so every request brings an entry.
func (o Options) Residence() time.Duration {
	if o.Rate <= 0 || o.Entry <= 0 {
		return 1<<63 - 1
	}
	return time.Duration(float64(o.Memory) / (o.Rate * float64(o.Entry)) * float64(time.Second))
}

// question is one slot of the cache.
type question struct{ session, user, kind, id string }

// slot is what is known of a question.
type slot struct {
	stored time.Duration         // when its newest answer was there; 0 is never
	seen   int                   // events of the session when that answer's event was accepted
	pods   map[int]time.Duration // which pods hold it since when
}

// visit is a session under way.
type visit struct {
	events int
	slots  map[question]*slot
}

// Simulate lets the requests pass.
func Simulate(o Options, requests iter.Seq[load.Due[traffic.Request]]) Shares {
	rng := rand.New(rand.NewPCG(o.Seed, 0x666c656574))
	visits := make(map[string]*visit)
	var memory, shared, stored, repeated, n int
	for d := range requests {
		v := visits[d.What.Session]
		if v == nil {
			v = &visit{slots: make(map[question]*slot)}
			visits[d.What.Session] = v
		}
		n++
		pod := o.pod(d.What.Session, rng)
		q := question{d.What.Session, d.What.User, d.What.Type, d.What.ID}
		s := v.slots[q]
		if s == nil {
			s = &slot{pods: make(map[int]time.Duration)}
			v.slots[q] = s
		} else {
			repeated++
		}
		if o.fresh(v, s, d.At) {
			if since, ok := s.pods[pod]; ok && d.At-since < o.Residence() {
				memory++
			} else if o.Redis {
				shared++
			}
		}
		if o.store(v, s, pod, d.At) {
			stored++
		}
	}
	total := float64(max(1, n))
	out := Shares{Requests: n, Memory: float64(memory) / total, Redis: float64(shared) / total, Stored: float64(stored) / total, Repeated: float64(repeated) / total}
	out.Miss = 1 - out.Hit()
	return out
}

func (o Options) pod(session string, rng *rand.Rand) int {
	if !o.Affinity {
		return rng.IntN(o.Pods)
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(session))
	return int(h.Sum64() % uint64(o.Pods))
}

// fresh reports whether an answer is there and not aged by time or by the session's
// other events since.
func (o Options) fresh(v *visit, s *slot, now time.Duration) bool {
	if s.stored == 0 || s.stored > now || now-s.stored >= o.Fresh {
		return false
	}
	others := v.events - s.seen
	return o.FreshEvents == 0 || others < o.FreshEvents
}

// store notes the event and the answer it will bring, and reports whether it brings one.
func (o Options) store(v *visit, s *slot, pod int, now time.Duration) bool {
	v.events++
	if v.events <= o.Cold {
		return false
	}
	if s.stored <= now { // otherwise a call is under way, and is there before this one
		s.stored, s.seen = now+o.Latency, v.events
		s.pods[pod] = now
	}
	return true
}

// Load is what a fleet asks of its Redis.
type Load struct {
	Requests    float64 // a second, of the fleet
	Operations  float64 // a second
	Bytes       float64 // a second, both ways
	Connections int     // at most
	Resident    float64 // bytes of rankings held
}

// perPod is the most connections a pod opens to Redis.
const perPod = 8

// Plan sums up a fleet. An operation is a batch of commands that travels in one
// pipeline, as the sidecar's metrics count them: of every request a look-up, which also
// tells of the session's events, or, where memory answers, a count of them; and a store
// for every ranking that comes. A store carries the entry, a look-up that finds
// something brings it back. Rankings live for fresh and stale together.
func (o Options) Plan(s Shares, stale time.Duration) Load {
	const frame = 120 // bytes of protocol, key and field an operation carries
	rate := o.Rate * float64(o.Pods)
	operations := 1 + s.Stored
	return Load{
		Requests:    rate,
		Operations:  rate * operations,
		Bytes:       rate * (frame*operations + float64(o.Entry)*(s.Stored+s.Redis)),
		Connections: perPod * o.Pods,
		Resident:    rate * max(0, s.Stored-s.Repeated) * float64(o.Entry) * (o.Fresh + stale).Seconds(),
	}
}
