package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

// A wait is told by what was waited for: an answer that waits for nothing has come long
// before the API's or the platform's, which has long come when the budget is over.
const (
	theyTake = 4 * time.Second
	budget   = 10 * time.Second
)

// The README's table of what is served when says what the program does: every row is run.
func TestGoldenServed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	other := &neighbour{sidecar: start(t, newAPI(t).URL(), withRedis(server)...)}
	var mu sync.Mutex
	served := make(map[string]row)
	var scenes sync.WaitGroup // at once, however many processors there are: most of the time they wait
	for _, c := range conditions() {
		for _, redis := range []string{"up", "away"} {
			scenes.Go(func() {
				t.Run(c.name+", Redis "+redis, func(t *testing.T) {
					for _, r := range startScene(t, c, redis, server, other).play() {
						mu.Lock()
						served[r.situation()] = r
						mu.Unlock()
					}
				})
			})
		}
	}
	scenes.Wait()
	var rows []row
	for _, h := range stocks() {
		for _, c := range conditions() {
			for _, redis := range []string{"up", "away"} {
				if r, run := served[row{held: h.name, api: c.name, redis: redis}.situation()]; run {
					rows = append(rows, r)
				}
			}
		}
	}
	goldenReadme(t, "served", rowsTable(rows))
}

// condition is a state of the API.
type condition struct {
	name    string
	fault   fakeapi.Fault
	breaker string // "" = whatever is measured, which only the last two let open
}

func conditions() []condition {
	return []condition{
		{"in time", fakeapi.Fault{Delay: theyTake}, "closed"},
		{"an empty list", fakeapi.Fault{Delay: theyTake, Answer: fakeapi.EmptyList}, "closed"},
		{"503", fakeapi.Fault{Delay: theyTake, Status: http.StatusServiceUnavailable}, "closed"},
		{"silent", fakeapi.Fault{Answer: fakeapi.Hang}, "closed"},
		{"refuses", fakeapi.Fault{Answer: fakeapi.Refuse}, "closed"},
		{"breaker open", fakeapi.Fault{Answer: fakeapi.Refuse}, "open"},
		{"breaker half-open", fakeapi.Fault{Answer: fakeapi.Hang}, ""}, // the probe never ends by itself
	}
}

// stock is what there is to show when a question is asked.
type stock struct {
	name     string
	question func(session string) string
	held     bool // the sidecar has answered the question before
	shared   bool // another has, on the same Redis
}

const platformList = "fetched"

func stocks() []stock {
	return []stock{
		{
			name: "fresh, in memory", held: true,
			question: func(session string) string { return productView(session, "p1", own) },
		},
		{
			name: "fresh, in Redis", shared: true,
			question: func(session string) string { return productView(session, "p1", own) },
		},
		{
			name: "older", held: true,
			question: func(session string) string { return question(fakeapi.CustomShelf, session, "", own) },
		},
		{
			name:     "none · the request's `native`",
			question: func(session string) string { return productView(session, "p1", own) },
		},
		{
			name:     "none · the platform's, fetched before",
			question: func(session string) string { return question(fakeapi.CategoryView, session, platformList) },
		},
		{
			name:     "none · the platform's, still to come",
			question: func(session string) string { return question(fakeapi.CategoryView, session, "late "+session) },
		},
		{
			name:     "none · none",
			question: func(session string) string { return question(fakeapi.ShopTheLook, session, "p1") },
		},
	}
}

// scene is a sidecar in front of an API in some condition.
type scene struct {
	*sidecar
	api       *fakeapi.Server
	condition condition
	redis     string
	other     *neighbour
}

// neighbour is a sidecar on the same Redis, in front of an API that is well. One scene at a
// time asks it, so that what it counts is that scene's.
type neighbour struct {
	*sidecar

	mu sync.Mutex
}

const stores = `vitrine_redis_operations_total{op="store",outcome="ok"}`

// share makes the neighbour ask a question, and waits until Redis has the answer.
func (n *neighbour) share(t *testing.T, question string) {
	t.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	stored := func() float64 {
		metrics, err := n.scrape()
		if err != nil {
			t.Error(err)
		}
		return metrics[stores]
	}
	before := stored()
	if a, err := n.try(question); err != nil || a.source != "api" {
		t.Errorf("got %v, %v from the neighbour, want the API's answer", a, err)
	}
	eventually(t, "a ranking is in Redis", func() bool { return stored() > before })
}

// startScene starts a sidecar with all that its answers may come from. The API is still well.
func startScene(t *testing.T, c condition, redis string, server *redistest.Server, other *neighbour) *scene {
	t.Helper()
	api := newAPI(t)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/"+platformList {
			time.Sleep(theyTake)
		}
		_, _ = io.WriteString(w, `{"ids":["n1","n2"]}`)
	}))
	t.Cleanup(shop.Close)
	flags := []string{
		"--budget=" + budget.String(), "--upstream.timeout=1m", "--cache.fresh=1h", "--events.customShelf.cache.fresh=1ms",
		"--platform.kind=http", "--platform.url=" + shop.URL + "/{id}", "--platform.ids=ids", "--platform.timeout=1m",
	}
	if redis == "up" {
		flags = append(flags, withRedis(server)...)
	} else {
		flags = append(flags, "--redis.url=redis://127.0.0.1:1")
	}
	s := &scene{sidecar: start(t, api.URL(), flags...), api: api, condition: c, redis: redis, other: other}
	if redis == "away" {
		s.override("redis", "open")
	}
	return s
}

func (s *scene) override(breaker, state string) {
	s.t.Helper()
	if status, body := s.call(http.MethodPost, s.admin+"/breaker/"+breaker, `{"state":"`+state+`"}`); status != http.StatusOK {
		s.t.Fatalf("overriding the breaker: got %d %s", status, body)
	}
}

// play asks every question twice, in sessions of their own: all at once to see how long each
// waits, then, of those that wait for nobody, one after the other to see whether they ask Redis.
func (s *scene) play() []row {
	s.t.Helper()
	var asked []stock
	for _, h := range stocks() {
		if h.shared && s.redis == "away" {
			continue
		}
		for _, pass := range []int{1, 2} {
			s.prepare(h, s.session(h, pass))
		}
		asked = append(asked, h)
	}
	s.fall()

	rows := make([]row, len(asked))
	var questions sync.WaitGroup
	for i, h := range asked {
		questions.Go(func() { rows[i] = s.serve(h, s.session(h, 1)) })
	}
	questions.Wait()
	for i, h := range asked {
		if rows[i].wait != atMostNothing {
			continue
		}
		s.fall()
		before := s.lookups()
		again := s.serve(h, s.session(h, 2))
		if again != rows[i] {
			s.t.Errorf("got %+v, then %+v", rows[i], again)
		}
		if s.lookups() > before {
			rows[i].wait = "`redis.budget`"
		}
	}
	return rows
}

func (s *scene) session(h stock, pass int) string {
	return fmt.Sprintf("%s, %s, Redis %s, %d", h.name, s.condition.name, s.redis, pass)
}

// prepare brings about what a stock says is there.
func (s *scene) prepare(h stock, session string) {
	s.t.Helper()
	stored := func(a answer) bool { return strings.HasSuffix(a.header.Get("Cache-Status"), "; stored") }
	switch {
	case h.held:
		eventually(s.t, "a ranking is stored", func() bool { return stored(s.ask(h.question(session))) })
	case h.shared:
		s.other.share(s.t, h.question(session))
	}
	const bot = `"vitrine":{"bot":true}`
	eventually(s.t, "the platform's list is there", func() bool {
		return s.ask(question(fakeapi.CategoryView, session, platformList, bot)).source == "native"
	})
}

// fall brings the API into its condition.
func (s *scene) fall() {
	s.t.Helper()
	if s.condition.breaker != "" {
		s.override("recommendation", s.condition.breaker)
		sick(s.t, s.api, s.condition.fault)
		return
	}
	const state = `vitrine_breaker_state{name="recommendation"}`
	if s.metrics()[state] == 0 {
		sick(s.t, s.api, fakeapi.Fault{Answer: fakeapi.Refuse})
		for i := 0; s.metrics()[state] == 0; i++ {
			s.ask(productView(fmt.Sprint("nobody ", i), "p1"))
		}
		sick(s.t, s.api, s.condition.fault)
	}
	eventually(s.t, "the breaker is half-open", func() bool { return s.metrics()[state] == 1 })
}

// lookups counts how often Redis was asked for a ranking.
func (s *scene) lookups() (n float64) {
	s.t.Helper()
	for series, value := range s.metrics() {
		if strings.HasPrefix(series, `vitrine_redis_operations_total{op="lookup"`) && !strings.Contains(series, "refused") {
			n += value
		}
	}
	return n
}

var digits = regexp.MustCompile(`\d+`)

// serve asks a question and says what came.
func (s *scene) serve(h stock, session string) row {
	began := time.Now()
	a, err := s.try(h.question(session))
	took := time.Since(began)
	if err != nil || a.status != http.StatusOK {
		s.t.Errorf("%s: got %v, %v", session, a, err)
	}
	if aged := a.source == "cache" || a.source == "stale"; (a.header.Get("Age") != "") != aged {
		s.t.Errorf("%s: got Age %q from %s", session, a.header.Get("Age"), a.source)
	}
	r := row{
		held: h.name, api: s.condition.name, redis: s.redis,
		source: a.source, reason: a.reason, status: digits.ReplaceAllString(a.header.Get("Cache-Status"), "N"), wait: atMostNothing,
	}
	switch {
	case took >= budget:
		r.wait = "`budget`"
	case took >= theyTake:
		r.wait = "theirs, `budget` at most"
	}
	return r
}
