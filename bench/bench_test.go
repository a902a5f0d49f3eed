package main

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGoldenHelp(t *testing.T) {
	for _, c := range commands() {
		if c.short == "" {
			continue
		}
		golden(t, c.name, c.name, "-h")
	}
	golden(t, "overview", "-h")
}

func golden(t *testing.T, name string, args ...string) {
	t.Helper()
	var text bytes.Buffer
	if code := run(t.Context(), args, &text, io.Discard); code != exitOK {
		t.Errorf("%s: got exit status %d, want 0", name, code)
	}
	got := text.String()
	path := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"nothing"},
		{"run", "-scenario", "monday"},
		{"run", "-rate", "0"},
		{"run", "extra"},
		{"run", "-bots", "2"},
		{"run", "-slo", "p98<=1s"},
		{"run", "-set", "HOME=x"},
		{"run", "-pods", "2", "-redis", "embedded"},
		{"replay"},
		{"replay", "no-such-file"},
		{"compare", "one"},
		{"ab", "-work", "play"},
		{"chaos", "-suite", "99"},
		{"find", "-slo", ""},
		{"find", "-within", "1s"},
		{"fakeapi", "-script", "no-such-file"},
		{"hit", "-pods", "0"},
	} {
		var stderr bytes.Buffer
		if got := run(t.Context(), args, io.Discard, &stderr); got != exitUsage || stderr.Len() == 0 {
			t.Errorf("%q: got exit status %d and %q, want 2 and why", args, got, stderr.String())
		}
	}
}

func TestGeneratorAndRecorderFit(t *testing.T) {
	for _, p := range append(generatorTest(), recorderTest()...) {
		if !p.ok {
			t.Error(p)
		}
	}
}

// Nothing of a progress line may reach a file.
func TestProgressOnlyOnATerminal(t *testing.T) {
	var w bytes.Buffer
	newProgress(&w, os.Getenv).say("halfway")
	if w.Len() != 0 {
		t.Errorf("got %q, want nothing", w.String())
	}
}
