package platform_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"vitrine/fallback/platform"
)

// A platform's answer is the list that another reader finds in it, in its order, or it is
// refused: nothing is guessed, cut or taken from elsewhere in the document.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{
		`{"items":[{"productId":"a"},{"productId":7},{"productId":"a"},{"productId":""}]}`,
		`{"items":[]}`,
		`{"errors":[],"items":[{"productId":"a"}]}`,
		`{"errors":[{"message":"no"}],"items":[{"productId":"a"}]}`,
		`{"errors":[{"extensions":{"code":"THROTTLED"}}]}`,
		`{"x":{"items":[{"productId":"z"}]},"items":[{"x":{"productId":"z"},"productId":-0}]}`,
		`{"it\u0065ms":[{"product\u0049d":"\ud83d\ude00\u0000"}]}`,
		`{"items":[{"productId":1e3}]}`, `{"items":[{"productId":"\ud800"}]}`, `{"items":[{}]}`, `{"items":{"productId":"a"}}`,
		`{"items.#.productId":["a"]}`, `[{"productId":"a"}]`, `{"items":[[{"productId":"a"}]]}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if !strict(body) {
			t.Skip("readers may differ on what is not strict JSON, or names a member twice")
		}
		want, listed := listIn(body)
		got, err := category(t, custom(answer(http.StatusOK, string(body))), "1")
		switch {
		case listed && (err != nil || !slices.Equal(got.IDs, want)):
			t.Errorf("%s: got %q, %v, want %q", body, got.IDs, err, want)
		case !listed && err == nil:
			t.Errorf("%s: got %q, want it refused", body, got.IDs)
		case !listed && platform.KindOf(err) != platform.BadAnswer && platform.KindOf(err) != platform.Throttled:
			t.Errorf("%s: got %v, want a bad answer", body, err)
		}
	})
}

// strict reports whether a document is JSON to the strictest reader there is.
func strict(body []byte) bool {
	value := jsontext.Value(body)
	return value.IsValid() && !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("\ufeff"))
}

// listIn reads items.#.productId, and reports false if there is no such list, or if errors
// stand beside it.
func listIn(body []byte) (ids []string, ok bool) {
	var object map[string]json.RawMessage
	if json.Unmarshal(body, &object) != nil {
		return nil, false
	}
	switch errors := string(bytes.Join(bytes.Fields(object["errors"]), nil)); errors {
	case "", "null", "[]", "{}", "false", `""`:
	default:
		return nil, false
	}
	var items []map[string]any
	d := json.NewDecoder(bytes.NewReader(object["items"]))
	d.UseNumber()
	if d.Decode(&items) != nil || items == nil {
		return nil, false
	}
	for _, item := range items {
		var id string
		switch value := item["productId"].(type) {
		case string:
			id = value
		case json.Number:
			id = value.String()
		}
		_, number := item["productId"].(json.Number)
		_, text := item["productId"].(string)
		if !number && !text || number && strings.ContainsAny(id, ".eE") || len(id) > 256 || strings.ContainsRune(id, utf8.RuneError) {
			return nil, false
		}
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, true
}
