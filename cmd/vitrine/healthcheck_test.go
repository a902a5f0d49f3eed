package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The exit code is the sidecar's own word, and nothing but probe.listen is needed to ask.
func TestHealthcheck(t *testing.T) {
	t.Parallel()
	alive := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/livez" || !alive {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	_, port, _ := strings.Cut(address, ":")
	file := filepath.Join(t.TempDir(), "vitrine.yaml")
	content := "probe: {listen: '" + address + "'}\nupstream: {token_file: /run/secrets/of/somebody/else}\nbudget: no time\n"
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		what    string
		args    []string
		environ []string
		want    int
	}{
		{"the environment", nil, []string{"VITRINE_PROBE_LISTEN=" + address}, exitOK},
		{"a flag", []string{"--probe.listen", address}, []string{"VITRINE_PROBE_LISTEN=127.0.0.1:1"}, exitOK},
		{"a file with other mistakes", []string{"--config", file}, nil, exitOK},
		{"all addresses", []string{"--probe.listen", ":" + port}, nil, exitOK},
		{"all addresses, spelled out", []string{"--probe.listen", "0.0.0.0:" + port}, nil, exitOK},
		{"no sidecar", []string{"--probe.listen", "127.0.0.1:1"}, nil, exitFailed},
		{"no file", []string{"--config", file + ".gone"}, nil, exitFailed},
		{"no address", []string{"--config", file, "--probe.listen", "here"}, nil, exitFailed},
		{"no such flag", []string{"--probe", address}, nil, exitFailed},
		{"help", []string{"--help"}, nil, exitOK},
	} {
		var out, problems strings.Builder
		got := run(t.Context(), append([]string{"healthcheck"}, test.args...), test.environ, &out, &problems)
		if got != test.want || (got == exitFailed) != strings.HasPrefix(problems.String(), "vitrine healthcheck: ") {
			t.Errorf("%s: got exit code %d and %q, want %d", test.what, got, problems.String(), test.want)
		}
	}
	alive = false
	var out, problems strings.Builder
	if got := run(t.Context(), []string{"healthcheck", "--probe.listen", address}, nil, &out, &problems); got != exitFailed {
		t.Errorf("got exit code %d for a 503, want %d", got, exitFailed)
	}
}
