package check_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/check"
	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
	"vitrine/bench/wire"
)

// shop is a checker and what it holds answers against.
type shop struct {
	rankings fakeapi.Rankings
	checker  *check.Checker
}

func newShop() shop {
	r := fakeapi.Rankings{Catalogue: shopdata.New(1, 2000, 40), Seed: 7}
	return shop{r, check.New(check.Options{Rankings: r, Fresh: time.Minute, Stale: 30 * time.Minute, Share: 1})}
}

func (s shop) list(r traffic.Request) []string {
	return s.rankings.Ranking(r.Session, r.User, r.Type, r.ID)
}

func question(session string) traffic.Request {
	return traffic.Request{Session: session, Type: fakeapi.CustomShelf, Limit: 24, Native: []string{"p1", "p2", "p3"}}
}

const (
	anEvent   = "01a1fff7-fce2-7050-8d50-c1db31643ad0"
	nextEvent = "01a1fff7-fce2-7050-8d50-c1db31643ad1"
)

// good is a right answer's headers.
func good() map[string]string {
	return map[string]string{
		"Content-Type": "application/json", "Cache-Control": "private, no-store", "Vitrine-Source": "api",
		"Cache-Status": "vitrine; fwd=miss; fwd-status=200; stored", "Vitrine-Event": anEvent,
	}
}

// answer lets a real server give an answer, so that the client reads it too.
func answer(t *testing.T, status int, headers map[string]string, body string) *wire.Answer {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for k, v := range headers {
			w.Header().Set(k, v)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	defer server.Close()
	client := wire.NewClient(strings.TrimPrefix(server.URL, "http://"), true)
	a := new(wire.Answer)
	if err := client.Do(traffic.AppendPost(nil, "/", nil), a, time.Now().Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	return a
}

func body(ids []string) string {
	text, _ := json.Marshal(map[string][]string{"products": ids})
	return string(text)
}

func kinds(c *check.Checker) (out []check.Kind) {
	for _, f := range c.Findings() {
		out = append(out, f.Kind)
	}
	return out
}

func TestRightAnswersPass(t *testing.T) {
	s := newShop()
	r := question("s1")
	s.checker.Asked(r)
	v := s.checker.Answer(r, answer(t, 200, good(), body(s.list(r))))
	if !v.OK || v.Source != check.API || v.Products != 24 || len(s.checker.Findings()) != 0 {
		t.Errorf("got %+v and %v, want a right answer", v, s.checker.Findings())
	}
}

// A sidecar that gives one session's list to another is caught, and the owner named.
func TestLeakIsCaught(t *testing.T) {
	s := newShop()
	mine, others := question("s1"), question("s2")
	s.checker.Asked(others)
	s.checker.Answer(others, answer(t, 200, good(), body(s.list(others))))
	headers := good()
	headers["Vitrine-Event"] = nextEvent
	s.checker.Asked(mine)
	v := s.checker.Answer(mine, answer(t, 200, headers, body(s.list(others))))
	found := s.checker.Findings()
	if v.OK || len(found) != 1 || found[0].Kind != check.Leak || !strings.Contains(found[0].Example, "s2") {
		t.Errorf("got %+v, want a leak of s2's list", found)
	}
}

func TestEveryWrongAnswerIsCaught(t *testing.T) {
	r := traffic.Request{Session: "s1", Type: fakeapi.ProductView, ID: "p5", Limit: 10, Native: []string{"p45", "p85"}}
	s := newShop()
	list := s.list(r)[:10]
	change := func(pairs ...string) map[string]string {
		h := good()
		for i := 0; i < len(pairs); i += 2 {
			h[pairs[i]] = pairs[i+1]
		}
		return h
	}
	cache := []string{"Vitrine-Source", "cache", "Cache-Status", "vitrine; hit; ttl=37; detail=memory"}
	for _, c := range []struct {
		name    string
		status  int
		headers map[string]string
		body    string
		want    check.Kind
	}{
		{"a status", 503, good(), body(list), check.BadStatus},
		{"not JSON", 200, good(), `{"products":["p1"]`, check.BadBody},
		{"another member", 200, good(), `{"products":[],"more":1}`, check.BadBody},
		{"numbers", 200, good(), `{"products":[1]}`, check.BadBody},
		{"null", 200, good(), `{"products":null}`, check.BadBody},
		{"a duplicate", 200, good(), body(append(slices.Clone(list[:9]), list[0])), check.Duplicate},
		{"an unknown id", 200, good(), body(append(slices.Clone(list[:9]), "x1")), check.Unknown},
		{"too long", 200, good(), body(s.list(r)), check.TooLong},
		{"the viewed product", 200, good(), body(append(slices.Clone(list[:9]), "p5")), check.Viewed},
		{"another list", 200, good(), body([]string{"p45", "p85", "p125", "p165", "p205", "p245"}), check.Foreign},
		{"another native list", 200, change("Vitrine-Source", "native", "Vitrine-Reason", "open", "Cache-Status", "vitrine; fwd=miss; detail=native"), body([]string{"p85", "p45"}), check.WrongNative},
		{"a reason for a good answer", 200, change("Vitrine-Reason", "open"), body(list), check.BadHeader},
		{"no reason for a bad one", 200, change("Vitrine-Source", "native"), body(r.Native), check.BadHeader},
		{"an unknown source", 200, change("Vitrine-Source", "magic"), body(list), check.BadHeader},
		{"a hit that is none", 200, change("Cache-Status", "vitrine; hit; ttl=3; detail=memory"), body(list), check.BadHeader},
		{"no age", 200, change(cache...), body(list), check.BadHeader},
		{"too old", 200, change(append(cache, "Age", "99")...), body(list), check.BadAge},
		{"older than its question", 200, change(append(cache, "Age", "30")...), body(list), check.BadAge},
		{"cacheable", 200, change("Cache-Control", "public"), body(list), check.BadHeader},
		{"no event", 200, change("Vitrine-Event", ""), body(list), check.BadEvent},
	} {
		s := newShop()
		s.checker.Asked(r)
		v := s.checker.Answer(r, answer(t, c.status, c.headers, c.body))
		if v.OK || !slices.Contains(kinds(s.checker), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, s.checker.Findings(), c.want)
		}
	}
}

func TestEventIDsAreUnique(t *testing.T) {
	s := newShop()
	r := question("s1")
	for range 2 {
		s.checker.Asked(r)
		s.checker.Answer(r, answer(t, 200, good(), body(s.list(r))))
	}
	if got := kinds(s.checker); !slices.Equal(got, []check.Kind{check.BadEvent}) {
		t.Errorf("got %v, want %s", got, check.BadEvent)
	}
}

func TestEventsAreHeldAgainstTheLedger(t *testing.T) {
	for _, c := range []struct {
		name    string
		arrived []string // sessions, in order
		counts  rig.Events
		want    []check.Kind
	}{
		{"as they should", []string{"s1", "s2"}, rig.Events{}, nil},
		{"one lost", []string{"s1"}, rig.Events{}, []check.Kind{check.Lost}},
		{"one expired", []string{"s1"}, rig.Events{Expired: 1}, nil},
		{"one invented", []string{"s1", "s2", "s3"}, rig.Events{}, []check.Kind{check.Invented}},
		{"one twice", []string{"s1", "s2", "s2"}, rig.Events{}, []check.Kind{check.Phantom}},
		{"one tried again", []string{"s1", "s2", "s2"}, rig.Events{Retried: 1}, nil},
	} {
		s := newShop()
		for i, session := range []string{"s1", "s2"} {
			r, headers := question(session), good()
			headers["Vitrine-Event"] = fmt.Sprintf("%s%d", anEvent[:35], i)
			s.checker.Asked(r)
			s.checker.Answer(r, answer(t, 200, headers, body(s.list(r))))
		}
		var entries []fakeapi.Entry
		for i, session := range c.arrived {
			entries = append(entries, fakeapi.Entry{Seq: uint64(i + 1), Session: session, Type: fakeapi.CustomShelf})
		}
		s.checker.Arrived(entries)
		s.checker.Settle(c.counts, 0)
		if got := kinds(s.checker); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, s.checker.Findings(), c.want)
		}
	}
}

// The client never sends a request twice, and reports an answer that is cut off.
func TestCutAnswerIsAnError(t *testing.T) {
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	requests := make(chan int, 1)
	go func() { // ends with the listener
		n := 0
		for {
			c, err := l.Accept()
			if err != nil {
				requests <- n
				return
			}
			if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				n++
			}
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
			_ = c.Close()
		}
	}()
	client := wire.NewClient(l.Addr().String(), false)
	var a wire.Answer
	if err := client.Do(traffic.AppendPost(nil, "/", nil), &a, time.Now().Add(10*time.Second)); err == nil {
		t.Error("got no error for half an answer")
	}
	_ = l.Close()
	if got := <-requests; got != 1 {
		t.Errorf("got %d requests, want 1", got)
	}
}
