package catalog

import (
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// item is a product as a test writes it into a feed.
type item struct {
	ID, Group, Size, Category string
	Price                     int64
	Quantity                  int
}

// drawn makes a few products, whose texts are pieces of text.
func drawn(seed uint64, text string) []item {
	r := rand.New(rand.NewPCG(seed, 0))
	clean := strings.Map(func(c rune) rune {
		if c < ' ' || c == utf8.RuneError || c == 0xfffe || c == 0xffff {
			return -1 // what XML cannot say
		}
		return c
	}, text)
	piece := func() string {
		if clean == "" {
			return ""
		}
		from := r.IntN(len(clean))
		to := from + r.IntN(min(len(clean)-from, 60)+1)
		return strings.TrimSpace(strings.ToValidUTF8(clean[from:to], ""))
	}
	items := make([]item, 1+r.IntN(6))
	for i := range items {
		items[i] = item{
			ID:       strconv.Itoa(i) + piece(),
			Group:    "",
			Size:     piece(),
			Category: piece(),
			Price:    r.Int64N(1e9),
			Quantity: r.IntN(100),
		}
	}
	return items
}

func (i item) price() string { return fmt.Sprintf("%d.%02d BRL", i.Price/100, i.Price%100) }

func (i item) fields() []string {
	return []string{i.ID, i.Group, i.Size, i.Category, i.price(), strconv.Itoa(i.Quantity)}
}

func header() []string {
	return []string{"id", "item_group_id", "size", "product_type", "price", "quantity"}
}

// encode writes a feed with the standard library's encoders.
func encode(t testing.TB, format string, items []item) string {
	t.Helper()
	var b strings.Builder
	switch format {
	case "csv", "tsv":
		w := csv.NewWriter(&b)
		if format == "tsv" {
			w.Comma = '\t'
		}
		_ = w.Write(header())
		for _, i := range items {
			_ = w.Write(i.fields())
		}
		w.Flush()
	case "ndjson":
		for _, i := range items {
			line := map[string]any{}
			for n, name := range header() {
				line[name] = i.fields()[n]
			}
			line["quantity"] = i.Quantity
			if err := json.NewEncoder(&b).Encode(line); err != nil {
				t.Fatal(err)
			}
		}
	case "rss":
		b.WriteString(`<rss xmlns:g="http://base.google.com/ns/1.0"><channel>` + "\n")
		for _, i := range items {
			b.WriteString("<item>")
			for n, name := range header() {
				b.WriteString("<g:" + name + ">")
				_ = xml.EscapeText(&b, []byte(i.fields()[n]))
				b.WriteString("</g:" + name + ">\n")
			}
			b.WriteString("</item>\n")
		}
		b.WriteString("</channel></rss>\n")
	}
	return b.String()
}

// What an encoder writes reads back equal, in every format; and a feed that was
// damaged in one place either names a line, or is a feed within the bounds.
func FuzzFeeds(f *testing.F) {
	f.Add(uint64(1), "P M G \"quoted\" a,b;c|d <e> & 'f' çãé", uint(40), byte('"'))
	f.Add(uint64(2), "", uint(0), byte(0))
	f.Add(uint64(3), "\ufeff\u2028=1+1", uint(90), byte('\n'))
	f.Fuzz(func(t *testing.T, seed uint64, text string, at uint, damage byte) {
		items := drawn(seed, text)
		for _, format := range []string{"csv", "tsv", "ndjson", "rss"} {
			feed := encode(t, format, items)
			s, err := read(t, format, feed)
			if err != nil {
				t.Fatalf("%s: got %v, want it read\n%s", format, err, feed)
			}
			for _, want := range items {
				got, ok := s.product(want.ID, time.Time{})
				if !ok || got.Category != want.Category || got.Price != want.Price || got.Quantity != want.Quantity {
					t.Errorf("%s: got %+v, %v, want %+v\n%s", format, got, ok, want, feed)
				}
			}
			damaged := []byte(feed)
			damaged[at%uint(len(damaged))] = damage
			checkDamaged(t, format, string(damaged))
		}
	})
}

// Any bytes at all either name a line, or are a feed within the bounds.
func FuzzBytes(f *testing.F) {
	for _, format := range []string{"csv", "tsv", "ndjson", "rss"} {
		f.Add(encode(f, format, drawn(7, "P M G, \"quoted\" & <e>")))
	}
	f.Add("id\n\n\n1")
	f.Add("<rss><item><id>1</id><g:price>2</g:price></item>")
	f.Fuzz(func(t *testing.T, feed string) {
		for _, format := range []string{"auto", "csv", "tsv", "ndjson", "rss"} {
			checkDamaged(t, format, feed)
		}
	})
}

func checkDamaged(t *testing.T, format, feed string) {
	t.Helper()
	s, err := read(t, format, feed)
	var at *FeedError
	lines := strings.Count(feed, "\n") + 1
	zipped := strings.HasPrefix(feed, "\x1f\x8b")
	switch {
	case err == nil:
		if got := len(s.rows); got < 1 || got > lines && format != "rss" && format != "auto" && !zipped {
			t.Errorf("%s: got %d products of %d lines", format, got, lines)
		}
	case s != nil:
		t.Errorf("%s: got a feed and %v", format, err)
	case errors.As(err, &at):
		if at.Line < 1 || at.Line > lines && !zipped {
			t.Errorf("%s: got line %d of %d: %v", format, at.Line, lines, err)
		}
	case !strings.Contains(err.Error(), "no products") && !zipped:
		t.Errorf("%s: got %v, want a line", format, err)
	}
}

func read(t *testing.T, format, feed string) (*snapshot, error) {
	t.Helper()
	o := Defaults()
	o.Format = format
	o.MaxRecord = 1 << 16
	return parse(t.Context(), strings.NewReader(feed), o)
}
