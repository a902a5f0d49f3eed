package fallback

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"vitrine/fallback/platform"
	"vitrine/internal/reco"
)

// fileLists are the lists of the file, by their places.
type fileLists map[place]*snapshot

// ReloadFile reads NativeOptions.File again: a JSON object of lists of ids, named
// "category:27", "similar:p1" and "shelf". A file that cannot be read leaves the
// lists as they were.
func (n *Natives) ReloadFile() error {
	if n.opt.File == "" {
		return nil
	}
	lists, err := readFileLists(n.opt.File)
	if err != nil {
		return fmt.Errorf("reading the native orderings of %s: %w", n.opt.File, err)
	}
	n.file.Store(&lists)
	return nil
}

func readFileLists(name string) (fileLists, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(name) //nolint:gosec // the operator names it
	if err != nil {
		return nil, err
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, err
	}
	lists := make(fileLists, len(raw))
	for key, ids := range raw {
		p, known := parseFilePlace(key)
		if !known {
			return nil, fmt.Errorf("%q is none of category:ID, similar:ID and shelf", key)
		}
		ranking, err := reco.ParseRanking([]byte(`{"products":` + string(ids) + `}`))
		if err != nil {
			return nil, fmt.Errorf("%q: %w", key, err)
		}
		lists[p] = &snapshot{ranking: ranking, at: info.ModTime()}
	}
	return lists, nil
}

func parseFilePlace(key string) (place, bool) {
	kind, id, named := strings.Cut(key, ":")
	for _, k := range platform.Lists() {
		if kind == k.String() {
			wants := k != platform.Shelf // which has no id, and no colon either
			return place{id: id, kind: k, source: fromFile}, named == wants && wants == (id != "")
		}
	}
	return place{}, false
}

// fileList returns the file's list of p, nil if there is none.
func (n *Natives) fileList(p place) *snapshot {
	if lists := n.file.Load(); lists != nil {
		return (*lists)[p]
	}
	return nil
}
