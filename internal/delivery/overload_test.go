package delivery_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

// crowd is shoppers in front of a Delivery and an API that takes its time, with just
// enough of a cache to tell which of their questions are waited for.
type crowd struct {
	r    *rig
	dice *rand.Rand // for the goroutine that walks

	mu   sync.Mutex
	held map[reco.Event]holding
	seen map[string]int // events, by session
}

// holding is when a ranking came, and how many events its session had made by then.
type holding struct {
	at     time.Time
	events int
}

// shopper is one session.
type shopper struct {
	name         string
	items, pages int
}

// tally is what became of questions.
type tally struct {
	asked, hits, answered int
	refused, late         int // told so at once, and after the budget
}

const (
	crowdSlots  = 16
	crowdBudget = 300 * time.Millisecond
	perPage     = 1.76 // questions, on average
)

// gather starts a Delivery and an API that answers after the median, or rather longer.
func gather(t *testing.T, seed uint64, median time.Duration) *crowd {
	t.Helper()
	c := &crowd{dice: rand.New(rand.NewPCG(seed, 0)), held: make(map[reco.Event]holding), seen: make(map[string]int)}
	c.r = start(t, func(o *delivery.Options) { o.MaxInFlight = crowdSlots })
	dice := rand.New(rand.NewPCG(seed, 1))
	c.r.api.timed = func(e reco.Event) fashionai.Outcome {
		c.mu.Lock()
		took := time.Duration(math.Exp(0.394*dice.NormFloat64()) * float64(median)) // one in a hundred 2.5 times as long
		c.mu.Unlock()
		time.Sleep(took)
		c.mu.Lock()
		c.held[e] = holding{time.Now(), c.seen[e.Session]}
		c.mu.Unlock()
		return ranked(e)
	}
	return c
}

// knee is the rate of questions that keeps all slots busy.
func knee(median time.Duration) float64 { return crowdSlots / (1.08 * median.Seconds()) }

// walk lets pages come at a rate of questions a second.
func (c *crowd) walk(rate float64, length time.Duration, next func() (*shopper, *tally)) {
	end := time.Now().Add(length)
	for {
		time.Sleep(time.Duration(c.dice.ExpFloat64() * perPage / rate * float64(time.Second)))
		if !time.Now().Before(end) {
			return
		}
		s, to := next()
		c.page(s, to)
	}
}

// page lets a shopper look at a page: a product with all its lists, or one list.
func (c *crowd) page(s *shopper, to *tally) {
	s.pages++
	shelf := reco.Event{Type: reco.CustomShelf, Session: s.name}
	switch {
	case c.dice.Float64() < 0.19:
		c.ask(shelf, to)
	case c.dice.Float64() < 0.53:
		c.ask(reco.Event{Type: reco.CategoryView, Session: s.name, Item: fmt.Sprint("c", c.dice.IntN(50))}, to)
	default:
		if s.items == 0 || c.dice.Float64() >= 0.25 {
			s.items++
		}
		item := fmt.Sprint("p", s.items)
		c.ask(reco.Event{Type: reco.ProductView, Session: s.name, Item: item}, to)
		c.ask(reco.Event{Type: reco.ShopTheLook, Session: s.name, Item: item}, to)
		c.ask(shelf, to)
	}
}

func (c *crowd) ask(e reco.Event, to *tally) {
	c.mu.Lock()
	c.seen[e.Session]++
	h, found := c.held[e]
	hit := found && time.Since(h.at) < time.Minute && c.seen[e.Session]-h.events <= 3
	if to.asked++; hit {
		to.hits++
	}
	c.mu.Unlock()
	began := time.Now()
	ticket := c.r.Accept(e, !hit)
	if hit {
		return
	}
	go func() {
		result := ticket.Wait(began.Add(crowdBudget))
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case result.Reason == reco.NoReason:
			to.answered++
		case time.Since(began) == 0:
			to.refused++
		default:
			to.late++
		}
	}()
}

// rest waits until everything is delivered.
func (c *crowd) rest(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Minute); c.r.Stats().Pending > 0; time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatalf("got %+v, want everything delivered", c.r.Stats())
		}
	}
}

func (t *tally) share(n int) float64 { return 100 * float64(n) / float64(t.asked) }

// good is how many got a fresh ranking.
func (t *tally) good() int { return t.hits + t.answered }

func (t *tally) String() string {
	return fmt.Sprintf("%d asked: %.1f %% hits, %.1f %% answered, %.1f %% refused at once, %.1f %% late",
		t.asked, t.share(t.hits), t.share(t.answered), t.share(t.refused), t.share(t.late))
}

// few are shoppers in a hurry, whose sessions have always something under way.
func few(c *crowd) func() *shopper {
	all := make([]*shopper, 200)
	for i := range all {
		all[i] = &shopper{name: fmt.Sprint("s", i)}
	}
	return func() *shopper { return all[c.dice.IntN(len(all))] }
}

// many are people, who pause: most of what comes is a new session's, or one's second page.
func many(c *crowd) func() *shopper {
	all := make([]*shopper, 20_000)
	return func() *shopper {
		i := c.dice.IntN(len(all))
		if all[i] == nil || c.dice.Float64() < 0.14 {
			all[i] = &shopper{name: fmt.Sprint("s", c.dice.Uint64())}
		}
		return all[i]
	}
}

// trial is a test in a bubble of its own.
func trial(t *testing.T, name string, seed uint64, run func(*testing.T)) {
	t.Helper()
	t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { synctest.Test(t, run) })
}

// At twice the knee as many shoppers get good answers as at the knee, the others are told
// at once, and in the end every event is delivered.
func TestOverloadTakesNothingFromThoseWhoCanBeAnswered(t *testing.T) {
	tests := []struct {
		name     string
		median   time.Duration
		shoppers func(*crowd) func() *shopper
		knee     float64 // good answers there, at least, of all that are asked, in percent
		keep     float64 // of those, at twice the knee
		late     float64 // at most, of all
	}{
		{"few in a hurry", 60 * time.Millisecond, few, 85, 0.9, 2},
		{"many with pauses", 60 * time.Millisecond, many, 70, 0.9, 2},
		{"few in a hurry, a slow API", 180 * time.Millisecond, few, 60, 0.75, 15},
		{"many with pauses, a slow API", 180 * time.Millisecond, many, 40, 0.75, 20},
	}
	for _, test := range tests {
		for seed := range uint64(3) {
			trial(t, test.name, seed, func(t *testing.T) {
				t.Helper()
				c := gather(t, seed, test.median)
				next, rate := test.shoppers(c), knee(test.median)
				var warm, was, is tally
				c.walk(rate, 15*time.Second, func() (*shopper, *tally) { return next(), &warm })
				c.walk(rate, 10*time.Second, func() (*shopper, *tally) { return next(), &was })
				c.walk(2*rate, 20*time.Second, func() (*shopper, *tally) { return next(), &is })
				c.rest(t)
				kept := float64(is.good()) / 2 / float64(was.good())
				if was.share(was.good()) < test.knee || kept < test.keep || is.share(is.late) > test.late {
					t.Errorf("got good answers × %.2f, want %.2f of at least %.0f %%; at most %.0f %% late\nknee: %v\ntwice: %v",
						kept, test.keep, test.knee, test.late, &was, &is)
				}
			})
		}
	}
}

// A flash crowd of new sessions, most of which never come back, takes no fresh answers from
// those who were there before and few of their hits, and is itself not shut out.
func TestAFlashCrowdLeavesTheOthersTheirHits(t *testing.T) {
	for seed := range uint64(3) {
		trial(t, "flash", seed, func(t *testing.T) {
			t.Helper()
			c := gather(t, seed, 60*time.Millisecond)
			at := make([]*shopper, 200) // as many at once; when one leaves, another comes
			regular := func() *shopper {
				i := c.dice.IntN(len(at))
				if at[i] == nil || c.dice.Float64() < 0.14 {
					at[i] = &shopper{name: fmt.Sprint("r", c.dice.Uint64())}
				}
				return at[i]
			}
			var warm, was, is, newcomers, guests tally
			sort := func(s *shopper, known *tally) (*shopper, *tally) {
				if s.pages < 3 { // nothing tells it from the crowd yet
					return s, &newcomers
				}
				return s, known
			}
			c.walk(100, 20*time.Second, func() (*shopper, *tally) { return regular(), &warm })
			c.walk(100, 10*time.Second, func() (*shopper, *tally) { return sort(regular(), &was) })
			people := []*shopper{{name: "g"}}
			c.walk(400, 20*time.Second, func() (*shopper, *tally) {
				switch c.dice.IntN(8) {
				case 0, 1:
					return sort(regular(), &is)
				case 2:
					return people[c.dice.IntN(len(people))], &guests
				default:
					people = append(people, &shopper{name: fmt.Sprint("g", c.dice.Uint64())})
					return people[len(people)-1], &guests
				}
			})
			c.rest(t)
			if lost := was.share(was.hits) - is.share(is.hits); lost > 8 || is.share(is.good()) < 95 {
				t.Errorf("others lost %.1f points of hits\n  before: %v\n  during: %v", lost, &was, &is)
			}
			if guests.share(guests.answered) < 25 || guests.share(guests.late) > 4 {
				t.Errorf("guests: %v, want a quarter answered, and at most 4 %% late", &guests)
			}
		})
	}
}
