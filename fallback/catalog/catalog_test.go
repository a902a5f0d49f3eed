package catalog_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
)

// fromFile makes a catalogue over a file with this content, and reads it.
func fromFile(t *testing.T, content string, edit ...func(*catalog.Options)) (*catalog.Catalog, error) {
	t.Helper()
	o := catalog.Defaults()
	o.File = filepath.Join(t.TempDir(), "feed")
	write(t, o.File, content)
	for _, e := range edit {
		e(&o)
	}
	c := newCatalog(t, o, nil)
	_, err := c.Refresh(t.Context())
	return c, err
}

func newCatalog(t *testing.T, o catalog.Options, store catalog.StockStore) *catalog.Catalog {
	t.Helper()
	c, err := catalog.New(o, store, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("New: got %v, want no error", err)
	}
	return c
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func stamp(t *testing.T, path string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(path, at, at); err != nil {
		t.Fatal(err)
	}
}

func push(t *testing.T, c *catalog.Catalog, id string, quantity int) {
	t.Helper()
	if err := c.Push(t.Context(), []reco.Stock{{ID: id, Quantity: quantity}}); err != nil {
		t.Fatalf("Push(%s, %d): got %v, want no error", id, quantity, err)
	}
}

const rssFeed = `<?xml version="1.0"?>
<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0">
<channel>
<title>A shop</title><link>https://shop.example</link>
<item>
  <title>Linen dress &amp; belt</title>
  <id>not-this-one</id>
  <g:id>dress-s</g:id>
  <g:item_group_id>dress</g:item_group_id>
  <g:price>129.90 BRL</g:price>
  <g:sale_price>99.90 BRL</g:sale_price>
  <g:sale_price_effective_date>2026-11-01T00:00-0300/2026-11-30T23:59-0300</g:sale_price_effective_date>
  <g:availability>in_stock</g:availability>
  <g:quantity>3</g:quantity>
  <g:size>S</g:size>
  <g:product_type><![CDATA[Women > Dresses]]></g:product_type>
  <g:shipping><g:country>BR</g:country><g:price>10.00 BRL</g:price></g:shipping>
</item>
<item>
  <g:id>dress-m</g:id>
  <g:item_group_id>dress</g:item_group_id>
  <g:price>139.90 BRL</g:price>
  <g:availability>out of stock</g:availability>
  <g:quantity>7</g:quantity>
  <g:size>M</g:size>
</item>
<item>
  <g:id>bag</g:id>
  <g:price>1500 BRL</g:price>
  <g:availability>backorder</g:availability>
  <g:quantity>0</g:quantity>
  <g:google_product_category>3032</g:google_product_category>
</item>
</channel>
</rss>`

const csvFeed = `id;item_group_id;title;price;sale_price;sale_price_effective_date;availability;quantity;size;product_type;google_product_category
dress-s;dress;"Linen dress; with
a ""belt""";129,90 BRL;99,90 BRL;2026-11-01T00:00-0300/2026-11-30T23:59-0300;in_stock;3;S;Women > Dresses;
dress-m;dress;;139,90 BRL;;;out of stock;7;M;;
bag;;;1500 BRL;;;backorder;0;;;3032
`

const tsvFeed = "\ufeffID\tg:Item Group ID\tTitle\tPrice\tSale Price\tsale_price_effective_date\tavailability\tquantity\tsize\tproduct_type\tgoogle_product_category\r\n" +
	"dress-s\tdress\t\"Linen\" dress\t129.90 BRL\t99.90 BRL\t2026-11-01T00:00-0300/2026-11-30T23:59-0300\tin_stock\t3\tS\tWomen > Dresses\t\r\n" +
	"dress-m\tdress\t\t139.90 BRL\t\t\tout of stock\t7\tM\t\t\r\n\r\n" +
	"bag\t\t\t1500 BRL\t\t\tbackorder\t0\t\t\t3032"

const ndjsonFeed = `{"id":"dress-s","item_group_id":"dress","price":{"value":"129.90","currency":"BRL"},"sale_price":"99.90 BRL",` +
	`"sale_price_effective_date":"2026-11-01T00:00-0300/2026-11-30T23:59-0300","availability":"in_stock","quantity":3,"size":"S","product_type":["Women > Dresses"],"nested":{"a":[1,{}]}}
{"id":"dress-m","item_group_id":"dress","price":"139.90 BRL","sale_price":null,"availability":"out of stock","quantity":7,"size":"M"}

{"id":"bag","price":"BRL 1,500.00","availability":"backorder","inventory":0,"google_product_category":3032}
`

func TestEveryFormatSaysTheSame(t *testing.T) {
	november := time.Date(2026, 11, 15, 12, 0, 0, 0, time.UTC)
	december := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write([]byte(rssFeed))
	_ = z.Close()

	for name, feed := range map[string]string{
		"rss": rssFeed, "csv": csvFeed, "tsv": tsvFeed, "ndjson": ndjsonFeed, "gzip": zipped.String(),
	} {
		t.Run(name, func(t *testing.T) {
			c, err := fromFile(t, feed)
			if err != nil {
				t.Fatalf("Refresh: got %v, want no error", err)
			}
			check := func(id string, at time.Time, want catalog.Product) {
				t.Helper()
				want.Known = true
				if got, ok := c.Product(id, at); !ok || got != want {
					t.Errorf("Product(%s, %s):\n got %+v, %v\nwant %+v", id, at.Month(), got, ok, want)
				}
				if got := c.Stock(id); got != want.Stock {
					t.Errorf("Stock(%s): got %+v, want %+v", id, got, want.Stock)
				}
			}
			women := "Women > Dresses"
			check("dress-s", november, catalog.Product{Stock: catalog.Stock{Quantity: 3}, Category: women, Currency: "BRL", Price: 9990, Discounted: true})
			check("dress-s", december, catalog.Product{Stock: catalog.Stock{Quantity: 3}, Category: women, Currency: "BRL", Price: 12990})
			check("dress-m", november, catalog.Product{Stock: catalog.Stock{SoldOut: true}, Currency: "BRL", Price: 13990})
			check("dress", november, catalog.Product{Stock: catalog.Stock{Quantity: 3}, Category: women, Currency: "BRL", Price: 9990, Discounted: true})
			check("bag", november, catalog.Product{Category: "3032", Currency: "BRL", Price: 150000, Complete: true})
			if got, ok := c.Product("nothing", november); ok {
				t.Errorf("Product(nothing): got %+v, want none", got)
			}
			if got, _ := c.CategoryOf("bag"); got != "3032" {
				t.Errorf("CategoryOf(bag): got %q, want 3032", got)
			}
			if got := c.Stats(); got.Products != 3 || got.Groups != 1 {
				t.Errorf("Stats: got %+v, want 3 products in 1 group", got)
			}
		})
	}
}

func TestBrokenFeedNamesTheLine(t *testing.T) {
	const head = "id\tprice\tavailability\tquantity\tsale_price_effective_date\tsale_price\n"
	good := "p1\t10.00 BRL\tin_stock\t1\t\t\n"
	for _, c := range []struct {
		name, feed, want string
	}{
		{"price", head + good + "p2\tten\tin_stock\t1\t\t\n", "line 3, column price"},
		{"ambiguous price", head + good + "p2\t1,299 BRL\tin_stock\t1\t\t\n", "line 3, column price: is ambiguous"},
		{"other currency", head + "p2\t10 BRL\tin_stock\t1\t\t9 USD\n", "line 2, column sale_price"},
		{"availability", head + good + good + "p2\t1 BRL\tmaybe\t1\t\t\n", "line 4, column availability"},
		{"quantity", head + "p2\t1 BRL\tin_stock\tfew\t\t\n", "line 2, column quantity"},
		{"dates", head + "p2\t1 BRL\tin_stock\t1\ttomorrow\t\n", "line 2, column sale_price_effective_date"},
		{"no id", head + good + "\t1 BRL\tin_stock\t1\t\t\n", "line 3, column id"},
		{"short line", head + good + "p2\t1 B", "line 3: 2 fields where the header has 6"},
		{"long id", head + strings.Repeat("x", 257) + "\t1 BRL\tin_stock\t1\t\t\n", "line 2, column id"},
		{"long line", head + good + strings.Repeat("x", 2<<20), "line 3: a product is longer than allowed"},
		{"open quote", head + good + "\"p2\t1\n2\n3\n", "line 3: a quote that is not closed"},
		{"no column id", "sku\tprice\n1\t2\n", "line 1: no column is called id"},
		{"header only", head, "no products"},
		{"empty", "", "no products"},
		{"json", "{\"id\":\"a\"}\n{\"id\":\"b\",}\n", "line 2: "},
		{"json price", "{\"id\":\"a\"}\n\n{\"id\":\"b\",\"price\":{\"amount\":1}}\n", "line 3, column price"},
		{"json line", "{\"id\":\"a\"}\n{\"id\":\"" + strings.Repeat("x", 2<<20), "line 2: a product is longer than allowed"},
		{"xml cut short", strings.SplitAfter(rssFeed, "<g:price>139")[0], "line 22: unexpected EOF"},
		{"xml price", strings.Replace(rssFeed, "139.90 BRL", "dear", 1), "line 22, column price"},
		{"xml tags", strings.Replace(rssFeed, "</channel>", "</chanel>", 1), "line 34: "},
		{"xml entity", strings.Replace(rssFeed, "&amp;", "&bomb;", 1), "line 6: invalid character entity"},
		{"xml text", strings.Replace(rssFeed, "Linen", strings.Repeat("x", 2<<20), 1), "line 6: a product is longer"},
		{"xml item", strings.Replace(rssFeed, "<title>Linen", strings.Repeat("<a>"+strings.Repeat("x", 1<<16)+"</a>", 20)+"<title>", 1), "a product is longer"},
		{"xml depth", strings.Replace(rssFeed, "<title>Linen", strings.Repeat("<a>", 40), 1), "line 6: elements nested"},
		{"a web page", "<html><body><p>Sign in</p></body></html>", "no products"},
		{"broken gzip", "\x1f\x8b\x08\x00garbage", "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cat, err := fromFile(t, c.feed)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Refresh: got %v, want an error with %q", err, c.want)
			}
			if cat.HasFeed() {
				t.Error("HasFeed: got true, want false: a broken feed must not be served")
			}
			var at *catalog.FeedError
			if strings.HasPrefix(c.want, "line") && !errors.As(err, &at) {
				t.Errorf("Refresh: got %T, want a *FeedError", err)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	feed := "id\n1\n2\n3\n"
	_, err := fromFile(t, feed, func(o *catalog.Options) { o.MaxProducts = 2 })
	if err == nil || !strings.Contains(err.Error(), "line 4: more than 2 products") {
		t.Errorf("MaxProducts: got %v, want line 4 refused", err)
	}
	_, err = fromFile(t, "id\n"+strings.Repeat("1\n", 1000), func(o *catalog.Options) { o.MaxBytes = 1024 })
	if err == nil || !strings.Contains(err.Error(), "more than 1024 bytes") {
		t.Errorf("MaxBytes: got %v, want refused", err)
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write([]byte("id\n"))
	_, _ = z.Write(bytes.Repeat([]byte("1\n"), 1<<20))
	_ = z.Close()
	_, err = fromFile(t, bomb.String(), func(o *catalog.Options) { o.MaxBytes = 1 << 20 })
	if err == nil || !strings.Contains(err.Error(), "more than 1048576 bytes") {
		t.Errorf("a gzip bomb: got %v, want refused", err)
	}
}

func TestOfTwoRowsWithOneIDTheLaterCounts(t *testing.T) {
	c, err := fromFile(t, "id,item_group_id,quantity\na,old,1\nb,,2\na,new,3\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Stock("a"); got.Quantity != 3 || c.Stats().Products != 2 {
		t.Errorf("Stock(a): got %+v of %d products, want 3 of 2", got, c.Stats().Products)
	}
	if got := c.Stock("new"); got.Quantity != 3 || c.Stock("old").Known {
		t.Errorf("the groups: got %+v and old known %v, want 3 and false", got, c.Stock("old").Known)
	}
}

func TestColumnsOfTheFeedsOwn(t *testing.T) {
	c, err := fromFile(t, "SKU,Estoque,quantity,sizes,sizes_in_stock\na,4,9,\"P, M,G\",M|G|P\nb,,9,P|M,P\nc,0,9,,\n", func(o *catalog.Options) {
		o.Columns = map[string]string{"id": "sku", "quantity": "estoque"}
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]catalog.Product{
		"a": {Stock: catalog.Stock{Known: true, Quantity: 4}, Price: -1, Complete: true},
		"b": {Stock: catalog.Stock{Known: true, Quantity: 9}, Price: -1},
		"c": {Stock: catalog.Stock{Known: true, SoldOut: true}, Price: -1},
	} {
		if got, _ := c.Product(id, time.Time{}); got != want {
			t.Errorf("Product(%s): got %+v, want %+v", id, got, want)
		}
	}
}

func TestAtom(t *testing.T) {
	c, err := fromFile(t, `<feed xmlns="http://www.w3.org/2005/Atom" xmlns:x="http://base.google.com/ns/1.0">
<entry><id>tag:shop.example,2026:1</id><x:id>a</x:id><x:quantity>2</x:quantity></entry></feed>`)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Stock("a"); got.Quantity != 2 || c.Stats().Products != 1 {
		t.Errorf("Stock(a): got %+v of %d products, want 2 of 1", got, c.Stats().Products)
	}
}

func TestABrokenFeedIsLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := catalog.Defaults()
		o.File = filepath.Join(t.TempDir(), "feed.csv")
		write(t, o.File, "id,quantity\na,many\n")
		var out bytes.Buffer
		c, err := catalog.New(o, nil, slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var done sync.WaitGroup
		done.Go(func() { _ = c.Run(ctx) })
		time.Sleep(time.Hour)
		write(t, o.File, "id,quantity\na,17\n")
		time.Sleep(time.Minute)
		cancel()
		done.Wait()
		log := out.String()
		if broken := strings.Count(log, "line 2, column quantity"); broken != 1 || strings.Count(log, "products=1") != 1 {
			t.Errorf("got %d lines about the broken feed, want 1, and 1 about the good one:\n%s", broken, log)
		}
		if got := c.Stock("a"); got.Quantity != 17 {
			t.Errorf("Stock(a): got %+v, want 17", got)
		}
	})
}

func TestLatin1(t *testing.T) {
	c, err := fromFile(t, "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<rss><channel><item><id>a</id><product_type>Cal\xe7as</product_type></item></channel></rss>")
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := c.CategoryOf("a"); got != "Calças" {
		t.Errorf("CategoryOf: got %q, want Calças", got)
	}
}

func TestFileIsReadAgainWhenItChanges(t *testing.T) {
	o := catalog.Defaults()
	o.File = filepath.Join(t.TempDir(), "feed.csv")
	c := newCatalog(t, o, nil)
	refresh := func(wantChanged bool, wantErr string) {
		t.Helper()
		changed, err := c.Refresh(t.Context())
		if changed != wantChanged || (err == nil) != (wantErr == "") || err != nil && !strings.Contains(err.Error(), wantErr) {
			t.Errorf("Refresh: got %v, %v, want %v, %q", changed, err, wantChanged, wantErr)
		}
	}
	refresh(false, "no such file")
	if c.Ready() {
		t.Error("Ready: got true, want false before the first feed")
	}
	now := time.Now().Add(-time.Hour)
	write(t, o.File, "id,quantity\na,1\nb,2\n")
	stamp(t, o.File, now)
	refresh(true, "")
	refresh(false, "")
	write(t, o.File, "id,quantity\na,x\nb,2\n")
	stamp(t, o.File, now.Add(time.Minute))
	refresh(false, "line 2, column quantity")
	refresh(false, "line 2, column quantity")
	if got := c.Stock("a"); !c.Ready() || got.Quantity != 1 || c.Stats().Err == nil {
		t.Errorf("Stock(a) after a broken feed: got %+v, want the last good one", got)
	}
	write(t, o.File, "id,quantity\na,5\n")
	stamp(t, o.File, now.Add(2*time.Minute))
	refresh(true, "")
	if got := c.Stock("a"); got.Quantity != 5 || c.Stock("b").Known {
		t.Errorf("Stock(a): got %+v, want 5, and b gone", got)
	}
	if got := c.Stats(); !got.FeedTime.Equal(now.Add(2*time.Minute)) || got.Err != nil {
		t.Errorf("Stats: got %+v, want the file's time and no error", got)
	}
}

func TestAFeedCutShortIsRefused(t *testing.T) {
	for _, allowed := range []bool{false, true} {
		o := catalog.Defaults()
		o.File = filepath.Join(t.TempDir(), "feed.csv")
		o.AllowShrink = allowed
		c := newCatalog(t, o, nil)
		write(t, o.File, "id\na\nb\nc\n")
		if _, err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		write(t, o.File, "id\na\n")
		_, err := c.Refresh(t.Context())
		if got, want := err == nil, allowed; got != want || c.Stock("b").Known == allowed {
			t.Errorf("AllowShrink %v: got %v, b known %v", allowed, err, c.Stock("b").Known)
		}
	}
}

func TestURL(t *testing.T) {
	edition := "one"
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Header.Get("If-None-Match")+" "+r.Header.Get("X-Key"))
		w.Header().Set("ETag", `"`+edition+`"`)
		w.Header().Set("Last-Modified", "Sat, 21 Nov 2026 10:00:00 GMT")
		switch {
		case r.URL.Path == "/away":
			http.Redirect(w, r, "http://localhost:1/feed", http.StatusFound)
		case edition == "gone":
			w.WriteHeader(http.StatusServiceUnavailable)
		case r.Header.Get("If-None-Match") == `"`+edition+`"`:
			w.WriteHeader(http.StatusNotModified)
		default:
			_, _ = w.Write([]byte("id,quantity\n" + edition + ",1\n"))
		}
	}))
	defer server.Close()
	o := catalog.Defaults()
	o.URL = server.URL + "/feed"
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, "secret\n")
	o.Headers = map[string]string{"X-Key": "file:" + key}
	c := newCatalog(t, o, nil)
	for i, step := range []struct {
		edition     string
		wantChanged bool
		wantErr     string
		wantKnown   string
		wantSeen    string
	}{
		{"one", true, "", "one", " secret"},
		{"one", false, "", "one", `"one" secret`},
		{"two", true, "", "two", `"one" secret`},
		{"gone", false, "503", "two", `"two" secret`},
	} {
		edition = step.edition
		changed, err := c.Refresh(t.Context())
		if changed != step.wantChanged || (err == nil) != (step.wantErr == "") || err != nil && !strings.Contains(err.Error(), step.wantErr) {
			t.Errorf("step %d: got %v, %v, want %v, %q", i, changed, err, step.wantChanged, step.wantErr)
		}
		if !c.Stock(step.wantKnown).Known || seen[len(seen)-1] != step.wantSeen {
			t.Errorf("step %d: got headers %q, want %q and %s known", i, seen[len(seen)-1], step.wantSeen, step.wantKnown)
		}
	}
	if got, want := c.Stats().FeedTime, time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC); !got.Equal(want) {
		t.Errorf("FeedTime: got %s, want %s", got, want)
	}
	o.URL = server.URL + "/away"
	if _, err := newCatalog(t, o, nil).Refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "must not see the headers") {
		t.Errorf("a redirect with headers: got %v, want it refused", err)
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := catalog.Options{File: "a", URL: "ftp://b", Format: "xls", Columns: map[string]string{"colour": "cor"}}.Validate()
	for _, want := range []string{"file and url", "url:", "format:", "columns:", "refresh:", "timeout:", "max_bytes:", "max_record:", "max_products:", "stock_life:", "max_pushed:"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: got %v, want it to name %q", err, want)
		}
	}
	if err := catalog.Defaults().Validate(); err != nil {
		t.Errorf("Defaults: got %v, want valid", err)
	}
}
