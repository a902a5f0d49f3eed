package platform_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"vitrine/fallback/platform"
)

// The answers below are written from the platforms' published schemas, with the
// members that surround the ids left in where they could mislead a path. None was
// recorded from a live shop.

// exchange is one request a preset must make, and the platform's answer to it.
type exchange struct {
	request   string // method and target
	variables string // of a GraphQL request
	status    int    // 0 = 200
	answer    string
}

type presetCase struct {
	list      platform.List
	id        string
	exchanges []exchange
	want      []string
	kind      platform.Kind // of the error, 0 = none
}

func TestVTEX(t *testing.T) {
	o := platform.Options{Kind: "vtex", Vars: map[string]string{"account": "loja"}}
	const first = "GET /api/catalog_system/pub/products/search?fq=C%3A%2F1%2F27%2F&O=OrderByScoreDESC&_from=0&_to=49"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "1/27",
		exchanges: []exchange{{
			request: first, status: http.StatusPartialContent,
			answer: `[{"productId":"31","productName":"Vestido","items":[{"itemId":"310","productId":"no"}]},{"productId":"7","items":[]}]`,
		}},
		want: []string{"31", "7"},
	}, {
		list: platform.Similar, id: "31",
		exchanges: []exchange{{
			request: "GET /api/catalog_system/pub/products/crossselling/similars/31",
			answer:  `[{"productId":"8"},{"productId":"9"}]`,
		}},
		want: []string{"8", "9"},
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: "GET /api/catalog_system/pub/products/search?O=OrderByTopSaleDESC&_from=0&_to=49",
			answer:  `[]`,
		}},
	}, {
		list: platform.Category, id: "1/27",
		exchanges: []exchange{{request: first, answer: `{"errors":[{"message":"Scripts are not allowed"}],"data":[{"productId":"1"}]}`}},
		kind:      platform.BadAnswer,
	}, {
		list: platform.Category, id: "1/27",
		exchanges: []exchange{{request: first, answer: `"Request was throttled"`}},
		kind:      platform.BadAnswer,
	}})
}

func TestVTEXIntelligentSearch(t *testing.T) {
	o := platform.Options{Kind: "vtex-is", Vars: map[string]string{"account": "loja"}}
	const how = "?count=50&page=1&hideUnavailableItems=true&simulationBehavior=skip"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "vestidos",
		exchanges: []exchange{{
			request: "GET /api/intelligent-search/v1/product-search/category-1/vestidos" + how,
			answer: `{"products":[{"cacheId":"sp-5","productId":"5","link":"/p"},{"productId":"3"}],"recordsFiltered":2,
				"correction":{"misspelled":false},"pagination":{"count":1,"current":{"index":1}}}`,
		}},
		want: []string{"5", "3"},
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: "GET /api/intelligent-search/v1/product-search/" + how + "&sort=orders%3Adesc",
			answer:  `{"products":[{"productId":"1"}]}`,
		}},
		want: []string{"1"},
	}, {
		list: platform.Category, id: "vestidos",
		exchanges: []exchange{{
			request: "GET /api/intelligent-search/v1/product-search/category-1/vestidos" + how,
			answer:  `{"message":"Internal error","code":"INTERNAL"}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestShopify(t *testing.T) {
	o := platform.Options{
		Kind: "shopify", Vars: map[string]string{"shop": "loja"}, Pages: 2,
		Headers: map[string]string{"X-Shopify-Storefront-Access-Token": "t"},
	}
	const target = "POST /api/2026-04/graphql.json"
	collection := func(more, end, ids string) string {
		return `{"data":{"collection":{"products":{"nodes":[` + ids + `],"pageInfo":{"hasNextPage":` + more + `,"endCursor":` + end + `}}}},
			"extensions":{"cost":{"requestedQueryCost":12}}}`
	}
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: `ver"ão`,
		exchanges: []exchange{
			{
				request: target, variables: `{"handle":"ver\"ão","first":250,"after":null}`,
				answer: collection("true", `"c1"`, `{"id":"gid://shopify/Product/123"},{"id":"gid://shopify/Product/9"}`),
			},
			{
				request: target, variables: `{"handle":"ver\"ão","first":250,"after":"c1"}`,
				answer: collection("true", `"c2"`, `{"id":"gid://shopify/Product/9"},{"id":"gid://shopify/Product/4"}`),
			},
		},
		want: []string{"123", "9", "4"},
	}, {
		list: platform.Similar, id: "123",
		exchanges: []exchange{{
			request: target, variables: `{"id":"gid://shopify/Product/123"}`,
			answer: `{"data":{"productRecommendations":[{"id":"gid://shopify/Product/5"}]}}`,
		}},
		want: []string{"5"},
	}, {
		list: platform.Similar, id: "nobody's", kind: platform.NotFound, // not a number: not asked
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: target, variables: `{"first":250,"after":null}`,
			answer: `{"data":{"products":{"nodes":[{"id":"gid://shopify/Product/1"}],"pageInfo":{"hasNextPage":false,"endCursor":"c"}}}}`,
		}},
		want: []string{"1"},
	}, {
		list: platform.Category, id: "gone",
		exchanges: []exchange{{
			request: target, variables: `{"handle":"gone","first":250,"after":null}`,
			answer: `{"data":{"collection":null}}`,
		}},
		kind: platform.NotFound,
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: target, variables: `{"first":250,"after":null}`,
			answer: `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}]}`,
		}},
		kind: platform.Throttled,
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: target, variables: `{"first":250,"after":null}`,
			answer: `{"data":{"products":{"nodes":[],"pageInfo":{"hasNextPage":false,"endCursor":null}}},
				"errors":[{"message":"Internal error. Looks like something went wrong on our end."}]}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestNuvemshop(t *testing.T) {
	o := platform.Options{
		Kind: "nuvemshop", Vars: map[string]string{"store": "99"}, Rate: 1e9,
		Headers: map[string]string{"Authentication": "bearer t", "User-Agent": "Loja (ti@loja.example)"},
	}
	const search = "GET /v1/99/products?per_page=200&page=1&published=true&fields=id"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "12",
		exchanges: []exchange{{request: search + "&sort_by=user&category_id=12", answer: `[{"id":7890},{"id":1234}]`}},
		want:      []string{"7890", "1234"},
	}, {
		list:      platform.Shelf,
		exchanges: []exchange{{request: search + "&sort_by=best-selling", answer: `[{"id":1}]`}},
		want:      []string{"1"},
	}, {
		list: platform.Similar, id: "7890", kind: platform.NotFound, // it has none
	}, {
		list: platform.Category, id: "12",
		exchanges: []exchange{{
			request: search + "&sort_by=user&category_id=12",
			answer:  `{"code":401,"message":"Unauthorized","description":"Invalid access token"}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestWooCommerce(t *testing.T) {
	o := platform.Options{Kind: "woocommerce"}
	const products = "GET /wp-json/wc/store/v1/products"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "22",
		exchanges: []exchange{{
			request: products + "?per_page=100&page=1&category=22&orderby=menu_order&order=asc",
			answer:  `[{"id":34,"name":"WordPress Pennant","categories":[{"id":22}]},{"id":30}]`,
		}},
		want: []string{"34", "30"},
	}, {
		list: platform.Similar, id: "34",
		exchanges: []exchange{{request: products + "?related=34", answer: `[{"id":30}]`}},
		want:      []string{"30"},
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: products + "?per_page=100&page=1&orderby=popularity&order=desc",
			answer:  `[{"id":9}]`,
		}},
		want: []string{"9"},
	}, {
		list: platform.Similar, id: "34",
		exchanges: []exchange{{
			request: products + "?related=34",
			answer:  `{"code":"rest_no_route","message":"No route was found","data":{"status":404}}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestMagento(t *testing.T) {
	o := platform.Options{Kind: "magento"}
	const target = "POST /graphql"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "27",
		exchanges: []exchange{
			{
				request: target, variables: `{"id":"27","size":100,"page":1}`,
				answer: `{"data":{"products":{"items":[{"sku":"VT11"},{"sku":"VT10"}],"page_info":{"total_pages":2}}}}`,
			},
			{
				request: target, variables: `{"id":"27","size":100,"page":2}`,
				answer: `{"data":{"products":{"items":[{"sku":"24-MB01"}],"page_info":{"total_pages":2}}}}`,
			},
		},
		want: []string{"VT11", "VT10", "24-MB01"},
	}, {
		list: platform.Similar, id: "VT11",
		exchanges: []exchange{{
			request: target, variables: `{"sku":"VT11"}`,
			answer: `{"data":{"products":{"items":[{"related_products":[{"sku":"VT1"},{"sku":"VT2"}]}]}}}`,
		}},
		want: []string{"VT1", "VT2"},
	}, {
		list: platform.Similar, id: "none",
		exchanges: []exchange{{request: target, variables: `{"sku":"none"}`, answer: `{"data":{"products":{"items":[]}}}`}},
		kind:      platform.NotFound,
	}, {
		list: platform.Category, id: "27",
		exchanges: []exchange{{
			request: target, variables: `{"id":"27","size":100,"page":1}`,
			answer: `{"errors":[{"message":"currentPage value 9 specified is greater than the 2 page(s) available.",
				"extensions":{"category":"graphql-input"}}],"data":{"products":null}}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestWake(t *testing.T) {
	o := platform.Options{Kind: "wake", Headers: map[string]string{"TCS-Access-Token": "t"}}
	const target = "POST /graphql"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "27",
		exchanges: []exchange{{
			request: target, variables: `{"id":27,"first":50,"after":null}`,
			answer: `{"data":{"products":{"nodes":[{"productId":1042},{"productId":77}],"pageInfo":{"hasNextPage":false,"endCursor":"MQ=="}}}}`,
		}},
		want: []string{"1042", "77"},
	}, {
		list: platform.Similar, id: "1042",
		exchanges: []exchange{{
			request: target, variables: `{"id":1042}`,
			answer: `{"data":{"productRecommendations":[{"productId":5}]}}`,
		}},
		want: []string{"5"},
	}, {
		list: platform.Similar, id: `1}) { x } #`, kind: platform.NotFound, // not a number: not asked
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: target, variables: `{"first":50,"after":null}`,
			answer: `{"errors":[{"message":"The current user is not authorized to access this resource.",
				"extensions":{"code":"AUTH_NOT_AUTHORIZED"}}],"data":{"products":null}}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestTray(t *testing.T) {
	o := platform.Options{Kind: "tray", Vars: map[string]string{"token": "a+b"}, Rate: 1e9}
	const target = "GET /products?access_token=a%2Bb&category_id=4&available=1&limit=50&page=1"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "4",
		exchanges: []exchange{{
			request: target,
			answer:  `{"paging":{"total":2,"page":1,"limit":50},"Products":[{"Product":{"id":"123"}},{"Product":{"id":"45"}}]}`,
		}},
		want: []string{"123", "45"},
	}, {
		list: platform.Category, id: "4",
		exchanges: []exchange{{request: target, answer: `{"code":1099,"message":"Token expirado","url":"/products"}`}},
		kind:      platform.BadAnswer,
	}})
}

func TestVendure(t *testing.T) {
	o := platform.Options{Kind: "vendure"}
	const target = "POST /shop-api"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "dresses",
		exchanges: []exchange{{
			request: target, variables: `{"slug":"dresses","take":100,"skip":0}`,
			answer: `{"data":{"search":{"items":[{"productId":"2"},{"productId":"11"}]}}}`,
		}},
		want: []string{"2", "11"},
	}, {
		list: platform.Category, id: "unknown",
		exchanges: []exchange{{
			request: target, variables: `{"slug":"unknown","take":100,"skip":0}`,
			answer: `{"data":{"search":{"items":[]}}}`,
		}},
	}, {
		list: platform.Shelf,
		exchanges: []exchange{{
			request: target, variables: `{"take":100,"skip":0}`,
			answer: `{"errors":[{"message":"error.channel-not-found","extensions":{"code":"CHANNEL_NOT_FOUND"},"path":["search"]}],"data":null}`,
		}},
		kind: platform.BadAnswer,
	}})
}

func TestMedusa(t *testing.T) {
	o := platform.Options{Kind: "medusa", Headers: map[string]string{"x-publishable-api-key": "pk_1"}}
	const target = "GET /store/products?category_id%5B%5D=pcat_1&fields=id&limit=100&offset=0"
	testPreset(t, o, []presetCase{{
		list: platform.Category, id: "pcat_1",
		exchanges: []exchange{{request: target, answer: `{"products":[{"id":"prod_2"},{"id":"prod_1"}],"count":2,"offset":0,"limit":100}`}},
		want:      []string{"prod_2", "prod_1"},
	}, {
		list: platform.Category, id: "pcat_1",
		exchanges: []exchange{{request: target, answer: `{"type":"not_allowed","message":"Publishable API key required"}`}},
		kind:      platform.BadAnswer,
	}})
}

func testPreset(t *testing.T, o platform.Options, cases []presetCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.list.String()+" "+c.id, func(t *testing.T) {
			shop := newShop(t, o, c.exchanges)
			c.check(t, shop.client(t, o))
			if len(shop.left) > 0 {
				t.Errorf("%d requests were not made", len(shop.left))
			}
		})
	}
}

func (c presetCase) check(t *testing.T, client *platform.Client) {
	t.Helper()
	got, err := client.Fetch(t.Context(), platform.Query{List: c.list, ID: c.id})
	if platform.KindOf(err) != c.kind || (err != nil) != (c.kind != 0) {
		t.Fatalf("got error %v, want one of kind %v", err, c.kind)
	}
	if !slices.Equal(got.IDs, c.want) {
		t.Errorf("got %q, want %q", got.IDs, c.want)
	}
}

// shop plays the platform: it expects the exchanges one after the other.
type shop struct {
	t      *testing.T
	server *httptest.Server
	opt    platform.Options
	left   []exchange
}

func newShop(t *testing.T, o platform.Options, exchanges []exchange) *shop {
	t.Helper()
	s := &shop{t: t, opt: o, left: exchanges}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

func (s *shop) client(t *testing.T, o platform.Options) *platform.Client {
	t.Helper()
	vars := map[string]string{"base": s.server.URL}
	maps.Copy(vars, o.Vars)
	o.Vars = vars
	client, err := platform.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || len(s.left) == 0 {
		s.t.Errorf("a request too many: %s %s (%v)", r.Method, r.RequestURI, err)
		return
	}
	next := s.left[0]
	s.left = s.left[1:]
	if got := r.Method + " " + r.RequestURI; got != next.request {
		s.t.Errorf("got request %s, want %s", got, next.request)
	}
	for name, want := range s.opt.Headers {
		if got := r.Header.Get(name); got != want {
			s.t.Errorf("got header %s %q, want %q", name, got, want)
		}
	}
	if r.Method == http.MethodPost {
		s.checkBody(body, next)
	}
	if next.status != 0 {
		w.WriteHeader(next.status)
	}
	io.WriteString(w, next.answer)
}

func (s *shop) checkBody(body []byte, want exchange) {
	var got struct {
		Query     string          `json:"query"`
		Variables json.RawMessage `json:"variables"`
	}
	if err := json.Unmarshal(body, &got); err != nil {
		s.t.Errorf("got body %s: %v", body, err)
		return
	}
	if !strings.HasPrefix(got.Query, "query Native") || strings.Count(got.Query, "{") != strings.Count(got.Query, "}") {
		s.t.Errorf("got query %s", got.Query)
	}
	if have, should := normal(s.t, got.Variables), normal(s.t, []byte(want.variables)); !bytes.Equal(have, should) {
		s.t.Errorf("got variables %s, want %s", have, should)
	}
	for _, name := range variableNames(s.t, got.Variables) {
		if strings.Count(got.Query, "$"+name) < 2 {
			s.t.Errorf("variable %s is not declared and used in %s", name, got.Query)
		}
	}
}

// normal writes JSON with its members sorted.
func normal(t *testing.T, text []byte) []byte {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func variableNames(t *testing.T, text []byte) []string {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	var names []string
	for name := range v {
		names = append(names, name)
	}
	return names
}
