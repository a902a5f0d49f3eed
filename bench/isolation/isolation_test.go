package isolation_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"

	"vitrine/bench/isolation"
	"vitrine/bench/rig"
)

// binary builds the sidecar as this test is built.
func binary(t *testing.T) string {
	t.Helper()
	build := rig.Build
	info, _ := debug.ReadBuildInfo()
	if slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		build = isolation.BuildRace
	}
	path, err := build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// The long run is a command: go run ./bench isolation -n 1000000 -race.
func TestNoListReachesAnother(t *testing.T) {
	server, err := rig.StartRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k1:"+base64.StdEncoding.EncodeToString(make([]byte, 32))), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := isolation.Run(t.Context(), isolation.Options{
		Binary: binary(t), Requests: 3000, Pods: 3, Workers: 32, Sessions: 40, Seed: 1, Redis: server.URL(), KeyFile: key,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got.Wrong > 0 {
		t.Errorf("got %d lists in the wrong hands, such as %q", got.Wrong, got.First)
	}
	if got.Failed > 0 {
		t.Errorf("got %d requests without an answer, the first: %s", got.Failed, got.Why)
	}
	for _, what := range []string{"api", "cache", "native", "(pages)", "(profiles)", "(erased)", "(hung up)"} {
		if got.Answers[what] == 0 {
			t.Errorf("got %v, want some of %q, or this has shown little", got.Answers, what)
		}
	}
}
