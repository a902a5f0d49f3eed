package secret_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitrine/internal/secret"
)

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "file:" + path
	}
	f := func(configured, want, wantErr string) {
		t.Helper()
		got, err := secret.Resolve(configured)
		switch {
		case wantErr == "" && (err != nil || got != want):
			t.Errorf("got %q, %v for %s, want %q", got, err, configured, want)
		case wantErr != "" && (err == nil || !strings.Contains(err.Error(), wantErr)):
			t.Errorf("got error %v for %s, want %q", err, configured, wantErr)
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("got the secret in the error %v", err)
		}
	}
	f("Bearer abc", "Bearer abc", "")
	f(file("plain", "hush"), "hush", "")
	f(file("edited", " hush\r\n"), "hush", "")
	f(file("empty", " \n"), "", "is empty")
	f(file("lines", "hush\nhush"), "", "one line")
	f(file("large", strings.Repeat("hush", 1<<15)), "", "larger than")
	f("file:"+filepath.Join(dir, "gone"), "", "no such file")
}
