package lists_test

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
	"vitrine/internal/lists"
	"vitrine/internal/reco"
)

// The API is asked in one way for all that ask the same.
func TestQuestions(t *testing.T) {
	bubble(t, func(p pod) {
		for _, c := range []struct {
			call  string
			asked []lists.Request // after the first, from the cache
		}{
			{"POST " + products + `similar?limit=10 {"userId":"90","sessionId":"123","data":{"id":"979935"}}`, []lists.Request{
				{Path: products + "similar", Query: "limit=10", Body: []byte(`{"userId":90,"sessionId":"123","data":{"id":"979935"}}`)},
				{Path: products + "similar", Query: "limit=010", Body: []byte(` {"data":{"id":979935,"x":1},"sessionId":"123","userId":"90"}`)},
			}},
			{"POST " + products + `similar {"data":{"id":"979935"}}`, []lists.Request{
				{Path: products + "similar", Body: []byte(`{"userId":"","sessionId":"","data":{"id":"979935"}}`)},
				{Path: products + "similar", Body: []byte(`{"userId":null,"sessionId":null,"data":{"id":"979935"}}`)},
			}},
			{"GET " + products + "sales-ranking", []lists.Request{{Path: products + "sales-ranking"}}},
			{"GET " + products + "sales-ranking?categoryId=a%2Fb+c%26", []lists.Request{
				{Path: products + "sales-ranking", Query: "categoryId=a/b%20c%26"},
				{Path: products + "sales-ranking", Query: "&categoryId=a%2fb+c%26&"},
			}},
			{"GET " + collection + "ver%C3%A3o%2026", []lists.Request{{Path: collection + "ver%c3%a3o%2026"}, {Path: collection + "ver%C3%A3o%20%326"}}},
			{"POST " + products + "search?page=2&limit=20&query=vestido+azul ", []lists.Request{
				{Path: products + "search", Query: "query=vestido%20azul&limit=20&page=2"},
				{Path: products + "search", Query: "page=2&query=vestido+azul&limit=20", Body: []byte(" { } ")},
			}},
		} {
			p.v.says(fashionai.OK, `{"products":["p"],"items":["p"]}`)
			if strings.Contains(c.call, collection) {
				p.v.says(fashionai.OK, `{"products":[]}`)
			}
			for i, r := range c.asked {
				source := []reco.Source{reco.FromAPI, reco.FromCache}[min(i, 1)]
				if a := p.request(r); a.Source != source {
					t.Errorf("%+v: got %s (%s) %s, want %s", r, a.Source, a.Reason, a.Detail, source)
				}
			}
			calls := p.v.called()
			if got := calls[len(calls)-1]; got != c.call {
				t.Errorf("got %q asked, want %q", got, c.call)
			}
		}
	})
}

// Who is who decides what is similar.
func TestSimilarIsPersonal(t *testing.T) {
	bubble(t, func(p pod) {
		p.v.says(fashionai.OK, best)
		for _, body := range []string{
			`{"data":{"id":"p1"}}`, `{"data":{"id":"p2"}}`, `{"sessionId":"1","data":{"id":"p1"}}`, `{"userId":"1","data":{"id":"p1"}}`,
			`{"sessionId":"1","userId":"1","data":{"id":"p1"}}`, `{"sessionId":"2","userId":"1","data":{"id":"p1"}}`,
		} {
			p.want(body, lists.Request{Path: products + "similar", Body: []byte(body)}, 200, reco.FromAPI, best)
		}
	})
}

// What cannot be a question is refused by its member, and the API never hears of it.
func TestHostileInput(t *testing.T) {
	long := strings.Repeat("a", 257)
	bubble(t, func(p pod) {
		for _, c := range []struct{ path, query, body, member string }{
			{products + "similar", "", "", "must be an object"},
			{products + "similar", "", `{"sessionId":"` + long + `","data":{"id":"p"}}`, "sessionId: "},
			{products + "similar", "", `{"data":{"id":"` + long + `"}}`, "data.id: "},
			{products + "similar", "", `{"data":{"id":"p"},"data":{"id":"p"}}`, "duplicate"},
			{products + "similar", "limit=0", `{}`, "limit: "},
			{products + "similar", "limit=101", `{}`, "limit: "},
			{products + "similar", "limit=-1", `{}`, "limit: "},
			{products + "similar", "limit=1e1", `{}`, "limit: "},
			{products + "similar", "limit=", `{}`, "limit: "},
			{products + "similar", "limit=9&limit=9", `{}`, "limit: "},
			{products + "similar", "page=1", `{}`, "the query: "},
			{products + "similar", "%zz=1", `{}`, "the query "},
			{products + "sales-ranking", "categoryId=" + long, "", "categoryId: "},
			{products + "sales-ranking", "categoryId=%00", "", "categoryId: "},
			{products + "sales-ranking", "categoryId=%ff", "", "categoryId: "},
			{products + "search", "page=10001", "", "page: "},
			{products + "search", "page=99999999999999999999", "", "page: "},
			{products + "search", "query=" + long, "", "query: "},
			{products + "search", "query=a%0d%0ab", "", "query: "},
			{products + "search", "query=a;b", "", "the query "},
			{products + "search", "query=a", `{"query":"b"}`, "the body "},
			{collection + "a/b", "", "", "id: "},
			{collection + "a%2Fb", "", "", "id: "},
			{collection + "a%5cb", "", "", "id: "},
			{collection + "..", "", "", "id: "},
			{collection + "%2e%2e", "", "", "id: "},
			{collection + "%00", "", "", "id: "},
			{collection + "%zz", "", "", "id: "},
			{collection + long, "", "", "id: "},
			{collection + "a", "x=1", "", "the query: "},
		} {
			a := p.request(lists.Request{Path: c.path, Query: c.query, Body: []byte(c.body)})
			if a.Status != 400 || !strings.HasPrefix(a.Detail, c.member) || strings.Contains(a.Detail, "aa") || a.Body != nil {
				t.Errorf("%s?%s %s: got %d %q, want 400 naming %q", c.path, c.query, c.body, a.Status, a.Detail, c.member)
			}
		}
		p.wantCalls("refused", 0)
	})
}

func TestCollectionEnds(t *testing.T) {
	bubble(t, func(p pod) {
		r := lists.Request{Path: collection + "summer"}
		body := `{"products":[{"productId":"p1"}],"endsAt":"` + time.Now().Add(3*time.Minute).UTC().Format(time.RFC3339Nano) + `"}`
		p.v.says(fashionai.OK, body)
		p.want("first", r, 200, reco.FromAPI, body)
		p.v.says(fashionai.ServerError, "")
		time.Sleep(3*time.Minute - 1)
		p.want("just before its end", r, 200, reco.FromCache, body)
		time.Sleep(1)
		p.want("ended", r, 503, reco.FromNone, "")
		p.v.says(fashionai.OK, body)
		p.want("the API's own word", r, 200, reco.FromAPI, body)
		p.want("is not remembered", r, 200, reco.FromAPI, body)
	})
}

// The stale time ends with the collection, too.
func TestCollectionEndsWhileStale(t *testing.T) {
	bubble(t, func(p pod) {
		r := lists.Request{Path: collection + "summer"}
		body := `{"products":[],"endsAt":"` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339Nano) + `"}`
		p.v.says(fashionai.OK, body)
		p.want("first", r, 200, reco.FromAPI, body)
		p.v.says(fashionai.ServerError, "")
		time.Sleep(time.Hour - 1)
		p.want("stale", r, 200, reco.FromStale, body)
		time.Sleep(1)
		p.want("ended", r, 503, reco.FromNone, "")
	})
}

// Only the products that are not active go; the rest stays byte for byte.
func TestCollectionDropsWhatIsNotActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for given, want := range map[string]string{
			`{ "products" : [ {"productId":"a","active":true} , {"productId":2} ], "x":1}`:                     ``,
			`{"n":[{"productId":"b"}], "products": [ {"productId":"a"}, {"productId":"b","active":false} ] }`:  `{"n":[{"productId":"b"}], "products": [{"productId":"a"}] }`,
			`{"products":[{"active":false,"productId":"a"},{"productId":"ção" ,"position":2}],"endsAt":null}`:  `{"products":[{"productId":"ção" ,"position":2}],"endsAt":null}`,
			`{"products":[{"active":false,"productId":"a"}],"endsAt":"2099-01-01T00:00:00-03:00"}`:             `{"products":[],"endsAt":"2099-01-01T00:00:00-03:00"}`,
			`{"x":{"products":[{"active":false}]},"products":[{"productId":"a","active":false,"products":1}]}`: `{"x":{"products":[{"active":false}]},"products":[]}`,
		} {
			if want == "" {
				want = given
			}
			p := open(t, &vendor{class: fashionai.OK, body: given})
			a := p.want(given, lists.Request{Path: collection + "x"}, 200, reco.FromAPI, want)
			if !json.Valid(a.Body) || p.Stats().Entries != 1 {
				t.Errorf("%s: got %s, want JSON that is remembered", given, a.Body)
			}
		}
		for _, given := range []string{
			`{}`, `{"products":null}`, `{"products":{}}`, `{"products":[7]}`, `{"products":[{"active":false}]}`, `{"products":[{"productId":"a","active":"no"}]}`,
			`{"products":[],"endsAt":"soon"}`, `{"products":[],"endsAt":7}`, `{"products":[],"products":[]}`,
		} {
			p := open(t, &vendor{class: fashionai.OK, body: given})
			p.want(given, lists.Request{Path: collection + "x"}, 200, reco.FromAPI, given)
			if got := p.Stats(); got.Entries != 0 || got.Undocumented != 1 {
				t.Errorf("%s: got %+v, want it counted and not remembered", given, got)
			}
		}
	})
}
