package delivery_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
)

// chaos is a handful of pods to which things happen.
type chaos struct {
	t        *testing.T
	dice     *rand.Rand
	shared   *shelf
	common   *api
	pods     []numbered
	started  int
	accepted map[reco.Event]bool

	mu    sync.Mutex
	away  bool               // the API is, for all
	taken map[reco.Event]int // what it has answered with a ranking
}

// Whatever happens to pods, Redis and the API, short of Redis losing its data, every
// event reaches the API, and every pod's ledger adds up all the time.
func TestNothingIsLostBetweenPods(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &chaos{
					t: t, dice: rand.New(rand.NewPCG(seed, 1)), shared: newShelf(), common: &api{},
					accepted: map[reco.Event]bool{}, taken: map[reco.Event]int{},
				}
				c.common.set(c.answer)
				for range 3 {
					c.start()
				}
				for range 150 {
					c.happen()
					time.Sleep(time.Duration(c.dice.IntN(3000)) * time.Millisecond)
					for _, p := range c.pods {
						p.balanced(t)
					}
				}
				c.heal()
				time.Sleep(5 * time.Minute)
				synctest.Wait()
				c.check()
			})
		})
	}
}

// numbered is a pod with sessions of its own.
type numbered struct {
	*pod
	number int
}

func (c *chaos) start() {
	c.started++
	after := time.Duration(c.dice.IntN(2)) * 10 * time.Second
	c.pods = append(c.pods, numbered{startPod(c.t, c.shared, c.common, parkAfter(after)), c.started})
}

// answer is the API's.
func (c *chaos) answer(_ int, e reco.Event) fashionai.Outcome {
	time.Sleep(100 * time.Millisecond)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return outcome(fashionai.Unreachable, 0)
	}
	c.taken[e]++
	return ranked(e)
}

func (c *chaos) setAway(away bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = away
}

// happen does one thing to one pod, or to all.
func (c *chaos) happen() {
	at := c.dice.IntN(len(c.pods))
	p := c.pods[at]
	switch c.dice.IntN(11) {
	case 0, 1, 2:
		for range 10 {
			e := view(fmt.Sprint("s", p.number*10+c.dice.IntN(5)), fmt.Sprint(len(c.accepted)))
			c.accepted[e] = true
			p.Accept(e, false)
		}
	case 3:
		p.cut(c.t)
	case 4:
		p.breaker.Auto()
	case 5:
		c.setAway(true)
	case 6:
		c.setAway(false)
	case 7:
		p.link.failing(func(string) error { return redis.ErrUnavailable })
	case 8:
		p.link.failing(nil)
	case 9:
		c.shared.endLeases()
	case 10:
		p.link.failing(nil)
		p.leave()
		if s := p.Stats(); s.Pending > 0 {
			c.t.Errorf("a pod has gone with %d events: %+v", s.Pending, s)
		}
		c.pods = slices.Delete(c.pods, at, at+1)
		c.start()
	}
}

func (c *chaos) heal() {
	c.setAway(false)
	for _, p := range c.pods {
		p.link.failing(nil)
		p.breaker.Auto()
	}
}

// check checks what has reached the API.
func (c *chaos) check() {
	lost, twice := 0, 0
	for e := range c.accepted {
		switch n := c.taken[e]; {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	if lost > 0 {
		c.t.Errorf("got %d of %d events lost", lost, len(c.accepted))
	}
	c.t.Logf("%d events, %d of them delivered twice", len(c.accepted), twice)
	for _, p := range c.pods {
		if s := p.Stats(); s.Pending != 0 {
			c.t.Errorf("got %+v, want nothing stuck", s)
		}
	}
	c.shared.empty(c.t)
}
