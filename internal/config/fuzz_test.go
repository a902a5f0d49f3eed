package config_test

import (
	"bytes"
	"os"
	"testing"

	"vitrine/internal/config"
)

// Any file, text and header is either refused, or what it means can be written down masked
// and read again to the same, by which no key is forgotten and no value is quoted wrongly.
func FuzzMaskedLoadsAgain(f *testing.F) {
	example, err := os.ReadFile("../../deploy/vitrine.example.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(example, "on", "a: b")
	f.Add([]byte("redis: {url: 'redis://u:p@a:1,b:2?password=x'}\nbudget: 1h1ns\ncache: {memory: 1025KiB}"), "on", "a: b")
	f.Add([]byte("platform: {kind: http, url: 'https://u@h/{id}', ids: '#.id', headers: {a: 'x: y', b: file:z}}"), "on", "a: b")
	f.Add([]byte("security: {allowed_hosts: [a, b]}\nholdout: {percent: 1e-9, salt: \"on # 'é'\"}"), "on", "a: b")
	f.Add([]byte("events: {customShelf: &a {mode: shadow, cache: {fresh: 1s}}, productView: *a}"), "on", "a: b")
	f.Add([]byte(nil), "# null\u00a0~ 'é' \"", "X-A: file:\\ : #\nx-b: {}")
	f.Fuzz(func(t *testing.T, file []byte, salt, headers string) {
		read := func(string) ([]byte, error) { return file, nil }
		environ := []string{"VITRINE_UPSTREAM_TOKEN=t", "VITRINE_HOLDOUT_SALT=" + salt, "VITRINE_PLATFORM_HEADERS=" + headers}
		c, _, err := config.Load([]string{"--config=f"}, environ, read)
		if err != nil {
			if err.Error() == "" {
				t.Error("got a mistake without words")
			}
			return
		}
		want := c.Masked()
		file = want
		again, _, err := config.Load([]string{"--config=f"}, nil, read)
		if err != nil {
			t.Fatalf("got %v, want to load again:\n%s", err, want)
		}
		if got := again.Masked(); !bytes.Equal(got, want) {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
	})
}
