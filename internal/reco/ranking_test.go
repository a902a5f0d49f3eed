package reco_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"vitrine/internal/reco"
)

var answers = []struct {
	name string
	body string
	want []string
	bad  bool
}{
	{name: "a list", body: `{"products":["p2","p1"]}`, want: []string{"p2", "p1"}},
	{name: "strings and integers", body: `{"products":["a",12,-3]}`, want: []string{"a", "12", "-3"}},
	{name: "an integer beyond 64 bits", body: `{"products":[123456789012345678901234567890]}`, want: []string{"123456789012345678901234567890"}},
	{name: "repeated and empty ids", body: `{"products":["a","","b","a",1,"1"]}`, want: []string{"a", "b", "1"}},
	{name: "escapes", body: `{"products":["\"\\\/","\u00e9\ud83d\ude00","a\tb"]}`, want: []string{`"\/`, "é😀", "a\tb"}},
	{name: "other members", body: `{"total":2,"products":["a"],"meta":{"x":[null]}}`, want: []string{"a"}},
	{name: "an empty list", body: ` {"products" : [ ] } `},
	{name: "only empty ids", body: `{"products":["",""]}`},

	{name: "null", body: `null`, bad: true},
	{name: "no list", body: `{}`, bad: true},
	{name: "a list that is null", body: `{"products":null}`, bad: true},
	{name: "a bare list", body: `["a"]`, bad: true},
	{name: "a null among them", body: `{"products":["a",null]}`, bad: true},
	{name: "an object among them", body: `{"products":[{"id":"a"}]}`, bad: true},
	{name: "a fraction among them", body: `{"products":[1.0]}`, bad: true},
	{name: "an exponent among them", body: `{"products":[1e3]}`, bad: true},
	{name: "a boolean among them", body: `{"products":[true]}`, bad: true},
	{name: "a member's member", body: `{"meta":{"deep":nul}}`, bad: true},
	{name: "two lists", body: `{"products":["a"],"products":["b"]}`, bad: true},
	{name: "cut short", body: `{"products":["a","b`, bad: true},
	{name: "data behind", body: `{"products":["a"]}}`, bad: true},
	{name: "an error page", body: `<html>502 Bad Gateway</html>`, bad: true},
	{name: "the API's error", body: `{"error":"Unauthorized","message":"…"}`, bad: true},
	{name: "bad UTF-8", body: "{\"products\":[\"\xff\"]}", bad: true},
	{name: "nothing", body: ``, bad: true},
}

func TestParseRanking(t *testing.T) {
	t.Parallel()
	for _, tt := range answers {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reco.ParseRanking([]byte(tt.body))
			if errors.Is(err, reco.ErrBadAnswer) != tt.bad || (err != nil) != tt.bad {
				t.Errorf("got error %v, want a bad answer: %t", err, tt.bad)
			}
			if ids := got.IDs(); !slices.Equal(ids, tt.want) {
				t.Errorf("got %q, want %q", ids, tt.want)
			}
		})
	}
}

// The body may be used for the next answer as soon as it is parsed.
func TestParseRankingKeepsNothingOfTheBody(t *testing.T) {
	t.Parallel()
	for _, tt := range answers {
		body := []byte(tt.body)
		told := func(r reco.Ranking, err error) string {
			why, _ := errors.AsType[*reco.SyntaxError](err)
			return fmt.Sprint(r.JSON(), r.IDs(), err, why)
		}
		ranking, err := reco.ParseRanking(body)
		before := told(ranking, err)
		for i := range body {
			body[i] = '#'
		}
		if got := told(ranking, err); got != before {
			t.Errorf("%s: got %s once the body is overwritten, want it as it was: %s", tt.name, got, before)
		}
	}
}

func TestRankingFromJSONTakesOnlyTheStoredForm(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"products":[]}`:              true,
		`{"products":["a","b"]}`:       true,
		`{"products":["\"\\\u0001é"]}`: true,
		`{"products":["a","a"]}`:       false,
		`{"products":["a",""]}`:        false,
		`{"products":[1]}`:             false,
		`{"products":["\u00e9"]}`:      false,
		`{"products":["\/"]}`:          false,
		`{"products": ["a"]}`:          false,
		`{"products":["a"]} `:          false,
		`{"products":["a"],"x":1}`:     false,
		`{"products":["a"`:             false,
		``:                             false,
	} {
		r, err := reco.RankingFromJSON(body)
		if (err == nil) != want || (err != nil && !errors.Is(err, reco.ErrBadAnswer)) {
			t.Errorf("%s: got error %v, want accepted: %t", body, err, want)
		}
		if err == nil && r.JSON() != body {
			t.Errorf("%s: got %s", body, r.JSON())
		}
	}
}

func TestNewRanking(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 2000)
	for i := range 1000 {
		many = append(many, fmt.Sprint("p", i), fmt.Sprint("p", i/2))
	}
	for _, tt := range []struct {
		name string
		ids  []string
		json string
	}{
		{"nothing", nil, `{"products":[]}`},
		{"empty ids", []string{"", ""}, `{"products":[]}`},
		{"order and repeats", []string{"b", "a", "", "b"}, `{"products":["b","a"]}`},
		{"what must be escaped and what need not", []string{"\"\\/<é\u2028\x7f\x1f"}, "{\"products\":[\"\\\"\\\\/<é\u2028\x7f\\u001f\"]}"},
		{"an id that is not UTF-8", []string{"a", "\xe9", "b"}, `{"products":["a","b"]}`},
	} {
		r := reco.NewRanking(tt.ids)
		if got := r.JSON(); got != tt.json {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.json)
		}
		if empty := tt.json == `{"products":[]}`; r.Empty() != empty || (r == reco.Ranking{}) != empty {
			t.Errorf("%s: got Empty %t", tt.name, r.Empty())
		}
	}
	if got := reco.NewRanking(many).Len(); got != 1000 {
		t.Errorf("a thousand ids, each twice: got %d", got)
	}
}

func TestRankingWithout(t *testing.T) {
	t.Parallel()
	r := reco.NewRanking([]string{"a", "b", `"`})
	for id, want := range map[string]string{
		"a": `b "`, `"`: "a b", "x": `a b "`, "": `a b "`,
	} {
		if got := strings.Join(r.Without(id).IDs(), " "); got != want {
			t.Errorf("without %q: got %s, want %s", id, got, want)
		}
	}
	if got := reco.NewRanking([]string{"a"}).Without("a"); got != (reco.Ranking{}) {
		t.Errorf("without its only id: got %s, want the zero Ranking", got.JSON())
	}
}

// Whoever takes only the first few pays only for them.
func TestAllStops(t *testing.T) {
	t.Parallel()
	var got []string
	for id := range rankingOf(24).All {
		if got = append(got, id); len(got) == 2 {
			break
		}
	}
	if want := []string{"product-000000", "product-000001"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
