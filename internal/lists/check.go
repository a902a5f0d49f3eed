package lists

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"vitrine/internal/reco"
)

// checked is what a body that is as documented holds.
type checked struct {
	body  []byte    // to be passed on
	empty bool      // nothing is in it, which may hide an error: not to be remembered
	until time.Time // the end that it names; zero = none
}

// errUndocumented stands for errors whose detail may quote the answer.
var errUndocumented = errors.New("the answer is not as documented")

// checkProducts reads {"products":[ids]}. That nothing is similar, or sells, says that the
// vendor does not know enough yet: an earlier list is better.
func checkProducts(body []byte) (checked, error) {
	ranking, err := reco.ParseRanking(body)
	if err != nil {
		return checked{}, errUndocumented
	}
	return checked{body: body, empty: ranking.Empty()}, nil
}

// checkSearch reads {"items":[…]}. The vendor answers a search that has failed like one
// that has found nothing.
func checkSearch(body []byte) (checked, error) {
	var found struct {
		Items []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(body, &found) != nil || found.Items == nil || !utf8.Valid(body) {
		return checked{}, errUndocumented
	}
	return checked{body: body, empty: len(found.Items) == 0}, nil
}

// checkCollection reads {"products":[{"productId":…,"active":…}],"endsAt":…} and leaves
// out the products that are not active; all else stays as it is, byte for byte. That none
// is left is the merchant's will, and remembered like any other.
func checkCollection(body []byte) (c checked, err error) {
	spans, err := members(body)
	products, ok := spans["products"]
	if err != nil || !ok || !utf8.Valid(body) {
		return checked{}, errUndocumented
	}
	if ends, ok := spans["endsAt"]; ok {
		var until *time.Time // null = it does not end
		if json.Unmarshal(ends.of(body), &until) != nil {
			return checked{}, errUndocumented
		}
		if until != nil {
			c.until = *until
		}
	}
	kept, dropped, err := active(products.of(body))
	if err != nil {
		return checked{}, errUndocumented
	}
	if !dropped {
		c.body = body
		return c, nil
	}
	c.body = bytes.Join([][]byte{body[:products.from], []byte("["), bytes.Join(kept, []byte(",")), []byte("]"), body[products.to:]}, nil)
	return c, nil
}

// active returns the elements of a list of products that are not marked as inactive.
func active(list []byte) (kept [][]byte, dropped bool, err error) {
	var products []json.RawMessage
	if err := json.Unmarshal(list, &products); err != nil || products == nil {
		return nil, false, errUndocumented
	}
	for _, raw := range products {
		product := struct {
			ProductID *json.RawMessage `json:"productId"`
			Active    bool             `json:"active"`
		}{Active: true}
		if json.Unmarshal(raw, &product) != nil || product.ProductID == nil {
			return nil, false, errUndocumented
		}
		if product.Active {
			kept = append(kept, raw)
		} else {
			dropped = true
		}
	}
	return kept, dropped, nil
}

// span is where a value lies in a document.
type span struct{ from, to int64 }

func (s span) of(body []byte) []byte { return body[s.from:s.to] }

// members returns where the values of an object's members lie. A name given twice is an
// error: whoever reads the document might take the other.
func members(body []byte) (map[string]span, error) {
	if !json.Valid(body) {
		return nil, errUndocumented
	}
	d := json.NewDecoder(bytes.NewReader(body))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return nil, errUndocumented
	}
	spans := make(map[string]span)
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("reading a name: %w", err)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading a value: %w", err)
		}
		text, _ := name.(string) // it is one, in an object
		if _, twice := spans[text]; twice {
			return nil, errUndocumented
		}
		spans[text] = span{d.InputOffset() - int64(len(value)), d.InputOffset()}
	}
	return spans, nil
}

// isObject reports whether a body is a JSON object, as all answers of the API are.
func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(body)
}
