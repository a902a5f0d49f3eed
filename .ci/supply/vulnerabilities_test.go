package supply_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// check runs .ci/vulnerabilities on one package, and returns what it printed and its exit code.
func check(t *testing.T, env ...string) (string, int) {
	t.Helper()
	tool := os.Getenv("GOVULNCHECK")
	if tool == "" {
		t.Skip("GOVULNCHECK names no tool: run make release-test")
	}
	command := exec.CommandContext(t.Context(), "../vulnerabilities", tool, "./fallback/platform")
	command.Env = append(os.Environ(), env...)
	out, err := command.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), command.ProcessState.ExitCode()
}

// database makes one that knows of a single flaw, in a function of a library, and returns its address.
func database(t *testing.T, library, function string) string {
	t.Helper()
	dir := t.TempDir()
	const id, modified = "GO-2026-9999", "2026-01-01T00:00:00Z"
	for name, content := range map[string]string{
		"index/db.json":      fmt.Sprintf(`{"modified":%q}`, modified),
		"index/modules.json": fmt.Sprintf(`[{"path":%q,"vulns":[{"id":%q,"modified":%q}]}]`, library, id, modified),
		"index/vulns.json":   fmt.Sprintf(`[{"id":%q,"modified":%q}]`, id, modified),
		"ID/" + id + ".json": fmt.Sprintf(`{"schema_version":"1.3.1","id":%q,"modified":%q,"published":%[2]q,"details":"made up","database_specific":{"url":"https://example.org/made-up"},
			"affected":[{"package":{"name":%[3]q,"ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}],
			"ecosystem_specific":{"imports":[{"path":%[3]q,"symbols":[%[4]q]}]}}]}`, id, modified, library, function),
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return "file://" + filepath.ToSlash(dir)
}

// A flaw in what the package calls fails the check; one in what it links and does not call,
// or does not link, passes.
func TestVulnerabilities(t *testing.T) {
	for _, c := range []struct {
		library, function string
		want              int
	}{
		{"github.com/tidwall/gjson", "ParseBytes", 3},
		{"github.com/tidwall/gjson", "DisableModifiers", 0},
		{"example.org/other", "Parse", 0},
	} {
		out, code := check(t, "GOVULNDB="+database(t, c.library, c.function))
		if code != c.want || strings.Contains(out, "Vulnerability #1: GO-2026-9999") != (c.want != 0) {
			t.Errorf("%s of %s: got exit code %d, want %d:\n%s", c.function, c.library, code, c.want, out)
		}
	}
}

// Without its database the check passes and says that it was skipped; but one that
// somebody named has to be there.
func TestNoVulnerabilityDatabase(t *testing.T) {
	const nowhere = "127.0.0.1:1"
	out, code := check(t, "GOVULNDB=", "HTTPS_PROXY=http://"+nowhere)
	if code != 0 || !strings.HasPrefix(out, "vulnerabilities: skipped: ") || strings.Count(out, "\n") != 1 {
		t.Errorf("got exit code %d, want 0 and that it was skipped:\n%s", code, out)
	}
	if out, code := check(t, "GOVULNDB=http://"+nowhere); code != 1 || strings.Contains(out, "skipped") {
		t.Errorf("one that was named: got exit code %d, want 1:\n%s", code, out)
	}
}
