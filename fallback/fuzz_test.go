package fallback

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"vitrine/fallback/platform"
)

// A file of native orderings holds the lists that another reader finds in it, under the
// names they have there, or is refused as a whole.
func FuzzFileLists(f *testing.F) {
	for _, text := range []string{
		`{"category:27":["p1",2,"p1",""],"similar:p1":[],"shelf":["a"]}`,
		`{"category:":["a"]}`, `{"shelf:x":["a"]}`, `{"shelf":null}`, `{"shelf":["a"],"other":[]}`, `{"similar:a:b":["\ud83d\ude00"]}`,
		`{"shelf":["a"],"shelf:":["b"]}`, `{"shelf":["a"]}x`, `{"shelf":[1.5]}`, `{"shelf":{"products":["a"]}}`, `null`, `[]`, `{}`,
	} {
		f.Add([]byte(text))
	}
	name := filepath.Join(f.TempDir(), "native.json")
	f.Fuzz(func(t *testing.T, text []byte) {
		if !jsontext.Value(text).IsValid() {
			t.Skip("readers may differ on what is not strict JSON, or names a member twice")
		}
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := readFileLists(name)
		var want map[string][]any
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		fine := d.Decode(&want) == nil
		for key, list := range want {
			ids, ok := idsOf(list)
			p, known := placeNamed(key)
			if !ok || !known || list == nil {
				fine = false
				break
			}
			if err == nil {
				if s := got[p]; s == nil || !slices.Equal(s.ranking.IDs(), ids) {
					t.Errorf("%s: got %v at %q, want %q", text, s, key, ids)
				}
			}
		}
		if fine != (err == nil) || fine && len(got) != len(want) {
			t.Errorf("%s: got %d lists, %v, want %d, %t", text, len(got), err, len(want), fine)
		}
	})
}

func placeNamed(key string) (place, bool) {
	for prefix, kind := range map[string]platform.List{"category:": platform.Category, "similar:": platform.Similar} {
		if id, ok := strings.CutPrefix(key, prefix); ok && id != "" {
			return place{id: id, kind: kind, source: fromFile}, true
		}
	}
	return place{kind: platform.Shelf, source: fromFile}, key == "shelf"
}

// idsOf are the ids of a list, each once.
func idsOf(list []any) (ids []string, ok bool) {
	for _, element := range list {
		var id string
		switch e := element.(type) {
		case string:
			id = e
		case json.Number:
			id = e.String()
			if strings.ContainsAny(id, ".eE") {
				return nil, false
			}
		default:
			return nil, false
		}
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, true
}
