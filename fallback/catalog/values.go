package catalog

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

type availability uint8

const (
	unsaid availability = iota
	inStock
	outOfStock
	orderable // on pre-order or back-order: sold without a unit in stock
)

// parseAvailability reads Google's values, as they are written today (in_stock)
// and were before (in stock), those Meta's catalogues add, and schema.org's.
func parseAvailability(s string) (availability, error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
	s = strings.TrimPrefix(s, "schema.org/")
	word := strings.Map(func(r rune) rune {
		switch r {
		case ' ', '_', '-':
			return -1
		default:
			return r
		}
	}, strings.ToLower(s))
	switch word {
	case "":
		return unsaid, nil
	case "instock", "limitedavailability", "limitedstock", "instoreonly", "onlineonly", "ondisplaytoorder":
		return inStock, nil
	case "outofstock", "soldout", "discontinued":
		return outOfStock, nil
	case "preorder", "presale", "backorder", "availablefororder":
		return orderable, nil
	default:
		return unsaid, errors.New("must be in_stock, out_of_stock, preorder or backorder")
	}
}

// parseQuantity reads a number of units. One below zero, which is how some shops
// write what was sold twice, is zero.
func parseQuantity(s string) (int32, error) {
	if s == "" {
		return unknown, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("must be an integer")
	}
	return int32(max(0, min(n, maxQuantity))), nil
}

var (
	errPrice     = errors.New("must be an amount and an ISO 4217 code, such as 129.90 BRL")
	errAmbiguous = errors.New("is ambiguous: write 1299.00, without a separator of thousands")
	errTooFine   = errors.New("has more decimals than its currency")
	errTooBig    = errors.New("is too large")
)

// parsePrice reads 129.90 BRL: an amount and the ISO 4217 code of its currency,
// in either order; the code may be missing. The amount may be written with a
// comma for a point and with separators of thousands, if it can be read in one
// way only. It is returned in minor units, -1 for the empty string.
func parsePrice(s string) (minor int64, currency string, err error) {
	if s == "" {
		return noPrice, "", nil
	}
	amount := s
	if head, rest, ok := strings.Cut(s, " "); ok {
		amount, currency = head, strings.TrimSpace(rest)
		if isCurrency(head) {
			amount, currency = currency, head
		}
		if !isCurrency(currency) {
			return 0, "", errPrice
		}
	}
	currency = strings.ToUpper(currency)
	whole, fraction, err := splitAmount(amount, decimals(currency))
	if err != nil {
		return 0, "", err
	}
	minor, err = strconv.ParseInt(whole+fraction, 10, 64)
	if err != nil || minor > math.MaxInt64/2 {
		return 0, "", errTooBig
	}
	return minor, currency, nil
}

func isCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for _, c := range []byte(s) {
		if c|0x20 < 'a' || c|0x20 > 'z' {
			return false
		}
	}
	return true
}

// splitAmount returns the digits before and after the point, the latter as many
// as the currency has.
func splitAmount(s string, decimals int) (whole, fraction string, err error) {
	point := strings.LastIndexAny(s, ".,")
	if point >= 0 {
		whole, fraction = s[:point], s[point+1:]
	} else {
		whole = s
	}
	if point >= 0 && strings.ContainsAny(whole, ".,") || isThousands(s, point, decimals) {
		if whole, fraction, err = ungroup(s, point); err != nil {
			return "", "", err
		}
	} else if point >= 0 && len(fraction) == 3 && decimals != 3 {
		return "", "", errAmbiguous
	}
	if !isDigits(whole) || fraction != "" && !isDigits(fraction) {
		return "", "", errPrice
	}
	if len(fraction) > decimals {
		if strings.Trim(fraction[decimals:], "0") != "" {
			return "", "", errTooFine
		}
		fraction = fraction[:decimals]
	}
	return whole, fraction + "0000"[:decimals-len(fraction)], nil
}

// isThousands reports whether the only separator can be no decimal point: it is a
// comma before three digits in a currency without decimals.
func isThousands(s string, point, decimals int) bool {
	return point >= 0 && s[point] == ',' && len(s)-point-1 == 3 && decimals == 0
}

// ungroup takes the separators of thousands out of an amount with several
// separators: the last is the decimal point if it is unlike the others.
func ungroup(s string, point int) (whole, fraction string, err error) {
	whole = s
	first := s[strings.IndexAny(s, ".,")]
	if s[point] != first {
		whole, fraction = s[:point], s[point+1:]
	}
	parts := strings.Split(whole, string(first))
	for i, part := range parts {
		if len(part) != 3 && (i > 0 || len(part) > 3) || part == "" {
			return "", "", errPrice
		}
	}
	return strings.Join(parts, ""), fraction, nil
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// decimals is how many decimals a currency has, by ISO 4217 (list one, 2024).
func decimals(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF",
		"UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	default:
		return 2
	}
}

// parseDates reads 2016-02-24T13:00-0800/2016-02-29T15:30-0800, as Unix seconds.
// A time that is missing is the day's first second, or its last in an end; a zone
// that is missing is UTC. The empty string is for ever.
func parseDates(s string) (from, until int64, err error) {
	if s == "" {
		return math.MinInt64, math.MaxInt64, nil
	}
	start, end, ok := strings.Cut(s, "/")
	if !ok {
		return 0, 0, errors.New("must be two dates with a slash between them")
	}
	first, _, err := parseDate(start)
	if err != nil {
		return 0, 0, err
	}
	last, length, err := parseDate(end)
	if err != nil {
		return 0, 0, err
	}
	return first.Unix(), last.Add(length - time.Second).Unix(), nil
}

// parseDate reads a date and how long it lasts: a day, a minute or a second.
func parseDate(s string) (at time.Time, length time.Duration, err error) {
	s = strings.TrimSpace(s)
	for _, form := range [...]struct {
		layout string
		length time.Duration
	}{
		{"2006-01-02T15:04:05Z07:00", time.Second},
		{"2006-01-02T15:04:05Z0700", time.Second},
		{"2006-01-02T15:04:05", time.Second},
		{"2006-01-02T15:04Z07:00", time.Minute},
		{"2006-01-02T15:04Z0700", time.Minute},
		{"2006-01-02T15:04", time.Minute},
		{"2006-01-02", 24 * time.Hour},
	} {
		if at, err = time.Parse(form.layout, s); err == nil {
			return at, form.length, nil
		}
	}
	return time.Time{}, 0, errors.New("must be a date such as 2016-02-24T13:00-0800")
}
