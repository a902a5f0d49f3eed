package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "vitrine.yaml")
	if err := os.WriteFile(file, []byte("budget: 1s\nlisten: :1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what    string
		args    []string
		environ []string
		code    int
		out     string // part of standard output
		err     string // part of standard error, "" if it is to be empty
	}{
		{"the default", nil, []string{"VITRINE_UPSTREAM_TOKEN=hush"}, exitOK, "budget: 300ms\n", ""},
		{"a secret", nil, []string{"VITRINE_UPSTREAM_TOKEN=hush"}, exitOK, "token: '******'\n", ""},
		{"a file", []string{"--config", file, "--upstream.token=hush"}, nil, exitOK, "budget: 1s\n", ""},
		{"a warning", nil, []string{"VITRINE_UPSTREAM_TOKEN=hush", "VITRINE_PORT=1"}, exitOK, "budget: 300ms\n", "warning: VITRINE_PORT"},
		{"mistakes", []string{"--config", file, "--budget=0"}, []string{"VITRINE_CACHE_FRESH=x"}, exitUsage, "", "VITRINE_CACHE_FRESH: got \"x\""},
		{"a missing file", []string{"--config", file + ".gone"}, nil, exitUsage, "", ".gone: no such file"},
		{"help", []string{"--help"}, nil, exitOK, "--upstream.token_file", ""},
	} {
		var out, problems strings.Builder
		code := cmdCheck(test.args, test.environ, &out, &problems)
		if code != test.code {
			t.Errorf("%s: got exit code %d, want %d\n%s", test.what, code, test.code, problems.String())
		}
		if got := out.String(); !strings.Contains(got, test.out) || test.out == "" && got != "" {
			t.Errorf("%s: got output %q, want %q in it", test.what, got, test.out)
		}
		if got := problems.String(); !strings.Contains(got, test.err) || test.err == "" && got != "" {
			t.Errorf("%s: got errors %q, want %q in them", test.what, got, test.err)
		}
		if strings.Contains(out.String()+problems.String(), "hush") {
			t.Errorf("%s: got the token shown, want it masked", test.what)
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if got := cmdVersion(&out); got != exitOK {
		t.Errorf("got exit code %d, want %d", got, exitOK)
	}
	if got := out.String(); !strings.HasPrefix(got, "vitrine ") || !strings.Contains(got, "commit ") || !strings.Contains(got, " go1.") {
		t.Errorf("got %q, want version, commit and Go version", got)
	}
}
