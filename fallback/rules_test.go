package fallback_test

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/fallback"
	"vitrine/fallback/catalog"
	"vitrine/internal/reco"
)

// stocked makes a catalogue over a feed; none if it is "".
func stocked(t testing.TB, feed string, pushed ...reco.Stock) *catalog.Catalog {
	t.Helper()
	o := catalog.Defaults()
	if feed != "" {
		o.File = filepath.Join(t.TempDir(), "feed")
		if err := os.WriteFile(o.File, []byte(feed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := catalog.New(o, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Push(t.Context(), pushed); err != nil {
		t.Fatal(err)
	}
	return c
}

const feed = `id,item_group_id,size,price,sale_price,availability,quantity
cheap,,,10.00 BRL,,in_stock,50
sale,,,200.00 BRL,150.00 BRL,in_stock,3
dear,,,10000.01 BRL,,in_stock,2
round,,,10000.00 BRL,,in_stock,
free-price,,,,,in_stock,9
gone,,,20.00 BRL,,out_of_stock,9
pre,,,300.00 BRL,,preorder,0
gap-s,gap,S,99.90 BRL,,in_stock,5
gap-m,gap,M,99.90 BRL,,in_stock,0
`

func everything() []string {
	return []string{"gap", "dear", "cheap", "gone", "stranger", "sale", "free-price", "round", "pre"}
}

func TestKeep(t *testing.T) {
	for _, c := range []struct {
		name   string
		filter fallback.Filter
		source reco.Source
		want   string
	}{
		{"stock holds for the API", fallback.Filter{}, reco.FromAPI, "gap dear cheap sale free-price round pre"},
		{"and for native lists", fallback.Filter{}, reco.FromNative, "gap dear cheap sale free-price round pre"},
		{"filters hold for native lists only", fallback.Filter{Discount: fallback.WithDiscount, LowStock: 5, Above: 1, FullSizeRun: true}, reco.FromStale, "gap dear cheap sale free-price round pre"},
		{"all", fallback.Filter{Discount: fallback.AllProducts}, reco.FromNative, "gap dear cheap sale free-price round pre"},
		{"with discount", fallback.Filter{Discount: fallback.WithDiscount}, reco.FromNative, "sale"},
		{"without discount", fallback.Filter{Discount: fallback.WithoutDiscount}, reco.FromNative, "gap dear cheap round pre"},
		{"above 10 thousand", fallback.Filter{Above: 10000}, reco.FromNative, "dear"},
		{"custom range", fallback.Filter{MinPrice: 99.9, MaxPrice: 150}, reco.FromNative, "gap sale"},
		{"from", fallback.Filter{MinPrice: 300}, reco.FromNative, "dear round pre"},
		{"up to", fallback.Filter{MaxPrice: 99.89}, reco.FromNative, "cheap"},
		{"low stock", fallback.Filter{LowStock: 3}, reco.FromNative, "gap cheap free-price round"},
		{"low stock of one more", fallback.Filter{LowStock: 5}, reco.FromNative, "cheap free-price round"},
		{"full size run", fallback.Filter{FullSizeRun: true}, reco.FromNative, "dear cheap sale free-price round pre gap"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rules := fallback.NewRules(fallback.RuleOptions{Category: c.filter}, stocked(t, feed))
			got, soldOut := rules.Keep(reco.CategoryView, c.source, time.Now(), everything(), nil)
			if strings.Join(got, " ") != c.want || soldOut != 1 {
				t.Errorf("Keep: got %q and %d sold out, want %q and 1", got, soldOut, c.want)
			}
			other, _ := rules.Keep(reco.ProductView, c.source, time.Now(), everything(), nil)
			if got, want := strings.Join(other, " "), "gap dear cheap sale free-price round pre"; got != want {
				t.Errorf("Keep of another type: got %q, want %q", got, want)
			}
		})
	}
}

func TestEachTypeHasItsFilter(t *testing.T) {
	rules := fallback.NewRules(fallback.RuleOptions{
		Product:  fallback.Filter{Above: 10000},
		Category: fallback.Filter{MaxPrice: 10},
		Look:     fallback.Filter{Discount: fallback.WithDiscount},
		Shelf:    fallback.Filter{LowStock: 10},
	}, stocked(t, feed))
	for event, want := range map[reco.EventType]string{
		reco.ProductView: "dear", reco.CategoryView: "cheap", reco.ShopTheLook: "sale", reco.CustomShelf: "cheap round",
	} {
		if got, _ := rules.Keep(event, reco.FromNative, time.Now(), everything(), nil); strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", event, got, want)
		}
	}
}

// Without a feed only what was pushed is known, and nothing else is asked.
func TestKeepWithoutAFeed(t *testing.T) {
	strict := fallback.Filter{Discount: fallback.WithDiscount, Above: 5, LowStock: 4, FullSizeRun: true}
	none := fallback.NewRules(fallback.RuleOptions{Category: strict}, stocked(t, ""))
	if got, _ := none.Keep(reco.CategoryView, reco.FromNative, time.Now(), everything(), nil); none.Active() || !slices.Equal(got, everything()) {
		t.Errorf("nothing known: got active %v and %q, want all", none.Active(), got)
	}
	pushed := fallback.NewRules(fallback.RuleOptions{Category: strict},
		stocked(t, "", reco.Stock{ID: "cheap"}, reco.Stock{ID: "dear", Quantity: 4}, reco.Stock{ID: "sale", Quantity: 5}))
	if got, soldOut := pushed.Keep(reco.CategoryView, reco.FromNative, time.Now(), []string{"x", "cheap", "dear", "sale"}, nil); !pushed.Active() ||
		!slices.Equal(got, []string{"x", "sale"}) || soldOut != 1 {
		t.Errorf("native: got %q, want x and sale", got)
	}
	if got, _ := pushed.Keep(reco.CategoryView, reco.FromAPI, time.Now(), []string{"x", "cheap", "dear", "sale"}, nil); !slices.Equal(got, []string{"x", "dear", "sale"}) {
		t.Errorf("api: got %q, want all but cheap", got)
	}
	var absent *fallback.Rules
	if got, _ := absent.Keep(reco.CategoryView, reco.FromNative, time.Now(), everything(), nil); !slices.Equal(got, everything()) {
		t.Errorf("nil rules: got %q, want all", got)
	}
}

func TestTraceSaysWhy(t *testing.T) {
	rules := fallback.NewRules(fallback.RuleOptions{
		Category: fallback.Filter{Discount: fallback.WithoutDiscount, MaxPrice: 5000, LowStock: 2},
	}, stocked(t, feed))
	var trace fallback.Trace
	rules.Keep(reco.CategoryView, reco.FromNative, time.Now(), everything(), &trace)
	native := reco.FromNative
	want := []fallback.Removed{
		{ID: "dear", Source: native, Rule: fallback.RuleLowStock, Why: "2 in stock"},
		{ID: "gone", Source: native, Rule: fallback.RuleStock},
		{ID: "stranger", Source: native, Rule: fallback.RuleUnknown},
		{ID: "sale", Source: native, Rule: fallback.RuleDiscount, Why: "it has a discount"},
		{ID: "free-price", Source: native, Rule: fallback.RuleDiscount, Why: "its price is unknown"},
		{ID: "round", Source: native, Rule: fallback.RulePrice, Why: "10000 BRL"},
		{ID: "pre", Source: native, Rule: fallback.RuleLowStock, Why: "0 in stock"},
	}
	if !slices.Equal(trace.Removed, want) {
		t.Errorf("Removed:\n got %+v\nwant %+v", trace.Removed, want)
	}
}

func TestFilterValidate(t *testing.T) {
	good := []fallback.Filter{{}, {Discount: "with"}, {MinPrice: 1, MaxPrice: 2}, {MinPrice: 5}, {Above: 10000}, {LowStock: 10, FullSizeRun: true}}
	for _, f := range good {
		if err := f.Validate(); err != nil {
			t.Errorf("%+v: got %v, want valid", f, err)
		}
	}
	bad := fallback.RuleOptions{
		Product:  fallback.Filter{Discount: "some", LowStock: -1},
		Category: fallback.Filter{MinPrice: 3, MaxPrice: 2, Above: 1},
		Look:     fallback.Filter{MinPrice: math.NaN()},
		Shelf:    fallback.Filter{Above: math.Inf(1)},
	}.Validate()
	for _, want := range []string{"product: discount", "low_stock", "category: min_price: is more", "above: excludes", "look: min_price", "shelf: above"} {
		if bad == nil || !strings.Contains(bad.Error(), want) {
			t.Errorf("Validate: got %v, want it to name %q", bad, want)
		}
	}
}
