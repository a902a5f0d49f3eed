package main

import (
	"os"
	"path/filepath"
	"testing"
)

// What Prometheus reads names the sidecars that are there, and is a whole file throughout.
func TestTargets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets.json")
	there, err := newTargets(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct{ gone, come, want string }{
		{"", "", `[{"targets":[]}]`},
		{"", "127.0.0.1:2", `[{"targets":["127.0.0.1:2"]}]`},
		{"", "127.0.0.1:1", `[{"targets":["127.0.0.1:1","127.0.0.1:2"]}]`},
		{"127.0.0.1:2", "127.0.0.1:3", `[{"targets":["127.0.0.1:1","127.0.0.1:3"]}]`},
		{"127.0.0.1:1", "", `[{"targets":["127.0.0.1:3"]}]`},
	} {
		if err := there.replace(step.gone, step.come); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != step.want {
			t.Errorf("-%q +%q: got %s (%v), want %s", step.gone, step.come, got, err, step.want)
		}
	}
	nobody, err := newTargets("")
	if err != nil || nobody.replace("", "127.0.0.1:1") != nil {
		t.Errorf("got %v, want no file without a path", err)
	}
	if _, err := newTargets(filepath.Join(path, "no folder")); err == nil {
		t.Error("got nothing wrong with a file that cannot be written")
	}
}
