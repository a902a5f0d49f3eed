package reco_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vitrine/internal/reco"
)

// view is a valid event with something put into it: before its last brace, or as
// its member vitrine.
func view(more string) string {
	return `{"sessionId":"s","eventType":"productView","data":{"id":"p"}` + more + `}`
}

func vitrine(options string) string { return view(`,"vitrine":` + options) }

func nested(levels int) string {
	return strings.Repeat("[", levels) + strings.Repeat("]", levels)
}

var (
	plainView = reco.Event{Session: "s", Item: "p", Type: reco.ProductView}
	longest   = strings.Repeat("é", reco.MaxIDLength/2)
)

func with(o reco.Options) reco.Request { return reco.Request{Event: plainView, Options: o} }

func byUser(user string) reco.Request {
	e := plainView
	e.User = user
	return reco.Request{Event: e}
}

func ofItem(item string) reco.Request {
	e := plainView
	e.Item = item
	return reco.Request{Event: e}
}

var accepted = []struct {
	name string
	body string
	want reco.Request
}{
	{
		"the contract's example",
		`{"userId":"90","sessionId":"sess456","eventType":"productView","data":{"id":"id789"},
		 "vitrine":{"native":["p3","p1"],"limit":24,"exclude":["id789"],"complete":true,"budgetMs":120}}`,
		reco.Request{
			Event: reco.Event{Session: "sess456", User: "90", Item: "id789", Type: reco.ProductView},
			Options: reco.Options{
				Native: []string{"p3", "p1"}, Exclude: []string{"id789"}, Limit: 24, Complete: true,
				Budget: 120 * time.Millisecond,
			},
		},
	},
	{"no user", view(``), with(reco.Options{})},
	{"white space of every kind", " \t\r\n" + strings.ReplaceAll(view(``), `:`, " \n:\t\r") + "\n ", with(reco.Options{})},
	{"user as a string", view(`,"userId":"90"`), byUser("90")},
	{"user as a number is the same user", view(`,"userId":90`), byUser("90")},
	{"user as a fraction, as it is written", view(`,"userId":-9.50e+1`), byUser("-9.50e+1")},
	{"user null", view(`,"userId":null`), byUser("")},
	{"user empty", view(`,"userId":""`), byUser("")},
	{"escapes", view(`,"userId":"\"\\\/\b\f\n\r\tA\u00e9\ud83d\uDE00"`), byUser("\"\\/\b\f\n\r\tAé😀")},
	{"an escaped replacement character", view(`,"userId":"\ufffd"`), byUser("�")},
	{"a literal replacement character", view(`,"userId":"�"`), byUser("�")},
	{"escaped NUL", view(`,"userId":"\u0000"`), byUser("\x00")},
	{"an escaped member name", strings.Replace(view(``), "sessionId", `session\u0049d`, 1), with(reco.Options{})},

	{"item as an integer", strings.Replace(view(``), `"p"`, `979935`, 1), ofItem("979935")},
	{"item as a negative integer", strings.Replace(view(``), `"p"`, `-0`, 1), ofItem("-0")},
	{"item as an integer beyond 64 bits", strings.Replace(view(``), `"p"`, strings.Repeat("9", 256), 1), ofItem(strings.Repeat("9", 256))},
	{"item of the greatest length", strings.Replace(view(``), `"p"`, `"`+longest+`"`, 1), ofItem(longest)},
	{"session of the greatest length", strings.Replace(view(``), `"s"`, `"`+longest+`"`, 1), reco.Request{Event: reco.Event{Session: longest, Item: "p", Type: reco.ProductView}}},
	{"categoryView", `{"sessionId":"s","eventType":"categoryView","data":{"id":"c"}}`, reco.Request{Event: reco.Event{Session: "s", Item: "c", Type: reco.CategoryView}}},
	{"shopTheLook", `{"sessionId":"s","eventType":"shopTheLook","data":{"id":"p"}}`, reco.Request{Event: reco.Event{Session: "s", Item: "p", Type: reco.ShopTheLook}}},
	{"customShelf", `{"sessionId":"s","eventType":"customShelf","data":{"id":""}}`, reco.Request{Event: reco.Event{Session: "s", Type: reco.CustomShelf}}},

	{"unknown members at every level", view(`,"x":1,"data2":{"id":2}`)[:len(view(``))-2] + `,"x":[{"y":null}]},"more":{"a":[true,false,1.5e3]},"vitrine":{"z":{}}}`, with(reco.Options{})},
	{"more members than fit in place", view(`,"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"i":9`), with(reco.Options{})},
	{"the same name in two objects", view(`,"x":{"sessionId":1},"y":{"sessionId":2}`), with(reco.Options{})},
	{"nesting of 64", view(`,"x":` + nested(63)), with(reco.Options{})},

	{"vitrine null", vitrine(`null`), with(reco.Options{})},
	{"vitrine empty", vitrine(`{}`), with(reco.Options{})},
	{"null members are absent ones", vitrine(`{"native":null,"limit":null,"exclude":null,"complete":null,"budgetMs":null,"bot":null,"page":null,"x":null}`), with(reco.Options{})},
	{"native of strings, integers and gaps", vitrine(`{"native":["a",7,null,"","a",-1]}`), with(reco.Options{Native: []string{"a", "7", "a", "-1"}})},
	{"native of nothing", vitrine(`{"native":[]}`), with(reco.Options{})},
	{"exclude", vitrine(`{"exclude":[null,"a",2]}`), with(reco.Options{Exclude: []string{"a", "2"}})},
	{"limit of one", vitrine(`{"limit":1}`), with(reco.Options{Limit: 1})},
	{"limit beyond 64 bits", vitrine(`{"limit":99999999999999999999}`), with(reco.Options{Limit: 1 << 40})},
	{"complete", vitrine(`{"complete":true}`), with(reco.Options{Complete: true})},
	{"not complete", vitrine(`{"complete":false}`), with(reco.Options{})},
	{"bot", vitrine(`{"bot":true}`), with(reco.Options{Bot: true})},
	{"budget", vitrine(`{"budgetMs":1}`), with(reco.Options{Budget: time.Millisecond})},
	{"budget beyond any patience", vitrine(`{"budgetMs":99999999999999999999}`), with(reco.Options{Budget: time.Hour})},
	{"page", vitrine(`{"page":{"size":24,"number":3}}`), with(reco.Options{Page: reco.Page{Size: 24, Number: 3}})},
	{"page without a number is the first", vitrine(`{"page":{"size":24}}`), with(reco.Options{Page: reco.Page{Size: 24, Number: 1}})},
}

var refused = []struct {
	name   string
	body   string
	member string // that the error names
	detail string // that the error says
}{
	// Not one JSON document.
	{"nothing", ``, "", "must be an object"},
	{"white space", " \n", "", "must be an object"},
	{"a byte order mark", "\uFEFF" + view(``), "", "must be an object"},
	{"an array", `[` + view(``) + `]`, "", "must be an object"},
	{"a string", `"s"`, "", "must be an object"},
	{"null", `null`, "", "must be an object"},
	{"a second document", view(``) + view(``), "", "data after the end"},
	{"a letter behind", view(``) + `x`, "", "data after the end"},
	{"a NUL behind", view(``) + "\x00", "", "data after the end"},
	{"a closing brace too many", view(``) + `}`, "", "data after the end"},
	{"cut short", view(``)[:len(view(``))-1], "", "',' or '}' expected"},
	{"cut in a string", `{"sessionId":"s`, "sessionId", "without an end"},
	{"cut in a name", `{"sessionI`, "", "without an end"},
	{"cut behind a backslash", `{"sessionId":"s\`, "sessionId", "without an end"},
	{"cut in an escape", `{"sessionId":"\u00`, "sessionId", "unknown escape"},
	{"cut behind a colon", `{"sessionId":`, "sessionId", "must be a string"},
	{"cut in an array", `{"x":[1`, "x", "',' or ']' expected"},
	{"no colon", `{"sessionId" "s"}`, "", "':' expected"},
	{"no comma", `{"a":1 "b":2}`, "", "',' or '}' expected"},
	{"a comma too many", view(`,`), "", "must be a string"},
	{"a comma too early", `{,"a":1}`, "", "must be a string"},
	{"a comma too many in an array", view(`,"x":[1,]`), "x", "a value expected"},
	{"a comma too early in an array", view(`,"x":[,1]`), "x[0]", "not a JSON value"},
	{"brackets crossed", view(`,"x":[{]}`), "x[0]", "must be a string"},
	{"a name without quotes", `{sessionId:"s"}`, "", "must be a string"},
	{"single quotes", `{'sessionId':'s'}`, "", "must be a string"},
	{"a comment", view(`,/* */"x":1`), "", "must be a string"},
	{"NaN", view(`,"x":NaN`), "x", "not a JSON value"},
	{"half a null", view(`,"x":nul`), "x", "not a JSON value"},
	{"true in capitals", view(`,"x":True`), "x", "not a JSON value"},
	{"true that goes on", view(`,"x":truely`), "", "',' or '}' expected"},
	{"a leading zero", view(`,"x":01`), "", "',' or '}' expected"},
	{"a leading plus", view(`,"x":+1`), "x", "not a JSON value"},
	{"a lone minus", view(`,"x":-`), "x", "not a JSON value"},
	{"a number that begins with its point", view(`,"x":.5`), "x", "not a JSON value"},
	{"a number that ends with its point", view(`,"x":1.`), "x", "a digit expected after '.'"},
	{"an exponent without digits", view(`,"x":1e+`), "x", "a digit expected in the exponent"},
	{"hexadecimal", view(`,"x":0x10`), "", "',' or '}' expected"},
	{"a line break in a string", view(",\"x\":\"a\nb\""), "x", "a control character"},
	{"a NUL in a string", view(",\"x\":\"a\x00b\""), "x", "a control character"},
	{"an unknown escape", view(`,"x":"\a"`), "x", "an unknown escape"},
	{"an escape that is not hexadecimal", view(`,"x":"\u00g0"`), "x", "an unknown escape"},
	{"a lone high surrogate", view(`,"x":"\ud83d"`), "x", "a lone surrogate"},
	{"a high surrogate before a letter", view(`,"x":"\ud83d\u0041"`), "x", "a lone surrogate"},
	{"two high surrogates", view(`,"x":"\ud83d\ud83d"`), "x", "a lone surrogate"},
	{"a lone low surrogate", view(`,"x":"\ude00"`), "x", "a lone surrogate"},
	{"a surrogate before half an escape", view(`,"x":"\ud83d\ude0"`), "x", "a lone surrogate"},
	{"a stray continuation byte", view(",\"x\":\"\x80\""), "x", "invalid UTF-8"},
	{"an overlong slash", view(",\"x\":\"\xc0\xaf\""), "x", "invalid UTF-8"},
	{"an encoded surrogate", view(",\"x\":\"\xed\xa0\x80\""), "x", "invalid UTF-8"},
	{"a rune beyond Unicode", view(",\"x\":\"\xf4\x90\x80\x80\""), "x", "invalid UTF-8"},
	{"half a rune", view(",\"x\":\"\xe2\x82\""), "x", "invalid UTF-8"},
	{"bad UTF-8 in a name", view(",\"\xff\":1"), "", "invalid UTF-8"},
	{"nesting of 65", view(`,"x":` + nested(64)), "x" + strings.Repeat("[0]", 63), "nested more than 64"},
	{"100 000 brackets", view(`,"x":` + strings.Repeat("[", 100_000)), "x" + strings.Repeat("[0]", 63), "nested more than 64"},

	// Duplicates.
	{"a member twice", view(`,"sessionId":"s"`), "", `duplicate member "sessionId"`},
	{"a member twice, once escaped", view(`,"session\u0049d":"s"`), "", `duplicate member "sessionId"`},
	{"an unknown member twice", view(`,"x":1,"x":1`), "", `duplicate member "x"`},
	{"a member twice far apart", view(`,"a":1,"b":2,"c":3,"d":4,"e":5,"f":6,"g":7,"h":8,"a":9`), "", `duplicate member "a"`},
	{"a member twice in an unknown one", view(`,"x":[0,{"y":{"z":1,"z":1}}]`), "x[1].y", `duplicate member "z"`},
	{"a member twice in data", strings.Replace(view(``), `"id":"p"`, `"id":"p","id":"p"`, 1), "data", `duplicate member "id"`},
	{"an option twice", vitrine(`{"limit":1,"limit":1}`), "vitrine", `duplicate member "limit"`},
	{"a null option twice", vitrine(`{"limit":null,"limit":1}`), "vitrine", `duplicate member "limit"`},

	// The event.
	{"an empty object", `{}`, "sessionId", "is required"},
	{"no session", `{"eventType":"productView","data":{"id":"p"}}`, "sessionId", "is required"},
	{"an empty session", strings.Replace(view(``), `"s"`, `""`, 1), "sessionId", "non-empty"},
	{"session null", strings.Replace(view(``), `"s"`, `null`, 1), "sessionId", "must be a string"},
	{"session as a number", strings.Replace(view(``), `"s"`, `1`, 1), "sessionId", "must be a string"},
	{"session of 257 bytes", strings.Replace(view(``), `"s"`, `"`+longest+`x"`, 1), "sessionId", "longer than 256 bytes"},
	{"user as a boolean", view(`,"userId":true`), "userId", "must be a string, a number or null"},
	{"user as an object", view(`,"userId":{"id":"90"}`), "userId", "must be a string, a number or null"},
	{"user as an array", view(`,"userId":["90"]`), "userId", "must be a string, a number or null"},
	{"no event type", `{"sessionId":"s","data":{"id":"p"}}`, "eventType", "is required"},
	{"event type null", strings.Replace(view(``), `"productView"`, `null`, 1), "eventType", "must be a string"},
	{"an unknown event type", strings.Replace(view(``), `productView`, `addToCart`, 1), "eventType", "must be one of"},
	{"an event type in other capitals", strings.Replace(view(``), `productView`, `ProductView`, 1), "eventType", "must be one of"},
	{"an empty event type", strings.Replace(view(``), `productView`, ``, 1), "eventType", "must be one of"},
	{"no data", `{"sessionId":"s","eventType":"productView"}`, "data.id", "is required"},
	{"data without id", strings.Replace(view(``), `"id"`, `"Id"`, 1), "data.id", "is required"},
	{"data null", strings.Replace(view(``), `{"id":"p"}`, `null`, 1), "data", "must be an object"},
	{"data as a string", strings.Replace(view(``), `{"id":"p"}`, `"p"`, 1), "data", "must be an object"},
	{"item null", strings.Replace(view(``), `"p"`, `null`, 1), "data.id", "must be a string or an integer"},
	{"item as a fraction", strings.Replace(view(``), `"p"`, `1.0`, 1), "data.id", "not a fraction"},
	{"item with an exponent", strings.Replace(view(``), `"p"`, `1e3`, 1), "data.id", "not a fraction or an exponent"},
	{"item as a boolean", strings.Replace(view(``), `"p"`, `true`, 1), "data.id", "must be a string or an integer"},
	{"item as an object", strings.Replace(view(``), `"p"`, `{}`, 1), "data.id", "must be a string or an integer"},
	{"item as an array", strings.Replace(view(``), `"p"`, `["p"]`, 1), "data.id", "must be a string or an integer"},
	{"item of 257 bytes", strings.Replace(view(``), `"p"`, `"`+longest+`x"`, 1), "data.id", "longer than 256 bytes"},
	{"item of 257 digits", strings.Replace(view(``), `"p"`, strings.Repeat("9", 257), 1), "data.id", "longer than 256 bytes"},
	{"an empty item", strings.Replace(view(``), `"p"`, `""`, 1), "data.id", "must not be empty for productView"},
	{"an empty category", `{"sessionId":"s","eventType":"categoryView","data":{"id":""}}`, "data.id", "must not be empty for categoryView"},
	{"an empty look", `{"sessionId":"s","eventType":"shopTheLook","data":{"id":""}}`, "data.id", "must not be empty for shopTheLook"},
	{"a shelf with an item", `{"sessionId":"s","eventType":"customShelf","data":{"id":"p"}}`, "data.id", "must be empty for customShelf"},
	{"a shelf without data", `{"sessionId":"s","eventType":"customShelf"}`, "data.id", "is required"},

	// How it is to be answered.
	{"vitrine as an array", vitrine(`[]`), "vitrine", "must be an object"},
	{"vitrine as true", vitrine(`true`), "vitrine", "must be an object"},
	{"native as a string", vitrine(`{"native":"p"}`), "vitrine.native", "must be an array"},
	{"native of objects", vitrine(`{"native":["a",{"id":"p"}]}`), "vitrine.native[1]", "must be a string or an integer"},
	{"native of booleans", vitrine(`{"native":[true]}`), "vitrine.native[0]", "must be a string or an integer"},
	{"native with a fraction", vitrine(`{"native":[null,1.5]}`), "vitrine.native[1]", "not a fraction"},
	{"exclude of lists", vitrine(`{"exclude":[[]]}`), "vitrine.exclude[0]", "must be a string or an integer"},
	{"limit of zero", vitrine(`{"limit":0}`), "vitrine.limit", "must be at least 1"},
	{"limit below zero", vitrine(`{"limit":-99999999999999999999}`), "vitrine.limit", "must be at least 1"},
	{"limit as a fraction", vitrine(`{"limit":1.0}`), "vitrine.limit", "must be an integer"},
	{"limit as a string", vitrine(`{"limit":"24"}`), "vitrine.limit", "must be an integer"},
	{"budget of zero", vitrine(`{"budgetMs":0}`), "vitrine.budgetMs", "must be at least 1"},
	{"budget below zero", vitrine(`{"budgetMs":-1}`), "vitrine.budgetMs", "must be at least 1"},
	{"budget as a string", vitrine(`{"budgetMs":"120ms"}`), "vitrine.budgetMs", "must be an integer"},
	{"complete as a number", vitrine(`{"complete":1}`), "vitrine.complete", "must be true or false"},
	{"bot as a string", vitrine(`{"bot":"true"}`), "vitrine.bot", "must be true or false"},
	{"page as a number", vitrine(`{"page":2}`), "vitrine.page", "must be an object"},
	{"page without a size", vitrine(`{"page":{"number":2}}`), "vitrine.page.size", "is required"},
	{"page of no size", vitrine(`{"page":{"size":0}}`), "vitrine.page.size", "must be at least 1"},
	{"page number zero", vitrine(`{"page":{"size":1,"number":0}}`), "vitrine.page.number", "must be at least 1"},
}

func TestParseRequestAccepts(t *testing.T) {
	t.Parallel()
	for _, tt := range accepted {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			body := []byte(tt.body)
			got, err := reco.ParseRequest(body)
			clear(body) // what was read must not point into it
			if err != nil || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("%s: got %+v, %v, want %+v", tt.body, got, err, tt.want)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reco.ParseRequest([]byte(tt.body))
			if !reflect.DeepEqual(got, reco.Request{}) {
				t.Errorf("got %+v beside the error", got)
			}
			checkSyntaxError(t, err, tt.member, tt.detail)
		})
	}
}

func checkSyntaxError(t *testing.T, err error, member, detail string) {
	t.Helper()
	var syntax *reco.SyntaxError
	if !errors.As(err, &syntax) {
		t.Fatalf("got error %v, want a *SyntaxError", err)
	}
	if syntax.Member != member || !strings.Contains(syntax.Detail, detail) {
		t.Errorf("got %q at %q, want %q at %q", syntax.Detail, syntax.Member, detail, member)
	}
	if member != "" && !strings.HasPrefix(err.Error(), member+": ") {
		t.Errorf("got message %q, want it to begin with the member", err)
	}
}

// An error must stay fit to be shown, whatever the member is called.
func TestErrorsShortenNames(t *testing.T) {
	t.Parallel()
	name := strings.Repeat("é", 50_000) + "x"
	_, err := reco.ParseRequest([]byte(view(`,"` + name + `":[1,{"` + name + `":x}]`)))
	if err == nil || len(err.Error()) > 300 || !utf8.ValidString(err.Error()) {
		t.Errorf("got %v", err)
	}
	_, err = reco.ParseRequest([]byte(view(`,"` + name + `":1,"` + name + `":2`)))
	if err == nil || len(err.Error()) > 300 || !utf8.ValidString(err.Error()) {
		t.Errorf("got %v", err)
	}
}

var pages = []struct {
	name   string
	body   string
	want   reco.Pageful
	member string // that the error names, if there is one
	detail string
}{
	{name: "one event", body: `{"events":[` + view(``) + `]}`, want: reco.Pageful{Requests: []reco.Request{with(reco.Options{})}}},
	{
		name: "two, in order, each its own way", body: `{"x":1,"budgetMs":150,"events":[` + vitrine(`{"limit":3}`) + `, {"sessionId":"s","eventType":"customShelf","data":{"id":""}}]}`,
		want: reco.Pageful{
			Budget:   150 * time.Millisecond,
			Requests: []reco.Request{with(reco.Options{Limit: 3}), {Event: reco.Event{Session: "s", Type: reco.CustomShelf}}},
		},
	},
	{name: "eight", body: `{"events":[` + strings.Repeat(view(``)+`,`, 7) + view(``) + `]}`, want: reco.Pageful{Requests: []reco.Request{
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
		{Event: plainView},
	}}},
	{name: "nine", body: `{"events":[` + strings.Repeat(view(``)+`,`, 8) + view(``) + `]}`, member: "events[8]", detail: "more than 8"},
	{name: "none", body: `{"events":[]}`, member: "events", detail: "at least one"},
	{name: "no events", body: `{}`, member: "events", detail: "is required"},
	{name: "events null", body: `{"events":null}`, member: "events", detail: "must be an array"},
	{name: "a bare array", body: `[` + view(``) + `]`, detail: "must be an object"},
	{name: "an event that is none", body: `{"events":[` + view(``) + `,7]}`, member: "events[1]", detail: "must be an object"},
	{name: "the third without an id", body: `{"events":[` + view(``) + `,` + view(``) + `,{"sessionId":"s","eventType":"productView"}]}`, member: "events[2].data.id", detail: "is required"},
	{name: "the second with a bad option", body: `{"events":[` + view(``) + `,` + vitrine(`{"native":[0,[]]}`) + `]}`, member: "events[1].vitrine.native[1]", detail: "must be a string"},
	{name: "events twice", body: `{"events":[` + view(``) + `],"events":[]}`, detail: "duplicate member"},
	{name: "a budget of zero", body: `{"budgetMs":0,"events":[` + view(``) + `]}`, member: "budgetMs", detail: "at least 1"},
	{name: "a budget of null", body: `{"budgetMs":null,"events":[` + view(``) + `]}`, member: "budgetMs", detail: "must be an integer"},
	{name: "cut short", body: `{"events":[` + view(``), member: "events", detail: "',' or ']' expected"},
	{name: "data behind", body: `{"events":[` + view(``) + `]}]`, detail: "data after the end"},
}

func TestParsePageful(t *testing.T) {
	t.Parallel()
	for _, tt := range pages {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reco.ParsePageful([]byte(tt.body))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
			if tt.detail != "" || err != nil {
				checkSyntaxError(t, err, tt.member, tt.detail)
			}
		})
	}
}

var stocks = []struct {
	name   string
	body   string
	want   []reco.Stock
	member string // that the error names, if there is one
	detail string
}{
	{name: "none", body: ` [ ] `},
	{name: "strings and integers", body: `[{"id":"a","quantity":0},{"quantity":12,"id":7,"x":{}}]`, want: []reco.Stock{{ID: "a"}, {ID: "7", Quantity: 12}}},
	{name: "more than there can be", body: `[{"id":"a","quantity":99999999999999999999}]`, want: []reco.Stock{{ID: "a", Quantity: 1 << 40}}},
	{name: "an object", body: `{"id":"a","quantity":0}`, detail: "must be an array"},
	{name: "an element that is no object", body: `[{"id":"a","quantity":0},"b"]`, member: "[1]", detail: "must be an object"},
	{name: "no id", body: `[{"quantity":0}]`, member: "[0].id", detail: "is required"},
	{name: "an empty id", body: `[{"id":"","quantity":0}]`, member: "[0].id", detail: "must not be empty"},
	{name: "id null", body: `[{"id":null,"quantity":0}]`, member: "[0].id", detail: "must be a string or an integer"},
	{name: "the longest id", body: `[{"id":"` + longest + `","quantity":0}]`, want: []reco.Stock{{ID: longest}}},
	{name: "an id too long", body: `[{"id":"a","quantity":0},{"id":"` + longest + `x","quantity":0}]`, member: "[1].id", detail: "longer than 256 bytes"},
	{name: "no quantity", body: `[{"id":"a","quantity":1},{"id":"b"}]`, member: "[1].quantity", detail: "is required"},
	{name: "a quantity below zero", body: `[{"id":"a","quantity":-1}]`, member: "[0].quantity", detail: "at least 0"},
	{name: "half a unit", body: `[{"id":"a","quantity":0.5}]`, member: "[0].quantity", detail: "must be an integer"},
	{name: "a quantity in quotes", body: `[{"id":"a","quantity":"1"}]`, member: "[0].quantity", detail: "must be an integer"},
	{name: "id twice", body: `[{"id":"a","id":"a","quantity":1}]`, member: "[0]", detail: "duplicate member"},
	{name: "a comma too many", body: `[{"id":"a","quantity":1},]`, detail: "a value expected"},
	{name: "cut short", body: `[{"id":"a","quantity":1}`, detail: "',' or ']' expected"},
	{name: "nothing", body: ``, detail: "must be an array"},
}

func TestParseStock(t *testing.T) {
	t.Parallel()
	for _, tt := range stocks {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := reco.ParseStock([]byte(tt.body))
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, %v, want %+v", got, err, tt.want)
			}
			if tt.detail != "" || err != nil {
				checkSyntaxError(t, err, tt.member, tt.detail)
			}
		})
	}
}
