package fakeshop

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"

	"vitrine/bench/shopdata"
)

// column is one column of the feed, by its name in Google's product data
// specification ("category" is the shop's own).
type column struct {
	name  string
	value func(p shopdata.Product, v shopdata.Variant) string
}

// feed is a rendered feed, kept until the products change.
type feed struct {
	version uint64
	body    []byte
}

// format writes a feed of rows that each have a value for every column.
type format struct {
	contentType string
	render      func(columns []column, rows [][]string) []byte
}

// formats returns the feed's formats by extension.
func formats() map[string]format {
	return map[string]format{
		".tsv":    {"text/tab-separated-values; charset=utf-8", separated('\t')},
		".csv":    {"text/csv; charset=utf-8", separated(',')},
		".xml":    {"application/rss+xml; charset=utf-8", rss},
		".ndjson": {"application/x-ndjson", ndjson},
	}
}

func columns() []column {
	type product = shopdata.Product
	type variant = shopdata.Variant
	const shop = "https://shop.example.com/"
	return []column{
		{"id", func(p product, v variant) string { return p.ID + "-" + v.Size }},
		{"item_group_id", func(p product, _ variant) string { return p.ID }},
		{"title", func(p product, _ variant) string { return p.Title }},
		{"link", func(p product, _ variant) string { return shop + p.ID }},
		{"image_link", func(p product, _ variant) string { return shop + p.ID + ".jpg" }},
		{"price", func(p product, _ variant) string { return money(p.Price) }},
		{"sale_price", func(p product, _ variant) string { return money(p.SalePrice) }},
		{"availability", func(_ product, v variant) string { return availability(v.Quantity) }},
		{"quantity", func(_ product, v variant) string { return strconv.Itoa(v.Quantity) }},
		{"brand", func(p product, _ variant) string { return p.Brand }},
		{"color", func(p product, _ variant) string { return p.Colour }},
		{"size", func(_ product, v variant) string { return v.Size }},
		{"category", func(p product, _ variant) string { return p.Category }},
	}
}

// money writes cents as the specification wants them; nothing for no price.
func money(cents int) string {
	if cents == 0 {
		return ""
	}
	return fmt.Sprintf("%d.%02d BRL", cents/100, cents%100)
}

func availability(quantity int) string {
	if quantity == 0 {
		return "out_of_stock"
	}
	return "in_stock"
}

func (s *Shop) feed(w http.ResponseWriter, r *http.Request, f format) {
	s.write(w, r, f.contentType, s.rendered(r.URL.Path, f))
}

// rendered returns the feed as it is now. It holds the lock while it renders, so
// that a big feed asked for twice at once is made once.
func (s *Shop) rendered(path string, f format) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault.Empty {
		return f.render(columns(), nil)
	}
	kept, ok := s.feeds[path]
	if !ok || kept.version != s.version {
		kept = feed{s.version, f.render(columns(), s.rowsLocked())}
		s.feeds[path] = kept
	}
	return kept.body
}

// rowsLocked returns a row for every size of every product that is not disabled.
func (s *Shop) rowsLocked() (rows [][]string) {
	all := columns()
	for _, p := range s.catalogue.Products {
		if s.disabled[p.ID] {
			continue
		}
		for _, v := range p.Variants {
			if s.soldOut[p.ID] {
				v.Quantity = 0
			}
			row := make([]string, len(all))
			for i, c := range all {
				row[i] = c.value(p, v)
			}
			rows = append(rows, row)
		}
	}
	return rows
}

func separated(comma rune) func([]column, [][]string) []byte {
	return func(columns []column, rows [][]string) []byte {
		var out bytes.Buffer
		w := csv.NewWriter(&out)
		w.Comma = comma
		header := make([]string, len(columns))
		for i, c := range columns {
			header[i] = c.name
		}
		_ = w.Write(header) // a bytes.Buffer takes everything
		_ = w.WriteAll(rows)
		return out.Bytes()
	}
}

func rss(columns []column, rows [][]string) []byte {
	var out bytes.Buffer
	out.WriteString(xml.Header + `<rss version="2.0" xmlns:g="http://base.google.com/ns/1.0"><channel><title>Fake shop</title>` + "\n")
	for _, row := range rows {
		out.WriteString("<item>")
		for i, value := range row {
			if value == "" {
				continue
			}
			out.WriteString("<g:" + columns[i].name + ">")
			_ = xml.EscapeText(&out, []byte(value)) // a bytes.Buffer takes everything
			out.WriteString("</g:" + columns[i].name + ">")
		}
		out.WriteString("</item>\n")
	}
	out.WriteString("</channel></rss>\n")
	return out.Bytes()
}

func ndjson(columns []column, rows [][]string) []byte {
	var out bytes.Buffer
	lines := json.NewEncoder(&out)
	for _, row := range rows {
		line := make(map[string]string, len(row))
		for i, value := range row {
			if value != "" {
				line[columns[i].name] = value
			}
		}
		_ = lines.Encode(line) // strings into a bytes.Buffer
	}
	return out.Bytes()
}
