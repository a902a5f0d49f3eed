package rig

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The disk is as small as it was asked for, and nobody else sees it.
func TestDiskOfItsOwn(t *testing.T) {
	if err := CanMount(t.Context()); err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	command := inWorld([]string{onDisk(dir, 1<<20)}, []string{"sh", "-c", `echo x > "$0/seen" && df -k "$0" | tail -1`, dir})
	out, err := exec.CommandContext(t.Context(), command[0], command[1:]...).CombinedOutput()
	if fields := strings.Fields(string(out)); err != nil || len(fields) < 2 || fields[1] != "1024" {
		t.Errorf("got %s (%v), want a disk of 1024 KB", out, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("got %v outside, want nothing", left)
	}
}

// A path may hold anything.
func TestQuote(t *testing.T) {
	const want = `it's "$HOME"`
	out, err := exec.CommandContext(t.Context(), "sh", "-c", "printf %s "+quote(want)).Output()
	if err != nil || string(out) != want {
		t.Errorf("got %q (%v), want %q", out, err, want)
	}
}
