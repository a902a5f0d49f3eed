package platform

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// scope is what a template may refer to.
type scope struct {
	id     string
	cursor string
	page   int // from 1
	size   int
	vars   map[string]value
}

// value is a variable filled in.
type value struct {
	text    string
	address bool // goes into an address as it is
}

func (s scope) find(name string) (value, error) {
	first := (max(s.page, 1) - 1) * s.size
	switch name {
	case "id":
		return value{text: s.id}, nil
	case "cursor":
		return value{text: s.cursor}, nil
	case "size":
		return value{text: strconv.Itoa(s.size)}, nil
	case "page":
		return value{text: strconv.Itoa(s.page)}, nil
	case "from":
		return value{text: strconv.Itoa(first)}, nil
	case "to":
		return value{text: strconv.Itoa(first + s.size - 1)}, nil
	}
	if v, found := s.vars[name]; found {
		return v, nil
	}
	return value{}, fmt.Errorf("{%s} is no variable", name)
}

// expand fills in a template, with every value as put gives it.
func (s scope) expand(template string, put func(value) string) (string, error) {
	var out strings.Builder
	for {
		literal, rest, found := strings.Cut(template, "{")
		out.WriteString(literal)
		if !found {
			return out.String(), nil
		}
		name, tail, closed := strings.Cut(rest, "}")
		if !closed {
			return "", errors.New("a { without its }")
		}
		v, err := s.find(name)
		if err != nil {
			return "", err
		}
		out.WriteString(put(v))
		template = tail
	}
}

// address fills in an address.
func (s scope) address(template string) (string, error) {
	return s.expand(template, func(v value) string {
		if v.address {
			return v.text
		}
		return encode(v.text)
	})
}

// encode percent-encodes every byte but the unreserved ones (RFC 3986, section 2.3).
func encode(text string) string {
	const hex = "0123456789ABCDEF"
	var out strings.Builder
	for _, c := range []byte(text) {
		if alphanumeric(c) || strings.IndexByte("-._~", c) >= 0 {
			out.WriteByte(c)
			continue
		}
		out.WriteByte('%')
		out.WriteByte(hex[c>>4])
		out.WriteByte(hex[c&15])
	}
	return out.String()
}

func alphanumeric(c byte) bool { return c|0x20-'a' < 26 || c-'0' < 10 }

// body makes the body of a GraphQL request.
func (s scope) body(r Recipe) ([]byte, error) {
	variables := make(map[string]any, len(r.Variables))
	for name, v := range r.Variables {
		if v.Text == "{cursor}" && s.cursor == "" {
			variables[name] = nil
			continue
		}
		text, err := s.expand(v.Text, func(v value) string { return v.text })
		if err != nil {
			return nil, err
		}
		variables[name] = text
		if v.JSON {
			variables[name] = json.RawMessage(text)
		}
	}
	return json.Marshal(map[string]any{"query": r.Query, "variables": variables})
}

// values fills in the preset's variables. Those that name files still name them.
func (o Options) values(p Preset) map[string]value {
	s := scope{vars: make(map[string]value, len(p.Vars))}
	for _, v := range p.Vars {
		text := o.Vars[v.Name]
		if text == "" {
			// A default refers to variables that may be missing, which is reported by
			// itself: what cannot be filled in stays as it stands.
			text = v.Default
			if filled, err := s.address(v.Default); err == nil {
				text = filled
			}
		}
		if v.Address {
			text = strings.TrimRight(text, "/")
		}
		s.vars[v.Name] = value{text: text, address: v.Address}
	}
	return s.vars
}
