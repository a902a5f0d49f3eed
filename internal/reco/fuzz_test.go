package reco_test

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"vitrine/internal/reco"
)

// The quick reader accepts a body if and only if the slow one does, and then both
// make the same of it.
func FuzzParseRequest(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.body))
	}
	for _, c := range refused {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sameAsContract(t, body, reco.ParseRequest, contract.request)
	})
}

func FuzzParsePageful(f *testing.F) {
	for _, c := range pages {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sameAsContract(t, body, reco.ParsePageful, contract.pageful)
	})
}

func FuzzParseStock(f *testing.F) {
	for _, c := range stocks {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		sameAsContract(t, body, reco.ParseStock, contract.stock)
	})
}

func sameAsContract[T any](t *testing.T, body []byte, quick func([]byte) (T, error), slow func(contract, any) T) {
	t.Helper()
	before := slices.Clone(body)
	got, gotErr := quick(body)
	want, wantErr := byContract(body, slow)
	if (gotErr == nil) != (wantErr == nil) {
		t.Fatalf("%q: got error %v, want error %v", body, gotErr, wantErr)
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("%q: got %+v, want %+v", body, got, want)
	}
	if syntax := (*reco.SyntaxError)(nil); gotErr != nil && !errors.As(gotErr, &syntax) {
		t.Fatalf("%q: got %T, want a *SyntaxError", body, gotErr)
	}
	if !slices.Equal(body, before) {
		t.Fatalf("%q: the body was written to", before)
	}
}

// mutations are small enough that most mutants stay near the contract's borders,
// where bytes alone, as the fuzzer changes them, rarely get.
var mutations = []string{
	`{`, `}`, `[`, `]`, `,`, `:`, `"`, `\`, `null`, `true`, `false`, `0`, `-`, `1.0`, `1e3`, `12345678901234567890`,
	`""`, `"a"`, `\u0061`, `\ud83d\ude00`, `\ud83d`, "\xff", "\x00", " ", `"id":`, `"vitrine":{`, `"page":{"size":2}`,
	`"limit":1,`, `"limit":null,`, `"data":{"id":7}`, `"customShelf"`, `"productView"`, "é", `,"é":[[]]`,
}

// The law of FuzzParseRequest on bodies made of the tables' by cutting, doubling
// and inserting pieces of JSON; the same bodies each time.
func TestMutantsReadAsByContract(t *testing.T) {
	t.Parallel()
	seeds := make([]string, 0, len(accepted)+len(refused))
	for _, c := range accepted {
		seeds = append(seeds, c.body)
	}
	for _, c := range refused {
		seeds = append(seeds, c.body)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		body := seeds[rng.IntN(len(seeds))]
		if len(body) > 1000 {
			continue
		}
		for range 1 + rng.IntN(3) {
			from := rng.IntN(len(body) + 1)
			to := min(len(body), from+rng.IntN(4))
			body = body[:from] + mutations[rng.IntN(len(mutations))] + body[to:]
		}
		sameAsContract(t, []byte(body), reco.ParseRequest, contract.request)
	}
}

// An event reads back from its encoding as it was, and no other event does.
func FuzzEventRoundTrip(f *testing.F) {
	f.Add("s", "", "p", uint8(0), "s", "p", "", uint8(0))
	f.Add("s", "90", "p1", uint8(1), "s\"", "9\\0", "p\x00", uint8(2))
	f.Add("\u2028", `","eventType":"`, "😀", uint8(3), "s", `","eventType":"`, "", uint8(3))
	f.Fuzz(func(t *testing.T, session, user, item string, kind uint8, session2, user2, item2 string, kind2 uint8) {
		a, okA := validEvent(session, user, item, kind)
		b, okB := validEvent(session2, user2, item2, kind2)
		if !okA || !okB {
			t.Skip()
		}
		encodedA, encodedB := a.AppendJSON(nil), b.AppendJSON([]byte("before"))[len("before"):]
		for encoded, want := range map[string]reco.Event{string(encodedA): a, string(encodedB): b} {
			if got, err := reco.ParseEvent([]byte(encoded)); err != nil || got != want {
				t.Fatalf("%s: got %+v, %v, want %+v", encoded, got, err, want)
			}
			if _, err := decodeTree([]byte(encoded)); err != nil {
				t.Fatalf("%s: %v", encoded, err)
			}
		}
		if (string(encodedA) == string(encodedB)) != (a == b) {
			t.Fatalf("%+v and %+v: encoded %s and %s", a, b, encodedA, encodedB)
		}
		if clone := a.Clone(); clone != a {
			t.Fatalf("clone: got %+v, want %+v", clone, a)
		}
	})
}

// validEvent makes an event of a fuzzer's values if the contract allows one.
func validEvent(session, user, item string, kind uint8) (reco.Event, bool) {
	e := reco.Event{Session: session, User: user, Item: item, Type: reco.EventTypes[int(kind)%len(reco.EventTypes)]}
	if e.Type == reco.CustomShelf {
		e.Item = ""
	}
	ok := session != "" && len(session) <= reco.MaxIDLength && len(item) <= reco.MaxIDLength &&
		(e.Item == "") == (e.Type == reco.CustomShelf) &&
		utf8.ValidString(session) && utf8.ValidString(user) && utf8.ValidString(item)
	return e, ok
}

// A ranking is the answer's ids in their order, once each, and survives its own
// encoding; a body that is not one is told apart as the contract tells it.
func FuzzParseRanking(f *testing.F) {
	for _, c := range answers {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, gotErr := reco.ParseRanking(body)
		want, wantErr := byContract(body, contract.products)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%q: got error %v, want error %v", body, gotErr, wantErr)
		}
		if gotErr != nil {
			if !errors.Is(gotErr, reco.ErrBadAnswer) {
				t.Fatalf("%q: got %v, want it to wrap ErrBadAnswer", body, gotErr)
			}
			return
		}
		if ids := got.IDs(); !slices.Equal(ids, want) {
			t.Fatalf("%q: got %q, want %q", body, ids, want)
		}
		checkRanking(t, got)
		if again, err := reco.RankingFromJSON(string(body)); err == nil && again.JSON() != string(body) {
			t.Fatalf("%q taken over as %q", body, again.JSON())
		}
	})
}

// Whatever ids a feed or a platform brings, the ranking of them is a JSON document.
func FuzzNewRanking(f *testing.F) {
	f.Add("p1,p2,p1,,p3")
	f.Add("a\"b,a\\,\x1f,\xff,é,\u2028,\xed\xa0\x80")
	f.Fuzz(func(t *testing.T, joined string) {
		ids := strings.Split(joined, ",")
		r := reco.NewRanking(ids)
		checkRanking(t, r)
		for _, id := range r.IDs() {
			if !slices.Contains(ids, id) {
				t.Fatalf("%q of %q: not among them", id, ids)
			}
		}
		for _, id := range ids {
			less := r.Without(id)
			want := slices.DeleteFunc(r.IDs(), func(have string) bool { return have == id })
			if !slices.Equal(less.IDs(), want) {
				t.Fatalf("%q without %q: got %q, want %q", r.IDs(), id, less.IDs(), want)
			}
		}
	})
}

// checkRanking holds r to what every ranking promises.
func checkRanking(t *testing.T, r reco.Ranking) {
	t.Helper()
	ids := r.IDs()
	tree, err := decodeTree([]byte(r.JSON()))
	if err != nil {
		t.Fatalf("%s: %v", r.JSON(), err)
	}
	products := tree.(object)["products"].([]any)
	if len(products) != len(ids) || r.Len() != len(ids) || r.Empty() != (len(ids) == 0) {
		t.Fatalf("%s: %d in the body, IDs %q, Len %d, Empty %t", r.JSON(), len(products), ids, r.Len(), r.Empty())
	}
	seen := map[string]bool{"": true}
	for i, id := range ids {
		if seen[id] || products[i] != id {
			t.Fatalf("%s: id %d: got %q, empty, repeated or another than %q", r.JSON(), i, id, products[i])
		}
		seen[id] = true
	}
	if back, err := reco.RankingFromJSON(r.JSON()); err != nil || back != r {
		t.Fatalf("%s: read back as %s, %v", r.JSON(), back.JSON(), err)
	}
}
