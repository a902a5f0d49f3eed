package platform

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	maxDepth    = 64     // nesting of an answer
	maxIDLength = 256    // bytes
	maxIDs      = 10_000 // of one list; what follows is cut off
)

// page is one answer, read.
type page struct {
	ids    []string
	count  int // of elements, before any was left out
	cursor string
	last   bool // the platform says that no page follows
}

// read takes a page out of an answer. Its errors are of kind BadAnswer, NotFound or Throttled.
func (r Recipe) read(body []byte, number int) (page, error) {
	if err := sound(body); err != nil {
		return page{}, &Error{Kind: BadAnswer, Err: err}
	}
	answer := gjson.ParseBytes(body)
	if err := reported(answer); err != nil {
		return page{}, err
	}
	if r.Unknown != "" {
		if v := answer.Get(r.Unknown); v.Exists() && nothing(v) {
			return page{}, &Error{Kind: NotFound}
		}
	}
	elements, id, err := r.elements(answer)
	if err != nil {
		return page{}, &Error{Kind: BadAnswer, Err: err}
	}
	p := page{count: len(elements)}
	for _, e := range elements {
		text, err := idOf(e, id)
		if err != nil {
			return page{}, &Error{Kind: BadAnswer, Err: err}
		}
		if text = strings.TrimPrefix(text, r.Prefix); text != "" {
			p.ids = append(p.ids, text)
		}
	}
	p.last = r.Paging.ends(answer, p.count, number)
	if r.Paging.Cursor != "" {
		p.cursor = answer.Get(r.Paging.Cursor).String()
		p.last = p.last || p.cursor == ""
	}
	return p, nil
}

// sound checks what gjson takes for granted. A nesting without bound would grow its
// stack until the process dies.
func sound(body []byte) error {
	switch {
	case !utf8.Valid(body):
		return errors.New("invalid UTF-8")
	case depth(body) > maxDepth:
		return fmt.Errorf("nested more than %d levels deep", maxDepth)
	case !gjson.ValidBytes(body):
		return errors.New("not JSON")
	}
	return nil
}

// depth is how deep a JSON text is nested. Of a text that is not JSON it is some number.
func depth(text []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '[' || c == '{':
			now++
			deepest = max(deepest, now)
		case c == ']' || c == '}':
			now--
		}
	}
	return deepest
}

// reported returns the errors that stand beside the list: GraphQL answers them with
// status 200, and a list that came with some is not to be trusted.
func reported(answer gjson.Result) error {
	if !answer.IsObject() {
		return nil
	}
	reports := answer.Get("errors")
	if nothing(reports) || reports.Type == gjson.False || reports.Type == gjson.String && reports.Str == "" {
		return nil
	}
	for _, code := range reports.Get("#.extensions.code").Array() {
		if code.Str == "THROTTLED" { // Shopify's, in both of its APIs
			return &Error{Kind: Throttled, Pause: pauseDefault}
		}
	}
	message := reports.Get("0.message").String()
	const most = 200
	if len(message) > most {
		message = strings.ToValidUTF8(message[:most], "") + "…"
	}
	return &Error{Kind: BadAnswer, Err: fmt.Errorf("an answer with errors: %q", message)}
}

// nothing reports whether v is missing, null, or an empty list or object.
func nothing(v gjson.Result) bool {
	if !v.IsArray() && !v.IsObject() {
		return !v.Exists() || v.Type == gjson.Null
	}
	empty := true
	v.ForEach(func(_, _ gjson.Result) bool {
		empty = false
		return false
	})
	return empty
}

// elements finds the list, and says where in each element the id is. gjson leaves
// an element without the id out of `list.#.id`; here that is a fault, and so the
// path is taken apart at its "#".
func (r Recipe) elements(answer gjson.Result) (elements []gjson.Result, id string, err error) {
	path := r.IDs
	if i := strings.LastIndex(path, "#."); i == 0 || i > 0 && path[i-1] == '.' {
		path, id = strings.TrimSuffix(path[:i], "."), path[i+len("#."):]
	}
	list := answer
	if path != "" {
		list = answer.Get(path)
	}
	if !list.IsArray() {
		return nil, "", fmt.Errorf("no list at %q", r.IDs)
	}
	return list.Array(), id, nil
}

// idOf reads an id: a string, or an integer as it is written.
func idOf(element gjson.Result, path string) (string, error) {
	v := element
	if path != "" {
		v = element.Get(path)
	}
	text := v.Str
	switch {
	case v.Type == gjson.Number && !strings.ContainsAny(v.Raw, ".eE"):
		text = v.Raw
	case v.Type != gjson.String:
		return "", errors.New("an element whose id is neither a string nor an integer")
	case strings.ContainsRune(text, utf8.RuneError):
		return "", errors.New("an id that is not valid UTF-8")
	}
	if len(text) > maxIDLength {
		return "", fmt.Errorf("an id of more than %d bytes", maxIDLength)
	}
	return text, nil
}

// ends reports whether the answer, of page number, with count elements, is the last.
func (p Paging) ends(answer gjson.Result, count, number int) bool {
	switch {
	case p.Next != "":
		return !answer.Get(p.Next).Bool()
	case p.Last != "":
		return int64(number) >= answer.Get(p.Last).Int()
	default:
		return count < p.Size
	}
}
