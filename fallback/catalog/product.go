package catalog

import (
	"math"
	"slices"
	"time"
)

// Stock says how many units of a product there are.
type Stock struct {
	// Known says that the feed has the product. It is false for every product while
	// there is no feed.
	Known bool

	// SoldOut says that none can be ordered: its availability is out_of_stock, or its
	// quantity is 0 and it is not on pre-order or back-order. A pushed quantity
	// replaces both: 0 is sold out, more is not.
	SoldOut bool

	// Quantity is the number of units, -1 if nobody said.
	Quantity int
}

// Product is what the feed says of a product. For an item_group_id it is what its
// rows in stock (all of them if none is) say together: the price is the lowest of
// theirs, and it is discounted if one of them is. Its sizes are those of all rows.
type Product struct {
	Stock

	// Category is the first product_type, else the google_product_category, else
	// "", unless another column was configured to hold it.
	Category string

	// Currency is the ISO 4217 code of the prices, "" if the feed leaves it out.
	Currency string

	// Price is what the product costs, in minor units of its currency (cents), -1 if
	// the feed does not say. A sale price counts while the sale lasts.
	Price int64

	// Discounted says that a sale price below the regular one counts.
	Discounted bool

	// Complete says that no size of the product is sold out. A product without
	// sizes lacks none.
	Complete bool
}

// Amount is the price in major units: 129.9 for 129.90 BRL. It is the float64
// nearest to the price as written, so that comparing it with a number from a
// configuration file is exact. It is NaN if the price is unknown.
func (p Product) Amount() float64 {
	if p.Price < 0 {
		return math.NaN()
	}
	scale := 1.0
	for range decimals(p.Currency) {
		scale *= 10
	}
	return float64(p.Price) / scale
}

// product returns what the feed says of id at a moment.
func (s *snapshot) product(id string, at time.Time) (Product, bool) {
	if g, ok := s.findGroup(id); ok {
		return s.groupAt(g, at.Unix()), true
	}
	if r, ok := s.row.find(id); ok {
		return s.rowAt(r, at.Unix()), true
	}
	return Product{}, false
}

func (s *snapshot) rowAt(i uint32, at int64) Product {
	r, now := &s.rows[i], state(s.ofRow[i].Load())
	p := Product{
		Stock:    now.public(),
		Category: s.names[r.category],
		Currency: s.names[r.currency],
		Price:    r.price,
		Complete: !now.gapped() && !now.soldOut(),
	}
	if r.onSale(at) {
		p.Price, p.Discounted = r.sale, true
	}
	if r.group != noGroup {
		p.Complete = s.complete(r.group)
	}
	return p
}

func (s *snapshot) groupAt(g uint32, at int64) Product {
	members := s.membersOf(g)
	inStock := slices.ContainsFunc(members, func(m uint32) bool {
		return !state(s.ofRow[m].Load()).soldOut()
	})
	p := Product{Price: noPrice}
	for _, m := range members {
		one := s.rowAt(m, at)
		if p.Category == "" {
			p.Category = one.Category
		}
		if one.SoldOut && inStock {
			continue
		}
		p.Discounted = p.Discounted || one.Discounted
		switch {
		case one.Price == noPrice:
		case p.Price == noPrice:
			p.Price, p.Currency = one.Price, one.Currency
		case p.Currency == one.Currency:
			p.Price = min(p.Price, one.Price)
		}
	}
	p.Stock, p.Complete = state(s.ofGroup[g].Load()).public(), s.complete(g)
	return p
}

func (s *snapshot) complete(g uint32) bool {
	now := state(s.ofGroup[g].Load())
	return !now.gapped() && !now.soldOut()
}

func (s state) public() Stock {
	return Stock{Known: true, SoldOut: s.soldOut(), Quantity: s.quantity()}
}

// onSale reports whether the sale price counts at a moment, in Unix seconds.
func (r *row) onSale(at int64) bool {
	return r.sale != noPrice && r.price != noPrice && r.sale < r.price && r.from <= at && at <= r.until
}
