package fakeshop_test

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/fakeshop"
	"vitrine/bench/shopdata"
)

func start(t *testing.T) *fakeshop.Server {
	t.Helper()
	shop, err := fakeshop.Start(fakeshop.Options{Catalogue: shopdata.New(1, 300, 4)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shop.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	return shop
}

type answer struct {
	status int
	header http.Header
	body   []byte
	ids    []string
	total  int
}

// get asks once, on a connection of its own.
func get(t *testing.T, shop *fakeshop.Server, path, etag string) (a answer, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, shop.URL()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(r)
	if err != nil {
		return a, err
	}
	a.status, a.header = response.StatusCode, response.Header
	a.body, err = io.ReadAll(response.Body)
	var list struct {
		Items []struct{ ProductID string }
		Total int
	}
	if json.Unmarshal(a.body, &list) == nil {
		a.total = list.Total
		for _, item := range list.Items {
			a.ids = append(a.ids, item.ProductID)
		}
	}
	return a, errors.Join(err, response.Body.Close())
}

func must(t *testing.T, shop *fakeshop.Server, path string) answer {
	t.Helper()
	a, err := get(t, shop, path, "")
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return a
}

func TestLists(t *testing.T) {
	shop := start(t)
	catalogue := shop.Catalogue()
	category, _ := catalogue.Category("c2")
	for path, want := range map[string][]string{
		"/native?category=c2":                   category.Products[:50],
		"/native?category=c2&page=2":            category.Products[50:],
		"/native?category=c2&limit=10&page=3":   category.Products[20:30],
		"/native?category=c2&page=99":           nil,
		"/native?category=c2&limit=999":         category.Products,
		"/native?category=c2&page=999999999999": nil,
		"/similar?product=p7":                   catalogue.Similar("p7"),
		"/shelf":                                catalogue.BestSellers()[:24],
	} {
		if a := must(t, shop, path); a.status != 200 || !slices.Equal(a.ids, want) {
			t.Errorf("%s: got %d %v, want %v", path, a.status, a.ids, want)
		}
	}
	for path, want := range map[string]int{
		"/native?category=none": 404, "/native": 404, "/similar?product=none": 404, "/elsewhere": 404,
		"/native?category=c2&page=0": 400, "/native?category=c2&limit=x": 400,
	} {
		if a := must(t, shop, path); a.status != want {
			t.Errorf("%s: got %d, want %d", path, a.status, want)
		}
	}
	if got := must(t, shop, "/native?category=c2&limit=1").total; got != 75 {
		t.Errorf("got a total of %d, want 75", got)
	}
}

func TestDisabledAndSoldOut(t *testing.T) {
	shop := start(t)
	category, _ := shop.Catalogue().Category("c1")
	first, second := category.Products[0], category.Products[1]
	shop.Disable(first, "unheard-of")
	shop.SellOut(second)
	want := category.Products[1:51]
	if a := must(t, shop, "/native?category=c1"); !slices.Equal(a.ids, want) || a.total != 74 {
		t.Errorf("got %v of %d, want it without %s", a.ids, a.total, first)
	}
	for _, row := range table(t, must(t, shop, "/feed.tsv").body, '\t') {
		switch row["item_group_id"] {
		case first:
			t.Errorf("got the disabled %s in the feed", first)
		case second:
			if row["availability"] != "out_of_stock" || row["quantity"] != "0" {
				t.Errorf("got %v, want it out of stock", row)
			}
		}
	}
	shop.Enable(first)
	shop.Restock(second)
	if a := must(t, shop, "/native?category=c1"); !slices.Equal(a.ids, category.Products[:50]) {
		t.Errorf("got %v, want the merchant's order again", a.ids)
	}
	p, _ := shop.Catalogue().Product(second)
	for _, row := range table(t, must(t, shop, "/feed.tsv").body, '\t') {
		if i := slices.IndexFunc(p.Variants, func(v shopdata.Variant) bool { return row["id"] == second+"-"+v.Size }); i >= 0 &&
			row["quantity"] != strconv.Itoa(p.Variants[i].Quantity) {
			t.Errorf("got %v, want the catalogue's stock %d", row, p.Variants[i].Quantity)
		}
	}
}

// All four formats must tell the same.
func TestFeeds(t *testing.T) {
	shop := start(t)
	want := table(t, must(t, shop, "/feed.tsv").body, '\t')
	if got := len(want); got != 300*5 {
		t.Fatalf("got %d rows, want one for each of 5 sizes of 300 products", got)
	}
	p, _ := shop.Catalogue().Product("p1")
	if row := want[0]; row["id"] != "p1-PP" || row["item_group_id"] != "p1" || row["category"] != "c1" || row["title"] != p.Title ||
		row["price"] != strconv.Itoa(p.Price/100)+".90 BRL" {
		t.Errorf("got first row %v", row)
	}
	feeds := map[string][]map[string]string{"csv": table(t, must(t, shop, "/feed.csv").body, ',')}
	for line := range strings.Lines(string(must(t, shop, "/feed.ndjson").body)) {
		var row map[string]string
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		feeds["ndjson"] = append(feeds["ndjson"], row)
	}
	var rss struct {
		Items []struct {
			Fields []struct {
				XMLName xml.Name
				Value   string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"channel>item"`
	}
	if err := xml.Unmarshal(must(t, shop, "/feed.xml").body, &rss); err != nil {
		t.Fatal(err)
	}
	for _, item := range rss.Items {
		row := make(map[string]string)
		for _, field := range item.Fields {
			if field.XMLName.Space != "http://base.google.com/ns/1.0" {
				t.Fatalf("got namespace %q", field.XMLName.Space)
			}
			row[field.XMLName.Local] = field.Value
		}
		feeds["xml"] = append(feeds["xml"], row)
	}
	for format, got := range feeds {
		if len(got) != len(want) {
			t.Errorf("%s: got %d rows, want %d", format, len(got), len(want))
			continue
		}
		for i := range want {
			for column, value := range want[i] {
				if got[i][column] != value {
					t.Fatalf("%s, row %d: got %s %q, want %q", format, i, column, got[i][column], value)
				}
			}
		}
	}
}

func TestETags(t *testing.T) {
	shop := start(t)
	for _, path := range []string{"/native?category=c1", "/shelf", "/feed.tsv", "/feed.xml"} {
		first := must(t, shop, path)
		etag := first.header.Get("ETag")
		again, err := get(t, shop, path, etag)
		if err != nil || etag == "" || again.status != http.StatusNotModified || len(again.body) != 0 {
			t.Errorf("%s: got %d for ETag %q, %v, want 304", path, again.status, etag, err)
		}
		best := slices.Concat(shop.Catalogue().BestSellers()[:1], shop.Catalogue().Categories[0].Products[:1])
		shop.Disable(best...)
		changed, err := get(t, shop, path, etag)
		if err != nil || changed.status != 200 || changed.header.Get("ETag") == etag {
			t.Errorf("%s: got %d %s after a change, %v, want 200 and another ETag", path, changed.status, changed.header.Get("ETag"), err)
		}
		shop.Enable(best...)
		if back, err := get(t, shop, path, etag); err != nil || back.status != http.StatusNotModified {
			t.Errorf("%s: got %d after it was undone, %v, want 304", path, back.status, err)
		}
	}
	if got := shop.Stats(); got.NotModified != 8 || got.Requests["/shelf"] != 4 {
		t.Errorf("got %+v, want 8 not modified and 4 for the shelf", got)
	}
}

func TestFaults(t *testing.T) {
	shop := start(t)
	well := must(t, shop, "/shelf")

	shop.Set(fakeshop.Fault{Down: true})
	if _, err := get(t, shop, "/shelf", ""); !errors.Is(err, io.EOF) {
		t.Errorf("down: got %v, want the end of the connection", err)
	}
	shop.Set(fakeshop.Fault{Errors: true})
	if a := must(t, shop, "/shelf"); a.status != 200 || !strings.Contains(string(a.body), `"errors":[`) || len(a.ids) == 0 {
		t.Errorf("errors: got %d %s, want 200 with errors beside a list", a.status, a.body)
	}
	shop.Set(fakeshop.Fault{Empty: true})
	if a := must(t, shop, "/shelf"); string(a.body) != `{"items":[],"total":0}` {
		t.Errorf("empty: got %s", a.body)
	}
	if rows := table(t, must(t, shop, "/feed.csv").body, ','); len(rows) != 0 {
		t.Errorf("empty: got %d rows, want none", len(rows))
	}
	shop.Clear()
	if a := must(t, shop, "/shelf"); string(a.body) != string(well.body) {
		t.Errorf("well again: got %s, want %s", a.body, well.body)
	}
	if got := shop.Stats().Requests["/shelf"]; got != 5 {
		t.Errorf("got %d requests, want 5", got)
	}
}

func TestDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := fakeshop.New(fakeshop.Options{Catalogue: shopdata.New(1, 40, 2)})
		shop.Set(fakeshop.Fault{Delay: 3 * time.Second})
		began := time.Now()
		w := httptest.NewRecorder()
		shop.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/shelf", nil))
		if got, want := time.Since(began), 3*time.Second; got != want || w.Code != http.StatusOK {
			t.Errorf("got %d after %v, want 200 after %v", w.Code, got, want)
		}
	})
}

// A shop that is slow must still close at once.
func TestCloseEndsSlowCalls(t *testing.T) {
	shop, err := fakeshop.Start(fakeshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shop.Set(fakeshop.Fault{Delay: time.Hour})
	var calls sync.WaitGroup
	for range 5 {
		calls.Go(func() {
			if _, err := get(t, shop, "/shelf", ""); err == nil {
				t.Error("got an answer, want none")
			}
		})
	}
	for deadline := time.Now().Add(10 * time.Second); shop.Stats().Requests["/shelf"] < 5; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the calls never arrived")
		}
	}
	if err := shop.Close(); err != nil {
		t.Errorf("closing: %v", err)
	}
	calls.Wait()
}

// table reads a feed with a header line.
func table(t *testing.T, body []byte, comma rune) (rows []map[string]string) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(string(body)))
	r.Comma = comma
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines[1:] {
		row := make(map[string]string)
		for i, name := range lines[0] {
			row[name] = line[i]
		}
		rows = append(rows, row)
	}
	return rows
}
