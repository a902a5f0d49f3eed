package fallback

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
)

// Discount says which products a list may hold.
type Discount string

// The dashboard's three settings. The zero Discount is AllProducts.
const (
	AllProducts     Discount = "all"
	WithDiscount    Discount = "with"    // only those with an active discount
	WithoutDiscount Discount = "without" // only those at their full price
)

// Filter repeats one tab of the vendor's recommendation settings, so that a
// native list obeys what the API's lists obey. The zero Filter keeps everything.
//
// A product that the feed gives no price passes no rule about prices, since
// nothing shows that it may be there. One without a quantity passes LowStock:
// most feeds have none, and one without sizes lacks none.
type Filter struct {
	// Discount keeps all products, only those with or only those without a discount.
	Discount Discount

	// MinPrice and MaxPrice bound the price, in major units of the feed's currency,
	// both inclusive: 99.9 is R$ 99,90. 0 = no bound. Above keeps what costs more, as
	// the dashboard's "above 10 thousand" does; it excludes the other two.
	MinPrice float64
	MaxPrice float64
	Above    float64

	// LowStock leaves out products with so many units or fewer. 0 = off.
	LowStock int

	// FullSizeRun puts products none of whose sizes is sold out before the others,
	// both in the order they had.
	FullSizeRun bool
}

// Validate reports everything that is wrong with f.
func (f Filter) Validate() error {
	var errs []error
	switch f.Discount {
	case "", AllProducts, WithDiscount, WithoutDiscount:
	default:
		errs = append(errs, errors.New("discount: must be all, with or without"))
	}
	for _, p := range [...]struct {
		name  string
		price float64
	}{{"min_price", f.MinPrice}, {"max_price", f.MaxPrice}, {"above", f.Above}} {
		if p.price < 0 || math.IsNaN(p.price) || math.IsInf(p.price, 0) {
			errs = append(errs, fmt.Errorf("%s: must be a price of at least 0", p.name))
		}
	}
	if f.MaxPrice > 0 && f.MinPrice > f.MaxPrice {
		errs = append(errs, errors.New("min_price: is more than max_price"))
	}
	if f.Above > 0 && (f.MinPrice > 0 || f.MaxPrice > 0) {
		errs = append(errs, errors.New("above: excludes min_price and max_price"))
	}
	if f.LowStock < 0 {
		errs = append(errs, errors.New("low_stock: must be at least 0"))
	}
	return errors.Join(errs...)
}

// allowsPrice reports whether a product's price is within bounds. No comparison
// holds for an unknown amount, which is NaN.
func (f Filter) allowsPrice(amount float64) bool {
	return (f.MinPrice == 0 || amount >= f.MinPrice) &&
		(f.MaxPrice == 0 || amount <= f.MaxPrice) &&
		(f.Above == 0 || amount > f.Above)
}

func (f Filter) allowsDiscount(p catalog.Product) bool {
	switch f.Discount {
	case WithDiscount:
		return p.Price >= 0 && p.Discounted
	case WithoutDiscount:
		return p.Price >= 0 && !p.Discounted
	default:
		return true
	}
}

// asksPrice reports whether f needs to know what a product costs.
func (f Filter) asksPrice() bool {
	return f.Discount == WithDiscount || f.Discount == WithoutDiscount ||
		f.MinPrice > 0 || f.MaxPrice > 0 || f.Above > 0
}

// RuleOptions are the filters of each type of recommendation, as `rules.product`,
// `rules.category`, `rules.look` and `rules.shelf` set them.
type RuleOptions struct {
	Product  Filter // productView
	Category Filter // categoryView
	Look     Filter // shopTheLook
	Shelf    Filter // customShelf
}

// Validate reports everything that is wrong with o.
func (o RuleOptions) Validate() error {
	var errs []error
	for _, tab := range [...]struct {
		name   string
		filter Filter
	}{{"product", o.Product}, {"category", o.Category}, {"look", o.Look}, {"shelf", o.Shelf}} {
		if err := tab.filter.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", tab.name, err))
		}
	}
	return errors.Join(errs...)
}

// Rules decide which products a list may hold. They are a function of the list,
// the catalogue and the time alone. The nil Rules keep everything.
type Rules struct {
	filters atomic.Pointer[[reco.CustomShelf + 1]Filter] // by event type
	catalog *catalog.Catalog
}

// NewRules makes rules of options that are valid, over what the catalogue knows.
func NewRules(o RuleOptions, products *catalog.Catalog) *Rules {
	r := &Rules{catalog: products}
	r.Set(o)
	return r
}

// Set makes the rules those of other options that are valid, from the next list on.
func (r *Rules) Set(o RuleOptions) {
	r.filters.Store(&[reco.CustomShelf + 1]Filter{
		reco.ProductView: o.Product, reco.CategoryView: o.Category, reco.ShopTheLook: o.Look, reco.CustomShelf: o.Shelf,
	})
}

// Active reports whether Keep could change any list at all: it cannot while
// nothing is known of any product.
func (r *Rules) Active() bool { return r != nil && r.catalog != nil && r.catalog.Active() }

// Rule names what took a product out of a list.
type Rule string

// Everything that can.
const (
	RuleUnknown  Rule = "unknown"   // the catalogue does not have it
	RuleStock    Rule = "stock"     // it is sold out
	RuleLowStock Rule = "low-stock" // it has too few units left
	RuleDiscount Rule = "discount"  // it has one, or none, and the filter asks for the other
	RulePrice    Rule = "price"     // it costs too little or too much
	RuleExcluded Rule = "excluded"  // the caller left it out
	RuleViewed   Rule = "viewed"    // it is the product being looked at
	RuleLimit    Rule = "limit"     // the caller asked for fewer

	kept Rule = "" // nothing did
)

// Keep filters ids, a list from source, in place, and returns what is left. Stock
// holds for every source: what is sold out goes, and what the feed does not have,
// if there is a feed. The filter of the event type holds for native lists only,
// since the API has applied it to its own. Prices are those of the moment at.
//
// It also says how many were sold out. A trace, unless it is nil, is told what was
// removed and why.
func (r *Rules) Keep(t reco.EventType, source reco.Source, at time.Time, ids []string, trace *Trace) (left []string, soldOut int) {
	if !r.Active() {
		return ids, 0
	}
	var filter Filter
	if source == reco.FromNative {
		filter = r.filters.Load()[t]
	}
	feed := r.catalog.HasFeed()
	left = ids[:0]
	for _, id := range ids {
		stock := r.catalog.Stock(id)
		var rule Rule
		switch {
		case feed && !stock.Known:
			rule = RuleUnknown
		case stock.SoldOut:
			rule = RuleStock
			soldOut++
		default:
			rule = r.judge(&filter, feed, id, stock, at)
		}
		if rule == kept {
			left = append(left, id)
		} else if trace != nil {
			trace.remove(id, source, rule, r.why(rule, id, stock, at))
		}
	}
	if filter.FullSizeRun && feed {
		r.completeFirst(left, at)
	}
	return left, soldOut
}

// judge holds a product that is in stock against a filter. Without a feed only
// the pushed quantities are known, and only the rule about them is asked.
func (r *Rules) judge(f *Filter, feed bool, id string, stock catalog.Stock, at time.Time) Rule {
	if f.LowStock > 0 && stock.Quantity >= 0 && stock.Quantity <= f.LowStock {
		return RuleLowStock
	}
	if !feed || !f.asksPrice() {
		return kept
	}
	p, _ := r.catalog.Product(id, at)
	switch {
	case !f.allowsDiscount(p):
		return RuleDiscount
	case !f.allowsPrice(p.Amount()):
		return RulePrice
	default:
		return kept
	}
}

// why gives the facts behind a rule, for a person.
func (r *Rules) why(rule Rule, id string, stock catalog.Stock, at time.Time) string {
	p, _ := r.catalog.Product(id, at)
	switch {
	case rule == RuleLowStock:
		return strconv.Itoa(stock.Quantity) + " in stock"
	case rule != RulePrice && rule != RuleDiscount:
		return ""
	case p.Price < 0:
		return "its price is unknown"
	case rule == RulePrice:
		return strings.TrimSpace(strconv.FormatFloat(p.Amount(), 'f', -1, 64) + " " + p.Currency)
	case p.Discounted:
		return "it has a discount"
	default:
		return "it has no discount"
	}
}

// completeFirst moves the products of which no size is sold out to the front, in
// place.
func (r *Rules) completeFirst(ids []string, at time.Time) {
	var rest []string // stays nil if they are in front already
	n := 0
	for i, id := range ids {
		switch p, _ := r.catalog.Product(id, at); {
		case p.Complete:
			ids[n] = id
			n++
		case rest == nil:
			rest = append(make([]string, 0, len(ids)-i), id)
		default:
			rest = append(rest, id)
		}
	}
	copy(ids[n:], rest)
}
