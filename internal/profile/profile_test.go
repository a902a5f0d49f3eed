package profile_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/breaker"
	"vitrine/internal/fashionai"
	"vitrine/internal/profile"
	"vitrine/internal/reco"
)

const prefix = "/api/v1/crm/protected/profile/"

// vendor is the API. What is set is how it answers from then on.
type vendor struct {
	mu     sync.Mutex
	people map[string]string // by "kind/value", the value decoded: the userProfileId
	calls  []string          // "kind/value" of each, in order
	takes  time.Duration
	says   func(asked string) (fashionai.Reply, bool) // if it returns true, before anything else
	gate   chan struct{}                              // if not nil, calls wait for it to be closed
	busy   int
	most   int // calls at once
}

// ana is known to the vendor by four identifiers, and ze by two.
func newVendor() *vendor {
	return &vendor{people: map[string]string{
		"user-profile-id/id-ana": "id-ana", "email/Ana@example.org": "id-ana", "email/ana@example.org": "id-ana", "email/ANA@example.org": "id-ana",
		"phone/5511999998888": "id-ana", "document/12345678909": "id-ana",
		"user-profile-id/id-ze": "id-ze", "email/ze+shop@example.org": "id-ze",
	}}
}

func (v *vendor) Fetch(path string, _ time.Time, _ string) fashionai.Reply {
	asked, err := url.PathUnescape(strings.TrimPrefix(path, prefix))
	if err != nil {
		panic(err)
	}
	began := time.Now()
	v.mu.Lock()
	v.calls = append(v.calls, asked)
	n, takes, gate, says := len(v.calls), v.takes, v.gate, v.says
	v.busy++
	v.most = max(v.most, v.busy)
	v.mu.Unlock()
	if gate != nil {
		<-gate
	}
	time.Sleep(takes)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.busy--
	r := fashionai.Reply{Result: fashionai.Result{Class: fashionai.OK, Status: 200, Sent: true, Took: time.Since(began)}}
	if says != nil {
		if said, ok := says(asked); ok {
			said.Took = r.Took
			return said
		}
	}
	id, ok := v.people[asked]
	if !ok {
		r.Class, r.Status, r.Body = fashionai.NotFound, 404, []byte(nobody)
		return r
	}
	r.Body = []byte(written(id, n))
	return r
}

// set changes how the vendor answers.
func (v *vendor) set(change func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change()
}

func (v *vendor) called() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return len(v.calls)
}

// atOnce is how many calls there were at one time.
func (v *vendor) atOnce() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.most
}

const nobody = `{"statusCode":404,"message":"Profile not found","error":"Not Found"}`

// written is a profile as written at the nth call, with the vendor's spelling and spaces.
func written(id string, n int) string {
	return fmt.Sprintf(`{ "userProfileId":%q,"profile":{"perfil_cliente":{"descricao_geral":"n.º %d"},`+
		`"ocasioes_relevantes":[{"ocasião":"festa"}],"briefing_marketing":{},"ganchos_conteudo":[],`+
		`"momento_compra_atual":{"novo_comportamento":true}}}`+"\n", id, n)
}

// failing makes the vendor answer every call alike.
func (v *vendor) failing(class fashionai.Class, status int, body string) {
	v.set(func() {
		v.says = func(string) (fashionai.Reply, bool) {
			return fashionai.Reply{
				Result: fashionai.Result{Class: class, Status: status, RetryAfter: 7 * time.Second}, Body: []byte(body),
			}, true
		}
	})
}

func (v *vendor) well() { v.set(func() { v.says = nil }) }

// shelf is what a test asks.
type shelf struct {
	t *testing.T
	v *vendor
	*profile.Profiles
	logged func() string
}

// open returns profiles of the vendor with the contract's numbers, running.
func open(t *testing.T, v *vendor, change ...func(*profile.Options)) shelf {
	t.Helper()
	b, err := breaker.New(profile.BreakerOptions(2 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	log := new(transcript)
	o := profile.Options{
		API: v, Breaker: b, HashKey: [32]byte{1},
		Fresh: 6 * time.Hour, Stale: 168 * time.Hour, NotFound: 5 * time.Minute,
		Budget: 2 * time.Second, CallTimeout: 2 * time.Second, MaxInFlight: 16, Memory: profile.DefaultMemory,
		Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&o)
	}
	p, err := profile.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return shelf{t, v, p, log.String}
}

// transcript is a log that is read while it is written.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *transcript) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *transcript) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// want asks, and checks status, source, and that the body was written at that call.
func (s shelf) want(what, asked string, forced bool, status int, source reco.Source, body string) profile.Answer {
	s.t.Helper()
	kind, value, _ := strings.Cut(asked, "/")
	a := s.Answer(kind, value, forced)
	if a.Status != status || a.Source != source || string(a.Body) != body {
		s.t.Errorf("%s: got %d %s (%s) %s%s\nwant %d %s %s", what, a.Status, a.Source, a.Reason, a.Body, a.Detail, status, source, body)
	}
	return a
}

// bubble runs a test of profiles without Redis in a bubble of time.
func bubble(t *testing.T, test func(shelf), change ...func(*profile.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, newVendor(), change...)
		go s.Run(t.Context())
		test(s)
	})
}

func TestLivesOfAProfile(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("first", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
		time.Sleep(6*time.Hour*4/5 - 1)
		if a := s.want("fresh", "email/ANA@example.org", false, 200, reco.FromCache, written("id-ana", 1)); a.Age != 6*time.Hour*4/5-1 {
			s.t.Errorf("got an age of %s", a.Age)
		}
		synctest.Wait()
		if s.v.called() != 1 {
			s.t.Errorf("got %d calls, want 1", s.v.called())
		}
		time.Sleep(1)
		s.want("after four fifths", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 1))
		synctest.Wait()
		s.want("refreshed behind", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
		s.v.failing(fashionai.ServerError, 503, "")
		time.Sleep(6 * time.Hour)
		if a := s.want("stale", "email/ana@example.org", false, 200, reco.FromStale, written("id-ana", 2)); a.Reason != "http-503" {
			s.t.Errorf("got reason %q, want http-503", a.Reason)
		}
		time.Sleep(168*time.Hour - 1)
		s.want("at its end", "email/ana@example.org", false, 200, reco.FromStale, written("id-ana", 2))
		time.Sleep(1)
		if a := s.want("over", "email/ana@example.org", false, 503, reco.FromNone, ""); a.RetryAfter <= 0 || a.Detail == "" {
			s.t.Errorf("got %+v, want words and a time to try again", a)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := s.Stats(); got.Entries != 0 || got.Bytes != 0 {
			s.t.Errorf("got %+v, want nothing kept that nobody may be served", got)
		}
	})
}

func TestNobodyIsRememberedForAWhile(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("first", "phone/5511000000000", false, 404, reco.FromAPI, nobody)
		time.Sleep(5*time.Minute - 1)
		s.want("again", "phone/+55%2011%200000-00000", false, 404, reco.FromCache, nobody)
		s.v.set(func() { s.v.people["phone/5511000000000"] = "id-ze" })
		time.Sleep(1)
		s.want("somebody now", "phone/5511000000000", false, 200, reco.FromAPI, written("id-ze", 2))
	})
}

// A 404 never hides behind what was known before.
func TestWhoIsGoneIsGone(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
		s.v.set(func() { delete(s.v.people, "email/ana@example.org") })
		s.want("forced", "email/ana@example.org", true, 404, reco.FromAPI, nobody)
		s.want("after", "email/ana@example.org", false, 404, reco.FromCache, nobody)
	})
}

// A strict vendor may not know an unusual spelling: that says nothing of the usual one.
func TestA404OfAnUnusualSpelling(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("unusual", "email/%20ana@example.org", false, 404, reco.FromAPI, nobody)
		s.want("usual", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 2))
		s.want("unusual, known", "email/%20ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
		s.want("unusual, forced", "email/%20ana@example.org", true, 404, reco.FromAPI, nobody)
		s.want("usual still", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
		time.Sleep(180 * time.Hour)
		s.v.set(func() { s.v.takes = 100 * time.Millisecond })
		var callers sync.WaitGroup
		callers.Go(func() { s.want("unusual", "email/%20ana@example.org", false, 404, reco.FromAPI, nobody) })
		synctest.Wait()
		callers.Go(func() {
			s.want("usual, at the same moment", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 5))
		})
		callers.Wait()
	})
}

func TestFourIdentifiersOneCopy(t *testing.T) {
	bubble(t, func(s shelf) {
		for i, asked := range []string{"email/ana@example.org", "phone/5511999998888", "document/12345678909", "user-profile-id/id-ana"} {
			if i < 3 { // its id is known once it has been asked for by anything else
				s.want(asked, asked, false, 200, reco.FromAPI, written("id-ana", i+1))
			}
			s.want(asked, asked, false, 200, reco.FromCache, written("id-ana", min(i+1, 3)))
		}
		s.want("all share the last", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 3))
		size := int64(len(written("id-ana", 3)))
		if got := s.Stats(); got.Entries != 4 || got.Bytes > 2*size+4*256 {
			s.t.Errorf("got %+v, want one body of %d bytes and three pointers", got, size)
		}
	})
}

// That an identifier stands for a person is believed no longer than a profile is: phone
// numbers change hands, however fresh the profile is that others keep fresh.
func TestAnIdentifierIsAskedAgain(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("phone", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ana", 1))
		time.Sleep(4 * time.Hour)
		s.want("e-mail", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 2))
		s.v.set(func() { s.v.people["phone/5511999998888"] = "id-ze" })
		time.Sleep(2 * time.Hour)
		s.want("the number is another's", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ze", 3))
		s.want("the person is not", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
	})
}

func TestNoCacheAsksTheAPI(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("first", "user-profile-id/id-ana", false, 200, reco.FromAPI, written("id-ana", 1))
		time.Sleep(time.Second)
		s.want("forced", "user-profile-id/id-ana", true, 200, reco.FromAPI, written("id-ana", 2))
		s.want("kept", "user-profile-id/id-ana", false, 200, reco.FromCache, written("id-ana", 2))
		s.v.failing(fashionai.Timeout, 0, "")
		s.want("the API is away", "user-profile-id/id-ana", true, 200, reco.FromCache, written("id-ana", 2))
	})
}

func TestWaiting(t *testing.T) {
	bubble(t, func(s shelf) {
		took := func(what string, want time.Duration, ask func()) {
			s.t.Helper()
			began := time.Now()
			ask()
			if got := time.Since(began); got != want {
				s.t.Errorf("%s: took %s, want %s", what, got, want)
			}
		}
		s.v.set(func() { s.v.takes = 5 * time.Second })
		took("nothing held", 2*time.Second, func() {
			a := s.want("nothing held", "email/ana@example.org", false, 503, reco.FromNone, "")
			if a.Reason != reco.Timeout {
				s.t.Errorf("got %q, want timeout", a.Reason)
			}
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		took("the call went on", 0, func() {
			s.want("the call went on", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 1))
		})
		time.Sleep(7 * time.Hour)
		took("stale is the net", 150*time.Millisecond, func() {
			a := s.want("stale", "email/ana@example.org", false, 200, reco.FromStale, written("id-ana", 1))
			if a.Reason != reco.Timeout {
				s.t.Errorf("got %q, want timeout", a.Reason)
			}
		})
		took("who wants it new waits", 2*time.Second, func() {
			s.want("forced", "email/ana@example.org", true, 200, reco.FromStale, written("id-ana", 1))
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		s.want("late, but for the next", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
		if s.v.called() != 2 {
			s.t.Errorf("got %d calls, want 2", s.v.called())
		}
	})
}

func TestOneCallForAllWhoWait(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("known", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ana", 1))
		s.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 2))
		time.Sleep(7 * time.Hour)
		s.v.set(func() { s.v.takes = 100 * time.Millisecond })
		var callers sync.WaitGroup
		for i := range 100 {
			asked := []string{"email/ana@example.org", "email/ANA@example.org"}[i%2]
			callers.Go(func() { s.want(asked, asked, false, 200, reco.FromAPI, written("id-ana", 3)) })
		}
		callers.Wait()
		if s.v.called() != 3 {
			s.t.Errorf("got %d calls, want 3", s.v.called())
		}
	})
}

// Two identifiers of one person: one call at a time, and neither gets the other's 404.
func TestCallsOfOnePersonDoNotOverlap(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("known", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ana", 1))
		s.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 2))
		time.Sleep(180 * time.Hour) // both pointers are over
		s.want("known", "phone/5511999998888", false, 200, reco.FromAPI, written("id-ana", 3))
		s.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 4))
		s.v.set(func() { s.v.most, s.v.takes = 0, 100*time.Millisecond; delete(s.v.people, "phone/5511999998888") })
		var callers sync.WaitGroup
		callers.Go(func() { s.want("gone", "phone/5511999998888", true, 404, reco.FromAPI, nobody) })
		synctest.Wait()
		callers.Go(func() { s.want("there", "email/ana@example.org", true, 200, reco.FromAPI, written("id-ana", 6)) })
		callers.Wait()
		if got := s.v.atOnce(); got != 1 {
			s.t.Errorf("got %d calls at once, want 1", got)
		}
	})
}

func TestUndocumentedAnswers(t *testing.T) {
	good := written("id-ana", 1)
	for name, body := range map[string]string{
		"another object":     `{"products":[]}`,
		"no id":              strings.Replace(good, "userProfileId", "id", 1),
		"an empty id":        strings.Replace(good, "id-ana", "", 1),
		"an id with a slash": strings.Replace(good, "id-ana", "a/b", 1),
		"a number for id":    strings.Replace(good, `"id-ana"`, "7", 1),
		"no profile":         `{"userProfileId":"id-ana","profile":null}`,
		"no occasions":       strings.Replace(good, "ocasioes_relevantes", "ocasioes", 1),
		"hooks as text":      strings.Replace(good, `"ganchos_conteudo":[]`, `"ganchos_conteudo":"x"`, 1),
		"a null section":     strings.Replace(good, `"briefing_marketing":{}`, `"briefing_marketing":null`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(s shelf) {
				s.v.failing(fashionai.OK, 200, body)
				for range 12 { // enough for the breaker, were it a failure
					if a := s.want("passed on", "email/ana@example.org", false, 200, reco.FromAPI, body); !a.JSON {
						s.t.Error("got no JSON, want JSON")
					}
				}
				if got := s.Stats(); got.Undocumented != 12 || got.Calls != 12 || got.Entries != 0 {
					s.t.Errorf("got %+v, want 12 calls, counted, and nothing kept", got)
				}
			})
		})
	}
}

// The page of something in between is passed on if there is nothing better, and is a failure.
func TestPagesInsteadOfAnswers(t *testing.T) {
	for _, status := range []int{200, 404} {
		bubble(t, func(s shelf) {
			s.want("known", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 1))
			time.Sleep(7 * time.Hour)
			class := map[int]fashionai.Class{200: fashionai.OK, 404: fashionai.NotFound}[status]
			s.v.failing(class, status, "<html>")
			s.want("stale is better", "email/ana@example.org", false, 200, reco.FromStale, written("id-ana", 1))
			if a := s.want("nothing is", "phone/5511000000000", false, status, reco.FromAPI, "<html>"); a.JSON {
				s.t.Error("got JSON, want none")
			}
			for range 10 {
				s.Answer("phone", "5511000000000", false)
			}
			if a := s.Answer("phone", "5511000000000", false); a.Status != 503 || a.Reason != reco.Open {
				s.t.Errorf("got %+v, want the breaker open", a)
			}
		})
	}
}

func TestBreakerAndGate(t *testing.T) {
	bubble(t, func(s shelf) {
		s.v.failing(fashionai.RateLimited, 429, "")
		if a := s.want("limited", "email/ana@example.org", false, 503, reco.FromNone, ""); a.Reason != reco.RateLimited || a.RetryAfter < 7*time.Second {
			s.t.Errorf("got %+v, want rate-limited, and 7s", a)
		}
		s.v.well()
		time.Sleep(7*time.Second - 1)
		if a := s.Answer("email", "ana@example.org", false); a.Reason != reco.RateLimited || s.v.called() != 1 {
			s.t.Errorf("got %+v after %d calls, want the gate shut", a, s.v.called())
		}
		time.Sleep(time.Second)
		s.want("open again", "email/ana@example.org", false, 200, reco.FromAPI, written("id-ana", 2))
		s.v.failing(fashionai.Unreachable, 0, "")
		for range 5 {
			s.want("unreachable", "email/ze+shop@example.org", false, 503, reco.FromNone, "")
		}
		if a := s.Answer("email", "ze+shop@example.org", false); a.Reason != reco.Open || s.v.called() != 7 || a.RetryAfter > time.Minute {
			s.t.Errorf("got %+v after %d calls, want the breaker open after 7", a, s.v.called())
		}
		s.want("fresh is served", "email/ana@example.org", false, 200, reco.FromCache, written("id-ana", 2))
	})
}

// Profiles take seconds: that alone must not open the breaker.
func TestSlowIsNotSick(t *testing.T) {
	bubble(t, func(s shelf) {
		s.v.set(func() { s.v.takes = 1900 * time.Millisecond })
		for n := range 40 {
			s.want("slow", "user-profile-id/id-ana", true, 200, reco.FromAPI, written("id-ana", n+1))
		}
	})
}

func TestBulkhead(t *testing.T) {
	bubble(t, func(s shelf) {
		s.v.set(func() { s.v.gate = make(chan struct{}) })
		reasons := make(map[reco.Reason]int)
		var mu sync.Mutex
		var callers sync.WaitGroup
		for n := range 20 {
			callers.Go(func() {
				a := s.Answer("phone", fmt.Sprintf("55119000000%02d", n), false)
				mu.Lock()
				defer mu.Unlock()
				reasons[a.Reason]++
			})
		}
		callers.Wait()
		// Two calls, six that wait for their turn, both until the budget ends.
		if got := s.v.atOnce(); reasons[reco.Overload] < 12 || reasons[reco.Overload]+reasons[reco.Timeout] != 20 || got != 2 {
			s.t.Errorf("got %v with %d calls at once, want 2 calls and at least 12 refused", reasons, got)
		}
		s.v.set(func() { close(s.v.gate); s.v.gate = nil })
	}, func(o *profile.Options) { o.MaxInFlight = 2 })
}

func TestRefusals(t *testing.T) {
	bubble(t, func(s shelf) {
		s.want("unknown kind", "name/ana", false, 404, reco.FromNone, "")
		for what, value := range hostile() {
			s.want(what, "email/"+value, false, 400, reco.FromNone, "")
		}
		if s.v.called() != 0 {
			s.t.Errorf("got %d calls, want none", s.v.called())
		}
	})
}

func TestMemoryIsBounded(t *testing.T) {
	bubble(t, func(s shelf) {
		for n := range 1000 {
			id := fmt.Sprintf("id-%d", n)
			s.v.set(func() { s.v.people["user-profile-id/"+id] = id })
			s.Answer("user-profile-id", id, false)
		}
		if got := s.Stats(); got.Bytes > 64<<10 || got.Bytes < 48<<10 {
			s.t.Errorf("got %+v, want nearly 64 KiB", got)
		}
		s.want("the last is there", "user-profile-id/id-999", false, 200, reco.FromCache, written("id-999", 1000))
		s.v.set(func() { s.v.people["user-profile-id/big"] = strings.Repeat("b", 200) })
		big := strings.Replace(written("big", 1), "festa", strings.Repeat("f", 9000), 1)
		s.v.failing(fashionai.OK, 200, big)
		s.want("too big", "user-profile-id/big", false, 200, reco.FromAPI, big)
		s.want("too big to keep", "user-profile-id/big", false, 200, reco.FromAPI, big)
	}, func(o *profile.Options) { o.Memory = 64 << 10 })
}

func TestOptionsAreChecked(t *testing.T) {
	_, err := profile.New(profile.Options{Fresh: -1, Stale: -1, NotFound: -1, Remote: (*nothing)(nil)})
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"required", "fresh", "stale", "not_found", "budget", "call", "max_in_flight", "memory", "hash key", "Redis"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to tell of %s", err, want)
		}
	}
}

// nothing is a Remote that is never used.
type nothing struct{ profile.Remote }
