package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Size is a number of bytes. It is written with the units KiB, MiB and GiB, or without.
type Size int64

// String writes the size in the largest unit that divides it.
func (s Size) String() string {
	for _, unit := range units() {
		if s != 0 && s%unit.bytes == 0 {
			return strconv.FormatInt(int64(s/unit.bytes), 10) + unit.name
		}
	}
	return "0"
}

type unit struct {
	name  string
	bytes Size
}

func units() []unit {
	return []unit{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}
}

func parseSize(text string) (Size, error) {
	for _, unit := range units() {
		digits, found := strings.CutSuffix(text, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || Size(n) > math.MaxInt64/unit.bytes {
			break
		}
		return Size(n) * unit.bytes, nil
	}
	return 0, errors.New("must be a number of bytes with KiB, MiB, GiB or no unit, such as 64MiB")
}

// set reads text into a key's place, a pointer to one of the types the configuration is
// made of. Its errors hold no secret: those of types that may carry one do not quote.
func set(place any, text string) error {
	if !utf8.ValidString(text) {
		return errors.New("is not valid UTF-8")
	}
	if !isPairs(place) && strings.ContainsFunc(text, unprintable) {
		return errors.New("has a control or invisible character in it")
	}
	var err error
	switch place := place.(type) {
	case *string:
		*place = text
	case *Secret:
		*place = NewSecret(text)
	case *Address:
		*place = Address(text)
	case *Headers:
		err = assign(place)(parseHeaders(text))
	case *Vars:
		err = assign(place)(parseVars(text))
	case *Columns:
		err = assign(place)(parseColumns(text))
	case *[]string:
		*place = splitList(text)
	case *Size:
		err = assign(place)(parseSize(text))
	case *time.Duration:
		err = assign(place)(parseDuration(text))
	case *bool:
		err = assign(place)(parseBool(text))
	case *int:
		err = assign(place)(parseInt(text))
	case *float64:
		err = assign(place)(parseFloat(text))
	default:
		panic(fmt.Sprintf("config: no notation for %T", place))
	}
	return err
}

// assign stores a value if there is no error, and passes the error on.
func assign[T any](place *T) func(T, error) error {
	return func(value T, err error) error {
		if err == nil {
			*place = value
		}
		return err
	}
}

// unprintable reports whether a character has no business in a name, path or secret: it
// could not be seen, or would not survive being written to a file and read again.
func unprintable(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r)
}

func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("got %q, want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h", text)
	}
	return d, nil
}

func parseBool(text string) (bool, error) {
	b, err := strconv.ParseBool(text)
	if err != nil {
		return false, fmt.Errorf("got %q, want true or false", text)
	}
	return b, nil
}

func parseInt(text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("got %q, want a whole number from 0 to %d", text, math.MaxInt32)
	}
	return int(n), nil
}

func parseFloat(text string) (float64, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, fmt.Errorf("got %q, want a number, not negative", text)
	}
	return f, nil
}

// formatDuration writes d as people do: 30m rather than 30m0s.
func formatDuration(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// shown is a key's value as YAML writes it: set reads its text back. Secrets are masked.
func shown(place any) any {
	switch place := place.(type) {
	case *time.Duration:
		return formatDuration(*place)
	case *Size:
		return place.String()
	case *Secret:
		return place.String()
	case *Address:
		return place.String()
	case *Headers:
		return shownValues(*place, func(string) bool { return true })
	case *Vars:
		return shownValues(*place, namedLikeSecret)
	case *Columns:
		return map[string]string(*place)
	case *[]string:
		return append([]string{}, *place...) // never null
	case *string:
		return *place
	case *bool:
		return *place
	case *int:
		return *place
	case *float64:
		return *place
	default:
		panic(fmt.Sprintf("config: no notation for %T", place))
	}
}
