package catalog

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/quick"
	"time"
)

func TestParsePrice(t *testing.T) {
	for _, c := range []struct {
		in       string
		minor    int64
		currency string
		err      error
	}{
		{"129.90 BRL", 12990, "BRL", nil},
		{"BRL 129.90", 12990, "BRL", nil},
		{"129.90", 12990, "", nil},
		{"129.9 brl", 12990, "BRL", nil},
		{"129 BRL", 12900, "BRL", nil},
		{"0 BRL", 0, "BRL", nil},
		{"", -1, "", nil},
		{"129,90 BRL", 12990, "BRL", nil},
		{"1.299,90 BRL", 129990, "BRL", nil},
		{"1,299.90 USD", 129990, "USD", nil},
		{"1,234,567 USD", 123456700, "USD", nil},
		{"1.234.567,8 BRL", 123456780, "BRL", nil},
		{"129.9000 BRL", 12990, "BRL", nil},
		{"1500 JPY", 1500, "JPY", nil},
		{"1500.00 JPY", 1500, "JPY", nil},
		{"1,500 JPY", 1500, "JPY", nil},
		{"1.299 KWD", 1299, "KWD", nil},
		{"1,299 BRL", 0, "", errAmbiguous},
		{"1.299 BRL", 0, "", errAmbiguous},
		{"1.500 JPY", 0, "", errAmbiguous},
		{"1.2345 BRL", 0, "", errTooFine},
		{"12,34,567.00 INR", 0, "", errPrice},
		{"1,2345.00 USD", 0, "", errPrice},
		{"R$ 129,90", 0, "", errPrice},
		{"129.90BRL", 0, "", errPrice},
		{"-1.00 BRL", 0, "", errPrice},
		{".50 BRL", 0, "", errPrice},
		{"1,,000.00 BRL", 0, "", errPrice},
		{"ten BRL", 0, "", errPrice},
		{"1e3 BRL", 0, "", errPrice},
		{"99999999999999999999 BRL", 0, "", errTooBig},
	} {
		minor, currency, err := parsePrice(c.in)
		if minor != c.minor || currency != c.currency || err != c.err { //nolint:errorlint // the very value
			t.Errorf("parsePrice(%q): got %d %q %v, want %d %q %v", c.in, minor, currency, err, c.minor, c.currency, c.err)
		}
	}
}

// A price that is written out and read again is the same, and so is its amount.
func TestPriceRoundTrip(t *testing.T) {
	law := func(cents uint32) bool {
		minor, currency, err := parsePrice(fmt.Sprintf("%d.%02d EUR", cents/100, cents%100))
		p := Product{Price: minor, Currency: currency}
		var amount float64
		_, _ = fmt.Sscan(fmt.Sprintf("%d.%02d", cents/100, cents%100), &amount)
		return err == nil && minor == int64(cents) && p.Amount() == amount
	}
	if err := quick.Check(law, nil); err != nil {
		t.Error(err)
	}
}

func TestAmountOfAnUnknownPrice(t *testing.T) {
	if got := (Product{Price: noPrice}).Amount(); !math.IsNaN(got) {
		t.Errorf("Amount: got %v, want NaN", got)
	}
}

func TestParseDates(t *testing.T) {
	for _, c := range []struct{ in, from, until string }{
		{"2016-02-24T13:00-0800/2016-02-29T15:30-0800", "2016-02-24T21:00:00Z", "2016-02-29T23:30:59Z"},
		{"2016-02-24T13:00:05Z/2016-02-29T15:30:06+01:00", "2016-02-24T13:00:05Z", "2016-02-29T14:30:06Z"},
		{"2016-02-24/2016-02-29", "2016-02-24T00:00:00Z", "2016-02-29T23:59:59Z"},
		{"2016-02-24T10:00 / 2016-02-29T10:00:00", "2016-02-24T10:00:00Z", "2016-02-29T10:00:00Z"},
	} {
		from, until, err := parseDates(c.in)
		gotFrom, gotUntil := time.Unix(from, 0).UTC().Format(time.RFC3339), time.Unix(until, 0).UTC().Format(time.RFC3339)
		if err != nil || gotFrom != c.from || gotUntil != c.until {
			t.Errorf("parseDates(%q): got %s, %s, %v, want %s, %s", c.in, gotFrom, gotUntil, err, c.from, c.until)
		}
	}
	if from, until, err := parseDates(""); from != math.MinInt64 || until != math.MaxInt64 || err != nil {
		t.Errorf("parseDates of nothing: got %d, %d, %v, want for ever", from, until, err)
	}
	for _, bad := range []string{"2016-02-24", "a/b", "2016-02-24/", "2016-13-01/2016-14-01"} {
		if _, _, err := parseDates(bad); err == nil {
			t.Errorf("parseDates(%q): got no error", bad)
		}
	}
}

func TestParseAvailability(t *testing.T) {
	for in, want := range map[string]availability{
		"": unsaid, "in_stock": inStock, "In Stock": inStock, "https://schema.org/InStock": inStock,
		"out of stock": outOfStock, "OutOfStock": outOfStock, "discontinued": outOfStock,
		"preorder": orderable, "pre-order": orderable, "backorder": orderable, "available for order": orderable,
	} {
		if got, err := parseAvailability(in); got != want || err != nil {
			t.Errorf("parseAvailability(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
	if _, err := parseAvailability("perhaps"); err == nil {
		t.Error("parseAvailability(perhaps): got no error")
	}
}

func TestParseQuantity(t *testing.T) {
	for in, want := range map[string]int32{"": -1, "0": 0, "12": 12, "-3": 0, "99999999999999999999": maxQuantity} {
		if got, err := parseQuantity(in); got != want || err != nil {
			t.Errorf("parseQuantity(%q): got %d, %v, want %d", in, got, err, want)
		}
	}
	for _, bad := range []string{"1.5", "many", "1 "} {
		if _, err := parseQuantity(bad); err == nil {
			t.Errorf("parseQuantity(%q): got no error", bad)
		}
	}
}

// An index finds exactly what was put, last value first.
func TestIndex(t *testing.T) {
	law := func(ids []string) bool {
		x, want := newIndex(), map[string]uint32{}
		for i, id := range ids {
			if id == "" || len(id) > math.MaxUint16 {
				continue
			}
			x.put(id, uint32(i))
			want[id] = uint32(i)
			x.put(strings.ToUpper(id), uint32(i))
			want[strings.ToUpper(id)] = uint32(i)
		}
		for id, value := range want {
			if got, ok := x.find(id); !ok || got != value {
				return false
			}
		}
		_, ok := x.find("never put \x00")
		return !ok && x.n == len(want)
	}
	if err := quick.Check(law, &quick.Config{MaxCount: 50}); err != nil {
		t.Error(err)
	}
}
