//go:build !race

package delivery_test

import (
	"fmt"
	"os"
	"testing"
)

// explored is every state that can be reached, and how.
type explored struct {
	states []model
	number map[model]int32 // by what canonical returns
	from   []int32         // the state each was first reached from
	by     []modelLabel    // the step
	before [][]int32
}

func TestModelOfDelivery(t *testing.T) {
	if os.Getenv("DELIVERY_MODEL") == "full" { // a minute, and 2 GB
		t.Run("two events", func(t *testing.T) { judgeModel(t, modelSize{events: 2, entries: 2}, 1) })
		t.Run("more faults", func(t *testing.T) { judgeModel(t, modelSize{events: 1, entries: 3}, 3) })
		return
	}
	t.Run("two events", func(t *testing.T) { judgeModel(t, modelSize{events: 2, entries: 1}, 1) })
	t.Run("more faults", func(t *testing.T) { judgeModel(t, modelSize{events: 1, entries: 3}, 2) })
}

func judgeModel(t *testing.T, size modelSize, faults uint8) {
	t.Helper()
	x := explore(t, size, faults)
	// Backwards from the states where all is delivered, by steps that are no faults.
	hopeful := make([]bool, len(x.states))
	var todo []int32
	for i := range x.states {
		if x.states[i].delivered() {
			hopeful[i] = true
			todo = append(todo, int32(i))
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, j := range x.before[i] {
			if !hopeful[j] {
				hopeful[j] = true
				todo = append(todo, j)
			}
		}
	}
	for i, hope := range hopeful {
		if !hope {
			t.Fatalf("an event can never be delivered any more:\n%s%+v", x.path(int32(i)), x.states[i])
		}
	}
	t.Logf("%d states", len(x.states))
}

func explore(t *testing.T, size modelSize, faults uint8) *explored {
	t.Helper()
	start := model{size: size, faults: faults, redis: modelRedis{owner: nobody}}
	for p := range start.pods {
		start.pods[p].up = true
	}
	for e := range start.events {
		start.events[e].credit = 1
	}
	x := &explored{number: make(map[model]int32, 1<<19)}
	x.reach(start, -1, modelStep{})
	for i := int32(0); int(i) < len(x.states); i++ {
		for _, step := range x.states[i].steps() {
			j := x.reach(step.to, i, step)
			if wrong := x.states[j].law(); wrong != "" {
				t.Fatalf("%s:\n%s%+v", wrong, x.path(j), x.states[j])
			}
		}
	}
	return x
}

func (x *explored) reach(m model, from int32, step modelStep) int32 {
	same := m.canonical()
	i, known := x.number[same]
	if !known {
		i = int32(len(x.states))
		x.number[same] = i
		x.states = append(x.states, m)
		x.from, x.by = append(x.from, from), append(x.by, step.label)
		x.before = append(x.before, nil)
	}
	if from >= 0 && !step.fault {
		x.before[i] = append(x.before[i], from)
	}
	return i
}

// path tells how a state was reached. The pods may change their numbers on the way.
func (x *explored) path(i int32) (text string) {
	for ; x.from[i] >= 0; i = x.from[i] {
		text = fmt.Sprintf("  %+v\n", x.by[i]) + text
	}
	return text
}

// canonical is the same for states that differ only in which pod is which.
func (m *model) canonical() model {
	c := *m
	if c.pods[0].packed() < c.pods[1].packed() {
		c.pods[0], c.pods[1] = c.pods[1], c.pods[0]
		if c.redis.owner != nobody {
			c.redis.owner = 1 - c.redis.owner
		}
	}
	return c
}

// packed is another number for every pod that differs.
func (p *modelPod) packed() (n uint64) {
	add := func(value, of uint64) { n = n*of + value }
	flag := func(is bool) {
		add(0, 2)
		if is {
			n++
		}
	}
	flag(p.up)
	flag(p.held)
	flag(p.lent)
	for e := range p.journal {
		flag(p.journal[e])
		flag(p.done[e])
		add(uint64(p.own[e]), uint64(adopted)+1)
		add(uint64(p.shipped[e]), modelEntries+1)
	}
	for _, place := range p.loans {
		add(uint64(place), uint64(adopted)+1)
	}
	return n
}
