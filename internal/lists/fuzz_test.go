package lists

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// What the API is asked means to any other reader what the caller's request meant, and
// says nothing else: nobody adds a parameter, a part of the path or a second answer. And
// it is asked in one way: who asks as the API is asked, asks the same.
func FuzzQuestion(f *testing.F) {
	f.Add(byte(Similar), "", "limit=010", `{"userId":90,"sessionId":"s","data":{"id":"p1"},"x":1}`)
	f.Add(byte(SalesRanking), "", "&categoryId=a%2fb+c%26", "")
	f.Add(byte(Collections), "ver%C3%A3o%2026", "", "")
	f.Add(byte(Collections), "%2e%2e", "", "")
	f.Add(byte(Search), "", "query=a%26limit=1&page=2", " { } ")
	f.Add(byte(Search), "", "query=a;b&limit=1&limit=2", "{}")
	rows := table()
	f.Fuzz(func(t *testing.T, list byte, rest, query, body string) {
		k := Kind(list % byte(numKinds))
		r := &rows[k]
		given := Request{Path: r.path, Query: query, Body: []byte(body)}
		if r.byID() {
			given.Path += rest
		}
		q, problem := r.understand(k, given)
		if problem != "" {
			return
		}
		asked, err := url.Parse("http://api.test" + q.path)
		if err != nil || asked.Fragment != "" || !strings.HasPrefix(asked.EscapedPath(), r.path) {
			t.Fatalf("got %q asked, %v", q.path, err)
		}
		if id := strings.TrimPrefix(asked.EscapedPath(), r.path); strings.Contains(id, "/") || r.byID() != (id != "") {
			t.Errorf("got %q asked, want one part behind %q", q.path, r.path)
		}
		path, pathErr := url.PathUnescape(given.Path)
		meant, queryErr := url.ParseQuery(query)
		if pathErr != nil || queryErr != nil || asked.Path != path {
			t.Errorf("got the path %q asked, want %q, %v, %v", asked.Path, path, pathErr, queryErr)
		}
		for name, values := range asked.Query() {
			if have := meant[name]; len(values) != 1 || len(have) != 1 || values[0] != have[0] && name != "limit" && name != "page" {
				t.Errorf("got %q = %q asked, want %q", name, values, have)
			}
		}
		if len(asked.Query()) != len(meant) {
			t.Errorf("got %q asked, want all of %q", q.path, query)
		}
		again, problem := r.understand(k, Request{Path: asked.EscapedPath(), Query: asked.RawQuery, Body: q.body})
		if problem != "" || !reflect.DeepEqual(again, q) {
			t.Errorf("got %+v, %s, of what the API is asked, want %+v", again, problem, q)
		}
	})
}

// A collection that is passed on is the vendor's, but for the products that are not
// active, to a reader that knows nothing of where in the document they were. To read it
// again changes nothing.
func FuzzCollection(f *testing.F) {
	for _, body := range []string{
		`{"id":"c","products":[{"productId":1,"active":true},{"active":false,"productId":"b"},{"productId":"c"}],"endsAt":"2026-11-30T00:00:00Z"}`,
		`{"products":[],"endsAt":null}`,
		`{"\u0070roducts":[{"productId":"a","active":false}] , "x":[1e400,{"products":null}]}`,
		`{"products":[{"productId":null,"active":false,"Active":true}]}`,
		`{"products":[{"productId":"a"}],"products":[]}`,
		`{"products":null}`, `[]`, `{"products":[1]}`, `{"products":[{}]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		before := bytes.Clone(body)
		got, err := checkCollection(body)
		if !bytes.Equal(body, before) {
			t.Fatal("the answer was written to")
		}
		if err != nil {
			if !errors.Is(err, errUndocumented) {
				t.Errorf("got %v, want nothing quoted", err)
			}
			return
		}
		if !utf8.Valid(got.body) {
			t.Fatalf("got %q", got.body)
		}
		have, want := tree(t, got.body), tree(t, body)
		want["products"] = slices.DeleteFunc(want["products"].([]any), func(p any) bool {
			var product struct{ Active *bool }
			text, _ := json.Marshal(p)
			return json.Unmarshal(text, &product) == nil && product.Active != nil && !*product.Active
		})
		if !sameJSON(have, want) {
			t.Errorf("got %s of %s", got.body, body)
		}
		if ends, _ := want["endsAt"].(string); (ends == "") != got.until.IsZero() && ends != "" && !strings.HasPrefix(ends, "0001-01-01") {
			t.Errorf("got an end of %v for %q", got.until, ends)
		}
		if again, err := checkCollection(got.body); err != nil || !bytes.Equal(again.body, got.body) || !again.until.Equal(got.until) {
			t.Errorf("got %s, %v, of %s", again.body, err, got.body)
		}
	})
}

// tree decodes an object with its numbers as they are written.
func tree(t *testing.T, body []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var members map[string]any
	if err := d.Decode(&members); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return members
}

func sameJSON(a, b any) bool {
	left, _ := json.Marshal(a)
	right, _ := json.Marshal(b)
	return bytes.Equal(left, right)
}

// A search's answer is passed on whole, and is empty when another reader finds nothing in it.
func FuzzSearch(f *testing.F) {
	for _, body := range []string{`{"totalItems":1,"items":[{"id":1}]}`, `{"items":[]}`, `{"items":null}`, `{"Items":[0],"items":[]}`, `{"error":"x"}`, `[]`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var want map[string]any
		object := json.Unmarshal(body, &want) == nil && utf8.Valid(body)
		got, err := checkSearch(body)
		switch {
		case err == nil && (!object || !bytes.Equal(got.body, body)):
			t.Errorf("got %s of %s", got.body, body)
		case err == nil && strings.Count(strings.ToLower(string(body)), "items") == 1 && got.empty != (len(want["items"].([]any)) == 0):
			t.Errorf("%s: got empty %t", body, got.empty)
		case err != nil && object && strings.Count(strings.ToLower(string(body)), "items") == 1:
			if items, ok := want["items"].([]any); ok {
				t.Errorf("got %v of %s, want its %d items", err, body, len(items))
			}
		}
	})
}

// What was sealed opens as it was, for the same question alone; with any byte changed,
// gone or added it does not.
func FuzzEnvelope(f *testing.F) {
	f.Add("a", "b", `"p1","p2"`, int64(1_790_000_000_000_000), uint(0), byte(1))
	f.Add("", "category", "", int64(1), uint(40), byte(0xff))
	l := &Lists{opt: Options{HashKey: [32]byte{1}}, table: table()}
	f.Fuzz(func(t *testing.T, name, other, ids string, started int64, at uint, flip byte) {
		q := question{kind: SalesRanking, key: l.hash("question", []byte(name))}
		body := []byte(`{"products":[` + ids + `]}`)
		then := time.UnixMicro(started)
		if _, err := checkProducts(body); err != nil || started < 0 || time.Since(then) < 0 {
			t.Skip("no answer that would be kept")
		}
		text := l.seal(q.key, &entry{kind: SalesRanking, status: 200, body: body, started: then})
		got, ok := l.open(q, text)
		if !ok || string(got.body) != string(body) || got.status != 200 || got.started.Sub(then).Abs() > time.Second {
			t.Fatalf("got %+v, %t, want what was sealed", got, ok)
		}
		if _, ok := l.open(question{kind: SalesRanking, key: l.hash("question", []byte(other))}, text); ok && other != name {
			t.Error("opened as the answer to another question")
		}
		n := int(at % uint(len(text)))
		if _, ok := l.open(q, text[:n]); ok {
			t.Errorf("opened when cut after %d bytes", n)
		}
		if _, ok := l.open(q, text+string(rune(flip))); ok {
			t.Error("opened with a byte more")
		}
		changed := []byte(text)
		changed[n] ^= flip
		if _, ok := l.open(q, string(changed)); ok && flip != 0 {
			t.Errorf("opened with byte %d changed", n)
		}
	})
}
