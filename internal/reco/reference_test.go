package reco_test

import (
	"bytes"
	"errors"
	"io"
	"math/big"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"vitrine/internal/reco"
)

// The contract a second time: slow, on a tree, with a strict decoder that others
// keep. The fuzz tests hold the quick reader equal to it.

var (
	errTooDeep  = errors.New("nested too deeply")
	errTrailing = errors.New("data after the document")
	errContract = errors.New("against the contract")
)

type (
	number string         // as it is written
	object map[string]any // its values: nil, bool, string, number, []any, object
)

// decodeTree reads one document, which may be nested 64 levels deep.
func decodeTree(doc []byte) (any, error) {
	d := jsontext.NewDecoder(bytes.NewReader(doc), jsontext.AllowDuplicateNames(false), jsontext.AllowInvalidUTF8(false))
	tree, err := decodeValue(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.ReadToken(); !errors.Is(err, io.EOF) {
		return nil, errTrailing
	}
	return tree, nil
}

func decodeValue(d *jsontext.Decoder) (any, error) {
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	if d.StackDepth() > 64 {
		return nil, errTooDeep
	}
	switch token.Kind() {
	case 'n':
		return nil, nil
	case 't', 'f':
		return token.Bool(), nil
	case '"':
		return token.String(), nil
	case '0':
		return number(token.String()), nil
	case '[':
		list := []any{}
		for d.PeekKind() != ']' {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.ReadToken()
		return list, err
	default:
		o := object{}
		for d.PeekKind() != '}' {
			name, err := d.ReadToken()
			if err != nil {
				return nil, err
			}
			key := name.String()
			if o[key], err = decodeValue(d); err != nil {
				return nil, err
			}
		}
		_, err := d.ReadToken()
		return o, err
	}
}

// contract turns a tree into a request. Its first broken rule panics with
// errContract, which the caller recovers: a test may.
type contract struct{}

func (contract) must(ok bool) {
	if !ok {
		panic(errContract)
	}
}

func (c contract) object(v any) object {
	o, ok := v.(object)
	c.must(ok)
	return o
}

func (c contract) list(v any) []any {
	l, ok := v.([]any)
	c.must(ok)
	return l
}

// integer is nil if v is no integer literal.
func (c contract) integer(v any) *big.Int {
	n, ok := v.(number)
	if !ok || bytes.ContainsAny([]byte(n), ".eE") {
		return nil
	}
	i, ok := new(big.Int).SetString(string(n), 10)
	c.must(ok)
	return i
}

func (c contract) atLeast(least int64, v any) int {
	i := c.integer(v)
	c.must(i != nil && i.Cmp(big.NewInt(least)) >= 0)
	if most := big.NewInt(1 << 40); i.Cmp(most) > 0 {
		i = most
	}
	return int(i.Int64())
}

func (c contract) milliseconds(v any) time.Duration {
	return min(time.Duration(c.atLeast(1, v))*time.Millisecond, time.Hour)
}

func (c contract) id(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	c.must(c.integer(v) != nil)
	return string(v.(number))
}

func (c contract) boolean(v any) bool {
	b, ok := v.(bool)
	c.must(ok)
	return b
}

func (c contract) ids(v any, nulls bool) []string {
	var ids []string
	for _, element := range c.list(v) {
		if nulls && element == nil {
			continue
		}
		if id := c.id(element); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func (c contract) request(v any) (r reco.Request) {
	o := c.object(v)
	switch user := o["userId"].(type) {
	case nil:
	case string:
		r.User = user
	case number:
		r.User = string(user)
	default:
		c.must(false)
	}

	session, ok := o["sessionId"].(string)
	c.must(ok && session != "" && len(session) <= 256)
	r.Session = session

	name, _ := o["eventType"].(string)
	r.Type, ok = map[string]reco.EventType{
		"productView": reco.ProductView, "categoryView": reco.CategoryView,
		"shopTheLook": reco.ShopTheLook, "customShelf": reco.CustomShelf,
	}[name]
	c.must(ok)

	r.Item = c.id(c.object(o["data"])["id"])
	c.must(len(r.Item) <= 256 && (r.Item == "") == (r.Type == reco.CustomShelf))

	if o["vitrine"] != nil {
		r.Options = c.options(c.object(o["vitrine"]))
	}
	return r
}

func (c contract) options(o object) (r reco.Options) {
	for name, v := range o {
		if v == nil {
			continue
		}
		switch name {
		case "native":
			r.Native = c.ids(v, true)
		case "exclude":
			r.Exclude = c.ids(v, true)
		case "limit":
			r.Limit = c.atLeast(1, v)
		case "budgetMs":
			r.Budget = c.milliseconds(v)
		case "complete":
			r.Complete = c.boolean(v)
		case "bot":
			r.Bot = c.boolean(v)
		case "page":
			page := c.object(v)
			r.Page = reco.Page{Size: c.atLeast(1, page["size"]), Number: 1}
			if n, there := page["number"]; there {
				r.Page.Number = c.atLeast(1, n)
			}
		}
	}
	return r
}

func (c contract) pageful(v any) (p reco.Pageful) {
	o := c.object(v)
	events := c.list(o["events"])
	c.must(len(events) >= 1 && len(events) <= 8)
	for _, e := range events {
		p.Requests = append(p.Requests, c.request(e))
	}
	if budget, there := o["budgetMs"]; there {
		p.Budget = c.milliseconds(budget)
	}
	return p
}

func (c contract) stock(v any) (all []reco.Stock) {
	for _, element := range c.list(v) {
		o := c.object(element)
		s := reco.Stock{ID: c.id(o["id"]), Quantity: c.atLeast(0, o["quantity"])}
		c.must(s.ID != "" && len(s.ID) <= reco.MaxIDLength)
		all = append(all, s)
	}
	return all
}

// products is what the API's answer holds: its ids once each, without the empty one.
func (c contract) products(v any) []string {
	var ids []string
	seen := map[string]bool{"": true}
	for _, id := range c.ids(c.object(v)["products"], false) {
		if !seen[id] {
			ids = append(ids, id)
		}
		seen[id] = true
	}
	return ids
}

// byContract reads a document with one of the methods above.
func byContract[T any](doc []byte, read func(contract, any) T) (result T, err error) {
	tree, err := decodeTree(doc)
	if err != nil {
		return result, err
	}
	defer func() {
		switch p := recover(); p {
		case nil:
		case errContract:
			err = errContract
		default:
			panic(p)
		}
	}()
	return read(contract{}, tree), nil
}
