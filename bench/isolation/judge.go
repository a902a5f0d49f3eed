package isolation

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"vitrine/bench/traffic"
)

// propagation is how long after an erase another pod may still serve what it holds in
// memory: it is told through Redis, without being waited for.
const propagation = 3 * time.Second

// owner is what every id of a list begins with: whose it is.
func owner(session, user, eventType, id string) string {
	return strings.Join([]string{session, user, eventType, id}, "/")
}

// ownerOf returns the owner of the list that is right for a question.
func ownerOf(r traffic.Request) string { return owner(r.Session, r.User, r.Type, r.ID) }

// register knows how often each session was erased.
type register struct {
	mu       sync.Mutex
	sessions map[string]*record
}

type record struct {
	begun int       // erases
	ended []erasure // those that are over, in order
}

// erasure is an erase that has ended. What was answered before it began is of an earlier generation.
type erasure struct {
	pod int
	at  time.Time
}

func newRegister() *register { return &register{sessions: make(map[string]*record)} }

func (g *register) recordLocked(session string) *record {
	r := g.sessions[session]
	if r == nil {
		r = new(record)
		g.sessions[session] = r
	}
	return r
}

// generation is the one an answer given now is of.
func (g *register) generation(session string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.recordLocked(session).begun
}

// begin notes that an erase begins, unless one is under way.
func (g *register) begin(session string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.recordLocked(session)
	if r.begun > len(r.ended) {
		return false
	}
	r.begun++
	return true
}

func (g *register) end(session string, pod int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := g.recordLocked(session)
	r.ended = append(r.ended, erasure{pod, time.Now()})
}

// oldest is the oldest generation that a pod may serve to a session that asks at an instant.
func (g *register) oldest(session string, pod int, asked time.Time) (generation int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, e := range g.recordLocked(session).ended {
		if since := asked.Sub(e.at); since > 0 && (e.pod == pod || since > propagation) {
			generation = i + 1
		}
	}
	return generation
}

// judge holds answers against their questions.
type judge struct {
	erased *register

	mu      sync.Mutex
	answers map[string]int // by source
	wrong   int
	first   []string // violations
}

func newJudge(erased *register) *judge {
	return &judge{erased: erased, answers: make(map[string]int)}
}

// asked is a question on its way.
type asked struct {
	traffic.Request
	pod    int
	oldest int // the oldest generation that may come back
}

func (j *judge) asking(r traffic.Request, pod int) asked {
	return asked{r, pod, j.erased.oldest(r.Session, pod, time.Now())}
}

// list judges the products that answer a question.
func (j *judge) list(q asked, source string, products []string) {
	if why := q.wrong(source, products); why != "" {
		j.blame("%s of %s/%s on pod %d, from %s: %s", q.Type+" "+q.ID, q.Session, q.User, q.pod, source, why)
	}
	j.count(source)
}

// wrong says what is wrong with a list, "" if nothing is.
func (q asked) wrong(source string, products []string) string {
	if len(products) == 0 {
		return "an empty list, in spite of a native one"
	}
	for _, product := range products {
		whose, rank, ok := strings.Cut(product, "#")
		var generation, place int
		native := rank == "native"
		switch {
		case !ok || !native && !scan(rank, &generation, &place):
			return fmt.Sprintf("%q is of nobody", product)
		case whose != ownerOf(q.Request):
			return fmt.Sprintf("%q is another's", product)
		case native != (source == "native") && !q.Complete:
			return fmt.Sprintf("%q does not fit its source", product)
		case !native && generation < q.oldest:
			return fmt.Sprintf("%q was erased, the oldest that may come is of generation %d", product, q.oldest)
		}
	}
	return ""
}

func scan(rank string, generation, place *int) bool {
	n, err := fmt.Sscanf(rank, "%d.%d", generation, place)
	return n == 2 && err == nil
}

func (j *judge) count(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.answers[what]++
}

// maxShown bounds the violations that are told one by one.
const maxShown = 10

func (j *judge) blame(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.wrong++; len(j.first) < maxShown {
		j.first = append(j.first, fmt.Sprintf(format, args...))
	}
}
