package reco

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"
)

// Ranking is an immutable list of product ids, best first, without duplicates.
// It is kept in the one form that is ever sent, so that serving it again is a
// copy of bytes, and holding a million of them costs a string each. The zero
// Ranking is the empty list.
type Ranking struct {
	json string // `{"products":["…"]}`; "" for the empty list
}

const (
	rankingHead  = `{"products":[`
	rankingTail  = `]}`
	emptyRanking = rankingHead + rankingTail
)

// ErrBadAnswer says that a body is not a list of products: not JSON, no list,
// or a list with an element that is neither a string nor an integer.
var ErrBadAnswer = errors.New("not a list of products")

// ParseRanking reads the API's answer, `{"products":["p1",2,…]}`. Duplicates
// and empty ids are left out, the order is kept. The error wraps [ErrBadAnswer].
func ParseRanking(body []byte) (Ranking, error) {
	return parseRanking(unsafe.String(unsafe.SliceData(body), len(body))) //nolint:gosec // nothing of it is kept
}

// parseRanking keeps nothing of the body, not even in an error.
func parseRanking(body string) (Ranking, error) {
	r := reader{s: body}
	l := newList()
	defer l.release()
	found := false
	for m := r.object(); m.next(); {
		if m.name != "products" {
			r.skip()
			continue
		}
		found = true
		for e := r.array(); e.next(); {
			l.Add(r.id())
		}
	}
	r.end()
	switch {
	case r.err != nil:
		why := &SyntaxError{Member: strings.Clone(r.err.Member), Detail: strings.Clone(r.err.Detail)}
		return Ranking{}, fmt.Errorf("%w: %w", ErrBadAnswer, why)
	case !found:
		return Ranking{}, fmt.Errorf("%w: no member products", ErrBadAnswer)
	}
	return l.Ranking(), nil
}

// RankingFromJSON takes over what [Ranking.JSON] once gave, from a store that
// may have changed it: anything but that exact form is an [ErrBadAnswer].
func RankingFromJSON(json string) (Ranking, error) {
	r, err := parseRanking(json)
	if err != nil {
		return Ranking{}, err
	}
	if r.JSON() != json {
		return Ranking{}, fmt.Errorf("%w: not in the stored form", ErrBadAnswer)
	}
	return r, nil
}

// RankingOfOurs takes over what [Ranking.JSON] once gave, from a store that vouches for
// every byte of it, so that nothing needs to be looked at.
func RankingOfOurs(json string) Ranking {
	if json == emptyRanking {
		return Ranking{}
	}
	return Ranking{json: json}
}

// JSON is the body to send: `{"products":["p1","p2"]}`.
func (r Ranking) JSON() string {
	if r.json == "" {
		return emptyRanking
	}
	return r.json
}

// Empty reports whether r ranks nothing.
func (r Ranking) Empty() bool { return r.json == "" }

// Len is the number of products.
func (r Ranking) Len() int {
	n := 0
	for range r.All {
		n++
	}
	return n
}

// IDs lists the products, best first. They share r's memory.
func (r Ranking) IDs() []string { return r.AppendIDs(nil) }

// AppendIDs appends the products to dst, best first. They share r's memory.
func (r Ranking) AppendIDs(dst []string) []string {
	for id := range r.All {
		dst = append(dst, id)
	}
	return dst
}

// All calls yield for each product, best first, until it returns false.
func (r Ranking) All(yield func(id string) bool) {
	if r.json == "" {
		return
	}
	rest := r.json[len(rankingHead):]
	for rest[0] == '"' {
		id, n := cutString(rest)
		if !yield(id) {
			return
		}
		if rest[n] != ',' {
			return
		}
		rest = rest[n+1:]
	}
}

// Without returns r less one product.
func (r Ranking) Without(id string) Ranking {
	if id == "" || !r.contains(id) {
		return r
	}
	ids := r.IDs()
	kept := ids[:0]
	for _, have := range ids {
		if have != id {
			kept = append(kept, have)
		}
	}
	return NewRanking(kept)
}

func (r Ranking) contains(id string) bool {
	for have := range r.All {
		if have == id {
			return true
		}
	}
	return false
}

// cutString reads the string that s, a body this package encoded, begins with,
// and says how many bytes it took there.
func cutString(s string) (id string, n int) {
	if end := 1 + plain(s[1:]); s[end] == '"' {
		return s[1:end], end + 1
	}
	r := reader{s: s}
	id = r.str()
	return id, r.i
}
