package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"strings"
)

// Columns are a feed's own names of columns, by Google's.
type Columns map[string]string

// parseHeaders reads lines of "Name: value". Names are compared without regard to case.
func parseHeaders(text string) (Headers, error) {
	headers, err := parsePairs(text, textproto.CanonicalMIMEHeaderKey)
	return conceal(headers), err
}

func parseVars(text string) (Vars, error) {
	vars, err := parsePairs(text, func(name string) string { return name })
	return conceal(vars), err
}

func parseColumns(text string) (Columns, error) {
	return parsePairs(text, func(name string) string { return name })
}

// parsePairs reads lines of "name: value" into a map by canonical name. Its errors hold
// no value, which may be a secret.
func parsePairs(text string, canonical func(string) string) (map[string]string, error) {
	pairs := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || !token(name) {
			return nil, errors.New("must be lines of name: value")
		}
		name, value = canonical(name), strings.TrimSpace(value)
		switch {
		case value == "":
			return nil, fmt.Errorf("%s has no value", name)
		case strings.ContainsFunc(value, unprintable):
			return nil, fmt.Errorf("%s has a control or invisible character in it", name)
		case pairs[name] != "":
			return nil, fmt.Errorf("%s is given twice", name)
		}
		pairs[name] = value
	}
	return pairs, nil
}

// token reports whether name is a token of RFC 9110, section 5.6.2, as headers' names are.
func token(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z'
		digit := '0' <= r && r <= '9'
		return !letter && !digit && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// isPairs reports whether a key holds names with values.
func isPairs(place any) bool {
	switch place.(type) {
	case *Headers, *Vars, *Columns:
		return true
	default:
		return false
	}
}
