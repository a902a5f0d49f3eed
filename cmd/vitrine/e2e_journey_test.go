package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"vitrine/bench/fakeapi"
)

var uuidV7 = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestE2EMissThenHit(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	ranking := api.Ranking("s1", "", fakeapi.ProductView, "p1")

	miss := s.ask(productView("s1", "p1"))
	want(t, "a miss", miss, "api", "", ranking)
	if want := `{"products":["` + strings.Join(ranking, `","`) + `"]}`; miss.body != want {
		t.Errorf("a miss: got body %s, want %s", miss.body, want)
	}
	for name, want := range map[string]string{
		"Content-Type": "application/json", "Cache-Control": "private, no-store", "Age": "",
		"Cache-Status": "vitrine; fwd=miss; fwd-status=200; stored",
	} {
		if got := miss.header.Get(name); got != want {
			t.Errorf("a miss: got %s %q, want %q", name, got, want)
		}
	}

	hit := s.ask(productView("s1", "p1"))
	want(t, "a hit", hit, "cache", "", ranking)
	for name, want := range map[string]string{
		"Content-Type": "^application/json$", "Cache-Control": "^private, no-store$", "Age": "^[0-9]+$",
		"Cache-Status": "^vitrine; hit; ttl=[0-9]+; detail=memory$",
	} {
		if got := hit.header.Get(name); !regexp.MustCompile(want).MatchString(got) {
			t.Errorf("a hit: got %s %q, want it to match %q", name, got, want)
		}
	}
	if !uuidV7.MatchString(miss.event) || !uuidV7.MatchString(hit.event) || miss.event == hit.event {
		t.Errorf("got events %q and %q, want two UUIDs of version 7", miss.event, hit.event)
	}
	s.settled(2)
	if got := items(api.API, "s1"); !slices.Equal(got, []string{"p1", "p1"}) {
		t.Errorf("got %q at the API, want the event of the hit as well", got)
	}
}

// Nobody is ever shown what was ranked for another session or another user.
func TestE2EListsAreNobodyElses(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	ask := func(what, session, user, source string) {
		t.Helper()
		members := []string{}
		if user != "" {
			members = append(members, `"userId":"`+user+`"`)
		}
		want(t, what, s.ask(productView(session, "p1", members...)), source, "",
			api.Ranking(session, user, fakeapi.ProductView, "p1"))
	}
	ask("anonymous", "s1", "", "api")
	ask("another session", "s2", "", "api")
	ask("login", "s1", "90", "api")
	ask("logged in", "s1", "90", "cache")
	ask("logout", "s1", "", "cache")
	ask("another user", "s1", "91", "api")
	ask("a session that ends as the user begins", "s19", "0", "api")
}

func TestE2EEventTypes(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	for eventType, id := range map[string]string{
		fakeapi.ProductView: "p7", fakeapi.CategoryView: "c1", fakeapi.ShopTheLook: "p7", fakeapi.CustomShelf: "",
	} {
		ranking := api.Ranking("s1", "", eventType, id)
		want(t, eventType, s.ask(question(eventType, "s1", id)), "api", "", ranking)
		want(t, eventType+" again", s.ask(question(eventType, "s1", id)), "cache", "", ranking)
	}
}

// recorder is an API that notes the bodies it is sent.
type recorder struct {
	mu     sync.Mutex
	bodies []string
}

// ServeHTTP notes the body and answers with one product.
func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	r.bodies = append(r.bodies, string(body))
	r.mu.Unlock()
	_, _ = io.WriteString(w, `{"products":["x"]}`)
}

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.bodies
	r.bodies = nil
	return taken
}

// A user has one key, however the app writes it, and goes out as a string or not at all.
func TestE2ESpellingsOfAUser(t *testing.T) {
	t.Parallel()
	api := &recorder{}
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	s := start(t, server.URL)
	known := `{"userId":"90","sessionId":"known","eventType":"productView","data":{"id":"p1"}}`
	nobody := `{"sessionId":"nobody","eventType":"productView","data":{"id":"p1"}}`
	for i, c := range []struct{ session, user, source, sent string }{
		{"known", `,"userId":"90"`, "api", known},
		{"known", `,"userId":90`, "cache", known},
		{"nobody", ``, "api", nobody},
		{"nobody", `,"userId":""`, "cache", nobody},
		{"nobody", `,"userId":null`, "cache", nobody},
	} {
		got := s.ask(fmt.Sprintf(`{"sessionId":%q,"eventType":"productView","data":{"id":"p1"}%s}`, c.session, c.user))
		want(t, c.session+c.user, got, c.source, "", []string{"x"})
		s.settled(i + 1)
		if got := api.take(); len(got) != 1 || got[0] != c.sent {
			t.Errorf("%s%s: got %q sent, want %q", c.session, c.user, got, c.sent)
		}
	}
	// An id that is written as an integer goes out as it is written, what is unknown not at all.
	s.ask(`{"more":[{}],"sessionId":"known","eventType":"categoryView","data":{"id":12,"x":1},"vitrine":{"limit":1,"new":2}}`)
	s.settled(6)
	if got, want := api.take(), `{"sessionId":"known","eventType":"categoryView","data":{"id":"12"}}`; len(got) != 1 || got[0] != want {
		t.Errorf("got %q sent, want %q", got, want)
	}
}

func TestE2EOptions(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	full := api.Ranking("s1", "", fakeapi.ProductView, "p1")
	for _, c := range []struct {
		options string
		want    []string
	}{
		{`{"limit":2}`, full[:2]},
		{`{"limit":2,"exclude":["` + full[0] + `","","nope",null,7]}`, full[1:3]},
		{`{"exclude":["` + full[3] + `"],"limit":4,"complete":true}`, append(slices.Clone(full[:3]), full[4])},
		{`{"native":["n1",7,null,"","` + full[0] + `"],"complete":true}`, append(slices.Clone(full), "n1", "7")},
		{`{"native":["n1","n2"],"complete":true,"limit":` + strconv.Itoa(len(full)+1) + `}`, append(slices.Clone(full), "n1")},
		{`{"native":["n1"],"complete":false}`, full},
		{`{"native":null,"limit":null,"exclude":null,"complete":null,"budgetMs":null,"bot":null}`, full},
		{`{"anything":{"else":[1]}}`, full},
		{`null`, full},
		{`{}`, full},
	} {
		got := s.ask(productView("s1", "p1", `"vitrine":`+c.options))
		got.source = "" // the first is the API's
		want(t, c.options, got, "", "", c.want)
	}
	if got := len(api.Ledger()); got == 0 {
		t.Error("got no event at the API, want one")
	}
}

func TestE2EBotsAreNoShoppers(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	got := s.ask(productView("s1", "p1", `"vitrine":{"bot":true,"native":["n2","n1","n2"]}`))
	want(t, "a bot", got, "native", "bot", []string{"n2", "n1"})
	if got.event != "" {
		t.Errorf("got event %q of a bot, want none", got.event)
	}
	want(t, "a bot without a list", s.ask(productView("s1", "p1", `"vitrine":{"bot":true}`)), "none", "bot", []string{})
	s.ask(productView("s2", "p2"))
	s.settled(1)
	if got := items(api.API, "s1"); got != nil {
		t.Errorf("got %q at the API, want nothing of a bot", got)
	}
}

func TestE2EEmptyIsNative(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL(), "--cache.empty=10m", soonStale)
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	native := `"vitrine":{"native":["n1","n2"]}`
	list := []string{"n1", "n2"}

	want(t, "empty", s.ask(productView("s1", "p1", native)), "native", "empty", list)
	want(t, "empty, without a native list", s.ask(productView("s2", "p1")), "none", "empty", []string{})
	s.settled(2)
	api.Clear() // it would answer, but nobody waits to see
	want(t, "within cache.empty", s.ask(productView("s1", "p1", native)), "native", "empty", list)
	s.settled(3)

	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	s.ask(productView("s3", "p1"))
	s.ask(productView("s3", "p2"))
	s.settled(5)
	api.Clear()
	want(t, "after another view", s.ask(productView("s3", "p1", native)), "api", "", api.Ranking("s3", "", fakeapi.ProductView, "p1"))

	// An empty answer never replaces a ranking.
	sick(t, api, fakeapi.Fault{Answer: fakeapi.EmptyList})
	s.ask(productView("s3", "p3"))
	pass()
	want(t, "empty after a ranking", s.ask(productView("s3", "p1", native)), "stale", "empty", api.Ranking("s3", "", fakeapi.ProductView, "p1"))
}

func TestE2EFreshUntilTheSessionMovesOn(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	s := start(t, api.URL())
	for session, c := range map[string]struct{ views, last string }{
		"curious": {"p1 p2 p3 p1", "cache"},
		"moved":   {"p1 p2 p3 p4 p1", "api"},
	} {
		var got answer
		for id := range strings.FieldsSeq(c.views) {
			got = s.ask(productView(session, id))
		}
		want(t, c.views, got, c.last, "", api.Ranking(session, "", fakeapi.ProductView, "p1"))
	}
	s.ask(productView("staying", "p1"))
	for range 10 {
		if got := s.ask(productView("staying", "p1")); got.source != "cache" {
			t.Errorf("the same again: got %v, want cache", got)
		}
	}
}
