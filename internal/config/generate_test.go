package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the generated files anew")

// The files written from the struct say what the struct says.
func TestGolden(t *testing.T) {
	golden(t, "../../deploy/vitrine.example.yaml", example())
	golden(t, "../../deploy/vitrine.schema.json", schema(t))
	golden(t, "../../deploy/configuration.md", []byte("# Configuration\n\n"+table()))
}

// The README's table lies between two markers, once the README has them.
func TestGoldenReadme(t *testing.T) {
	const begin, end = "<!-- configuration:begin -->\n", "<!-- configuration:end -->\n"
	readme, err := os.ReadFile("../../README.md")
	head, rest, found := strings.Cut(string(readme), begin)
	if errors.Is(err, fs.ErrNotExist) || !found {
		t.Skip("no README.md with the markers")
	}
	_, tail, found := strings.Cut(rest, end)
	if !found {
		t.Fatalf("README.md: got no %q after %q", end, begin)
	}
	golden(t, "../../README.md", []byte(head+begin+table()+end+tail))
}

// golden compares a generated file with the one kept, or writes it.
func golden(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the configuration's struct says: run `make golden`", path)
	}
}

// The example is the default configuration, spelled out.
func TestExampleIsTheDefault(t *testing.T) {
	t.Parallel()
	got, warnings, err := Load([]string{"--config", "example", "--upstream.token", "t"}, nil,
		func(string) ([]byte, error) { return example(), nil })
	if err != nil || len(warnings) > 0 {
		t.Fatalf("got %v, warnings %q, want none", err, warnings)
	}
	want := Default()
	want.Upstream.Token = NewSecret("t")
	if got, want := string(got.Masked()), string(want.Masked()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// Every key can be named in every layer, and has a line for people.
func TestKeysAreDistinctAndDocumented(t *testing.T) {
	t.Parallel()
	c := Default()
	seen := map[string]string{FileVariable: "--config"}
	for _, k := range keys(&c) {
		if other, taken := seen[k.env()]; taken {
			t.Errorf("got %s for both %s and %s, want one each", k.env(), k.path, other)
		}
		seen[k.env()] = k.path
		if k.doc() == "" || strings.HasSuffix(k.doc(), ".") {
			t.Errorf("%s: got doc %q, want one line without a full stop", k.path, k.doc())
		}
	}
}

// documented lists the keys for people: of groups whose members are alike the first alone.
func documented() []key {
	var list []key
	seen := map[string]bool{}
	c := Default()
	for _, k := range keys(&c) {
		if !seen[k.each] {
			seen[k.each] = true
			list = append(list, k)
		}
	}
	return list
}

// example is a file with every key at its default. Keys whose default is no fixed value
// are commented out, so that the file means what an empty one does.
func example() []byte {
	out := []byte("# Every key of Vitrine's configuration, at its default. Written by `make golden`.\n" +
		"# yaml-language-server: $schema=vitrine.schema.json\n")
	previous := ""
	for _, k := range documented() {
		if strings.Count(k.path, ".") == 0 || strings.Count(previous, ".") == 0 ||
			!strings.HasPrefix(k.path, previous[:strings.IndexByte(previous, '.')+1]) {
			out = append(out, '\n')
		}
		out = appendGroups(out, previous, k.path)
		previous = k.path
		pad := indent(strings.Count(k.path, "."))
		doc := k.doc()
		if words := k.words(); len(words) > 0 {
			doc += " (" + strings.Join(words, ", ") + ")"
		}
		out = fmt.Appendf(out, "%s# %s\n", pad, doc)
		_, computed := k.tag.Lookup("unset")
		for line := range strings.Lines(k.yaml()) {
			if computed || k.general() != "" {
				line = pad + "# " + strings.TrimPrefix(line, pad)
			}
			out = append(out, line...)
		}
		if computed || k.general() != "" {
			out = append(bytes.TrimSuffix(out, []byte("\n")), "   # default: "+k.byDefault()+"\n"...)
		}
	}
	return out
}

// table is the documentation's, in Markdown.
func table() string {
	var out strings.Builder
	out.WriteString("Defaults < YAML file (`--config FILE` or `VITRINE_CONFIG`) < environment < flags (`--cache.fresh 30s`).\n" +
		"A variable's name is `VITRINE_` and the key in capitals, joined by `_`; one set to nothing counts as not\n" +
		"set. In variables and flags a list is written with commas, and headers as lines of `Name: value`.\n\n" +
		"| key | environment | default | meaning |\n| --- | --- | --- | --- |\n")
	for _, k := range documented() {
		env := envPrefix + strings.ToUpper(strings.ReplaceAll(k.each, ".", "_"))
		doc := k.doc()
		if words := k.words(); len(words) > 0 {
			doc += " (`" + strings.Join(words, "`, `") + "`)"
		}
		fmt.Fprintf(&out, "| `%s` | `%s` | %s | %s |\n", k.each, env, k.byDefault(), doc)
	}
	return out.String()
}

// schema is a JSON Schema, draft 2020-12, for editors.
func schema(t *testing.T) []byte {
	t.Helper()
	root := group()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = "Vitrine's configuration"
	c := Default()
	for _, k := range keys(&c) {
		at := root
		names := strings.Split(k.path, ".")
		for _, name := range names[:len(names)-1] {
			properties := at["properties"].(map[string]any)
			if properties[name] == nil {
				properties[name] = group()
			}
			at = properties[name].(map[string]any)
		}
		at["properties"].(map[string]any)[names[len(names)-1]] = k.schema()
	}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(out, '\n')
}

func group() map[string]any {
	return map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": map[string]any{}}
}

func (k key) schema() map[string]any {
	s := map[string]any{"description": k.doc()}
	switch k.place.(type) {
	case *bool:
		s["type"] = "boolean"
	case *int:
		s["type"], s["minimum"] = "integer", 0
	case *float64:
		s["type"], s["minimum"] = "number", 0
	case *Size:
		s["type"], s["minimum"], s["pattern"] = []string{"string", "integer"}, 0, "^[0-9]+([KMG]iB)?$"
	case *time.Duration:
		s["type"], s["pattern"] = []string{"string", "integer"}, "^0$|^([0-9]+(\\.[0-9]*)?(ns|us|µs|ms|s|m|h))+$"
		s["maximum"] = 0 // only zero needs no unit
	case *[]string:
		s["type"], s["items"] = "array", map[string]any{"type": "string"}
	case *Headers, *Vars, *Columns:
		s["type"], s["additionalProperties"] = "object", map[string]any{"type": "string"}
	default:
		s["type"] = "string"
	}
	if words := k.words(); len(words) > 0 {
		s["enum"] = words
	}
	if _, computed := k.tag.Lookup("unset"); !computed && k.general() == "" {
		s["default"] = shown(k.place)
	}
	return s
}
