package catalog

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"vitrine/internal/reco"
)

// column is what a feed may say of a product.
type column uint8

const (
	colID column = iota
	colGroup
	colPrice
	colSalePrice
	colSaleDates
	colAvailability
	colQuantity
	colSize
	colSizes
	colSizesInStock
	colCategory
	columns
)

// columnNames are Google's, in the order of the constants; sizes, sizes_in_stock
// and category are ours.
var columnNames = [columns]string{ //nolint:gochecknoglobals // a constant list
	"id", "item_group_id", "price", "sale_price", "sale_price_effective_date", "availability",
	"quantity", "size", "sizes", "sizes_in_stock", "category",
}

func columnNamed(name string) (column, bool) {
	for c, have := range columnNames {
		if have == name {
			return column(c), true
		}
	}
	return 0, false
}

// columnMap finds the column that a feed calls by some name. Several names may
// stand for one column; the best that a row has a value for counts.
type columnMap map[string]place

type place struct {
	column column
	rank   uint8 // 0 is the best
}

// newColumnMap knows the documented names: quantity is Google's of local
// inventories, sell_on_google_quantity its older one, inventory and
// quantity_to_sell_on_facebook are Meta's. renamed are the feed's own, by column.
func newColumnMap(renamed map[string]string) columnMap {
	m := columnMap{
		"sell_on_google_quantity":      {colQuantity, 2},
		"quantity_to_sell_on_facebook": {colQuantity, 3},
		"inventory":                    {colQuantity, 4},
		"product_type":                 {colCategory, 2},
		"google_product_category":      {colCategory, 3},
	}
	for c, name := range columnNames {
		m[name] = place{column(c), 1}
	}
	for name, theirs := range renamed {
		if c, ok := columnNamed(name); ok {
			m[columnName(theirs)] = place{c, 0}
		}
	}
	return m
}

// columnName brings the forms a name is written in to one: "g:Item Group ID" is
// item_group_id.
func columnName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	name = strings.TrimPrefix(name, "g:")
	return strings.ReplaceAll(name, " ", "_")
}

// record is a product as the feed writes it. Its values may share the memory of
// a whole line.
type record struct {
	line   int // where it begins, from 1
	values [columns]string
	ranks  [columns]uint8
	lines  [columns]int // of the values, where they may have lines of their own; else 0
}

// set takes a value, if the record has no better one, and reports whether it did.
func (r *record) set(p place, value string) bool {
	if value == "" || r.values[p.column] != "" && r.ranks[p.column] <= p.rank {
		return false
	}
	r.values[p.column], r.ranks[p.column] = value, p.rank
	return true
}

// FeedError says what is wrong with a feed, and where.
type FeedError struct {
	Line   int    // from 1
	Column string // by its name in the specification; "" if the line as a whole is wrong
	Err    error
}

// Error names the line and the column.
func (e *FeedError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("line %d, column %s: %v", e.Line, e.Column, e.Err)
}

// Unwrap returns what is wrong.
func (e *FeedError) Unwrap() error { return e.Err }

const maxName = 1024 // bytes of a category or size

// addRecord takes a record in. The error is a *FeedError.
func (b *builder) addRecord(rec *record) error {
	var r row
	column, err := b.read(rec, &r)
	if err != nil {
		return &FeedError{Line: cmp.Or(rec.lines[column], rec.line), Column: columnNames[column], Err: err}
	}
	if err := b.add(rec.values[colID], rec.values[colGroup], r); err != nil {
		return &FeedError{Line: rec.line, Err: err}
	}
	return nil
}

// read makes a row of a record. On an error it says in which column.
func (b *builder) read(rec *record, r *row) (at column, err error) {
	v := &rec.values
	for _, c := range [...]column{colID, colGroup} {
		if len(v[c]) > reco.MaxIDLength {
			return c, fmt.Errorf("is longer than %d bytes", reco.MaxIDLength)
		}
	}
	if v[colID] == "" {
		return colID, errors.New("is required")
	}
	if at, err = b.readPrices(v, r); err != nil {
		return at, err
	}
	if r.availability, err = parseAvailability(v[colAvailability]); err != nil {
		return colAvailability, err
	}
	if r.quantity, err = parseQuantity(v[colQuantity]); err != nil {
		return colQuantity, err
	}
	for _, c := range [...]column{colSize, colCategory} {
		if len(v[c]) > maxName {
			return c, fmt.Errorf("is longer than %d bytes", maxName)
		}
	}
	if r.size, err = b.name(v[colSize]); err != nil {
		return colSize, err
	}
	if r.category, err = b.name(v[colCategory]); err != nil {
		return colCategory, err
	}
	r.gapped = v[colSizes] != "" && lacks(v[colSizes], v[colSizesInStock])
	return 0, nil
}

func (b *builder) readPrices(v *[columns]string, r *row) (at column, err error) {
	var currency, saleCurrency string
	if r.price, currency, err = parsePrice(v[colPrice]); err != nil {
		return colPrice, err
	}
	if r.sale, saleCurrency, err = parsePrice(v[colSalePrice]); err != nil {
		return colSalePrice, err
	}
	if r.price != noPrice && r.sale != noPrice && currency != saleCurrency {
		return colSalePrice, fmt.Errorf("is in %q, the price in %q", saleCurrency, currency)
	}
	if r.currency, err = b.name(currency); err != nil {
		return colPrice, err
	}
	if r.from, r.until, err = parseDates(v[colSaleDates]); err != nil {
		return colSaleDates, err
	}
	return 0, nil
}

// lacks reports whether a list of sizes holds one that the other does not.
func lacks(all, have string) bool {
	there := make(map[string]struct{})
	for size := range sizes(have) {
		there[size] = struct{}{}
	}
	for size := range sizes(all) {
		if _, ok := there[size]; !ok {
			return true
		}
	}
	return false
}

// sizes cuts a list such as "S, M, L" or "S|M|L".
func sizes(list string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for size := range strings.FieldsFuncSeq(list, func(r rune) bool { return r == ',' || r == '|' || r == ';' }) {
			if size = strings.TrimSpace(size); size != "" && !yield(size) {
				return
			}
		}
	}
}
