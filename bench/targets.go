package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
)

// targets is a file that tells a Prometheus where the metrics of the sidecars are that run
// now, in the form of its file_sd_configs. It is shared by all stages; a nil one tells nobody.
type targets struct {
	path string

	mu    sync.Mutex
	there map[string]struct{} // host:port
}

// newTargets writes a file that names nobody yet; without a path there is none.
func newTargets(path string) (*targets, error) {
	if path == "" {
		return nil, nil
	}
	t := &targets{path: path, there: make(map[string]struct{})}
	return t, t.replace("", "")
}

// replace tells that a sidecar has gone and another one is there; "" is none.
func (t *targets) replace(gone, come string) error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.there, gone)
	if come != "" {
		t.there[come] = struct{}{}
	}
	return t.writeLocked()
}

// group is targets with the same labels.
type group struct {
	Targets []string `json:"targets"`
}

// writeLocked replaces the file as a whole: Prometheus may read it at any time.
func (t *targets) writeLocked() error {
	addresses := slices.AppendSeq([]string{}, maps.Keys(t.there)) // an empty list, not null
	slices.Sort(addresses)
	text, err := json.Marshal([]group{{addresses}})
	if err != nil {
		return err
	}
	draft := t.path + ".new"
	if err := os.WriteFile(draft, text, 0o600); err != nil {
		return fmt.Errorf("telling where the metrics are: %w", err)
	}
	return os.Rename(draft, t.path)
}
