//go:build !race

package catalog

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strconv"
	"testing"
	"time"

	"vitrine/internal/reco"
)

const (
	productsOfALargeShop = 100_000
	rowsOfAGroup         = 5
)

// generated is a feed of n products that is made while it is read, so that only
// what the catalogue keeps is in memory.
type generated struct {
	format string
	n      int
	i      int // of the next
	rest   []byte
}

func (g *generated) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if g.i > g.n+1 {
			return 0, io.EOF
		}
		g.rest = g.appendNext(g.rest[:0])
		g.i++
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

const description = "A dress of washed linen with a belt, cut wide, in the colours of the season, made to last and to be worn with anything."

func (g *generated) appendNext(dst []byte) []byte {
	i := g.i - 1
	switch {
	case g.format == "tsv" && g.i == 0:
		return append(dst, "id\ttitle\tdescription\tlink\titem_group_id\tprice\tsale_price\tavailability\tquantity\tsize\tproduct_type\n"...)
	case g.format == "rss" && g.i == 0:
		return append(dst, `<rss xmlns:g="http://base.google.com/ns/1.0"><channel>`...)
	case i >= g.n && g.format == "rss":
		return append(dst, `</channel></rss>`...)
	case i >= g.n:
		return dst
	case g.format == "tsv":
		return fmt.Appendf(dst, "sku-%d\tDress %d\t%s\thttps://shop.example/p/%d\tgroup-%d\t%d.90 BRL\t\tin_stock\t%d\t%d\tWomen > Dresses > %d\n",
			i, i, description, i, i/rowsOfAGroup, 100+i%900, i%50, i%rowsOfAGroup, i%300)
	default:
		return fmt.Appendf(dst, "<item><title>Dress %d</title><description>%s</description><link>https://shop.example/p/%d</link>"+
			"<g:id>sku-%d</g:id><g:item_group_id>group-%d</g:item_group_id><g:price>%d.90 BRL</g:price><g:availability>in_stock</g:availability>"+
			"<g:quantity>%d</g:quantity><g:size>%d</g:size><g:product_type>Women &gt; Dresses &gt; %d</g:product_type></item>\n",
			i, description, i, i, i/rowsOfAGroup, 100+i%900, i%50, i%rowsOfAGroup, i%300)
	}
}

func heap() (bytes, objects uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.HeapObjects
}

// A large shop's feed stays small in memory, and reading it needs little more: a
// feed of any length is streamed.
func TestMemoryOfALargeFeed(t *testing.T) {
	for _, format := range []string{"tsv", "rss"} {
		t.Run(format, func(t *testing.T) {
			bytesBefore, objectsBefore := heap()
			began := time.Now()
			s, err := parse(t.Context(), &generated{format: format, n: productsOfALargeShop}, Defaults())
			if err != nil {
				t.Fatal(err)
			}
			took := time.Since(began)
			bytesAfter, objectsAfter := heap()
			held := float64(bytesAfter-bytesBefore) / productsOfALargeShop
			objects := float64(objectsAfter-objectsBefore) / productsOfALargeShop
			t.Logf("%.0f bytes and %.2f objects a product (%d bytes by its own count), read in %s", held, objects, s.bytes(), took)
			if held > 160 {
				t.Errorf("got %.0f bytes a product, want at most 160", held)
			}
			if objects > 0.5 { // the ids of the groups
				t.Errorf("got %.2f objects a product for the garbage collector to visit, want at most 0.5", objects)
			}
			if own := float64(s.bytes()); own < 0.7*float64(bytesAfter-bytesBefore) || own > 1.2*float64(bytesAfter-bytesBefore) {
				t.Errorf("bytes: got %.0f, where the heap grew by %d", own, bytesAfter-bytesBefore)
			}
			if len(s.rows) != productsOfALargeShop || len(s.groups) != productsOfALargeShop/rowsOfAGroup {
				t.Errorf("got %d rows in %d groups", len(s.rows), len(s.groups))
			}
			runtime.KeepAlive(s)
		})
	}
}

func TestLookUpsDoNotAllocate(t *testing.T) {
	c := &Catalog{options: Defaults(), log: slog.New(slog.DiscardHandler), pushes: newPushes()}
	ids := make([]string, 1000)
	for i := range ids {
		ids[i] = "sku-" + strconv.Itoa(i)
	}
	look := func() {
		for _, id := range ids {
			c.Stock(id)
			c.Product(id, time.Time{})
		}
		c.Product("group-1", time.Time{})
	}
	if err := c.Push(t.Context(), []reco.Stock{{ID: "sku-5"}}); err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(10, look); got != 0 {
		t.Errorf("without a feed: got %v allocations, want 0", got)
	}
	s, err := parse(t.Context(), &generated{format: "tsv", n: len(ids)}, Defaults())
	if err != nil {
		t.Fatal(err)
	}
	c.publish(s)
	if got := testing.AllocsPerRun(10, look); got != 0 {
		t.Errorf("with a feed: got %v allocations, want 0", got)
	}
}

func BenchmarkStock(b *testing.B) {
	c := &Catalog{options: Defaults(), log: slog.New(slog.DiscardHandler), pushes: newPushes()}
	s, err := parse(b.Context(), &generated{format: "tsv", n: productsOfALargeShop}, Defaults())
	if err != nil {
		b.Fatal(err)
	}
	c.publish(s)
	ids := make([]string, 1024)
	for i := range ids {
		ids[i] = "group-" + strconv.Itoa(i*17)
	}
	inStock, i := 0, 0
	for b.Loop() {
		if !c.Stock(ids[i&1023]).SoldOut {
			inStock++
		}
		i++
	}
	if inStock == 0 {
		b.Error("nothing is in stock")
	}
}
