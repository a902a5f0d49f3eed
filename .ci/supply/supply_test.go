// Package supply_test looks at a release as somebody who was given it: the sums are those
// of the files, an SBOM lists what its binary says it was linked from, and every module of
// it is in the notices. `make release-test` makes the release.
//
// It is a module of its own, with the tools that write into a release: what they need is
// none of the sidecar's business.
package supply_test

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// binaries are what a release is for.
var binaries = []string{"vitrine-darwin-amd64", "vitrine-darwin-arm64", "vitrine-linux-amd64", "vitrine-linux-arm64"}

// release gives a path in the folder that `make release` made.
func release(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("RELEASE")
	if dir == "" {
		t.Skip("RELEASE names no folder: run make release-test")
	}
	return filepath.Join(dir, name)
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Every file of a release is in its sums, with the sum it has.
func TestSums(t *testing.T) {
	want := []string{"LICENSE", "THIRD_PARTY_NOTICES"}
	for _, name := range binaries {
		want = append(want, name, name+".cdx.json")
	}
	slices.Sort(want)
	var got []string
	for line := range strings.Lines(string(read(t, release(t, "SHA256SUMS")))) {
		sum, name, _ := strings.Cut(strings.TrimSpace(line), "  ")
		got = append(got, name)
		if have := sha256.Sum256(read(t, release(t, name))); hex.EncodeToString(have[:]) != sum {
			t.Errorf("%s: got %x, want %s", name, have, sum)
		}
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("got sums of %q, want of %q", got, want)
	}
	files, err := os.ReadDir(release(t, ""))
	if err != nil || len(files) != len(want)+1 {
		t.Errorf("got %d files, %v, want those and their sums", len(files), err)
	}
}

// A binary knows its version, runs where it says, and needs nothing of where it was built.
func TestBinaries(t *testing.T) {
	for _, name := range binaries {
		info, err := buildinfo.ReadFile(release(t, name))
		if err != nil {
			t.Fatal(err)
		}
		settings := map[string]string{}
		for _, s := range info.Settings {
			settings[s.Key] = s.Value
		}
		if got := "vitrine-" + settings["GOOS"] + "-" + settings["GOARCH"]; got != name {
			t.Errorf("%s: got it built for %s", name, got)
		}
		if settings["CGO_ENABLED"] != "0" || settings["-trimpath"] != "true" || info.GoVersion != runtime.Version() {
			t.Errorf("%s: got %v of %s", name, settings, info.GoVersion)
		}
		if home, err := os.UserHomeDir(); err == nil && len(home) > 1 && bytes.Contains(read(t, release(t, name)), []byte(home+"/go")) {
			t.Errorf("%s: got the builder's folder in it", name)
		}
	}
	out, err := exec.CommandContext(t.Context(), release(t, "vitrine-"+runtime.GOOS+"-"+runtime.GOARCH), "version").Output()
	if err != nil || bytes.Contains(out, []byte("unknown")) {
		t.Errorf("got %s, %v, want a version and a commit", out, err)
	}
}

// An SBOM is CycloneDX as its schema has it, says nothing of when it was made, names its
// binary by hash, and lists the modules that the binary itself says it was linked from.
func TestSBOMs(t *testing.T) {
	schema := compile(t, "bom-1.6.schema.json")
	for _, name := range binaries {
		raw := read(t, release(t, name+".cdx.json"))
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var bom cyclonedx.BOM
		if err := json.Unmarshal(raw, &bom); err != nil {
			t.Fatal(err)
		}
		if bom.SpecVersion != cyclonedx.SpecVersion1_6 || bom.SerialNumber != "" || bom.Metadata.Timestamp != "" {
			t.Errorf("%s: got version %v, serial number %q, time %q", name, bom.SpecVersion, bom.SerialNumber, bom.Metadata.Timestamp)
		}
		if c := bom.Metadata.Component; c.Name != "vitrine" || c.Version == "" {
			t.Errorf("%s: got it said to be of %s %s", name, c.Name, c.Version)
		}
		sum := sha256.Sum256(read(t, release(t, name)))
		if !slices.Contains(*bom.Metadata.Properties, cyclonedx.Property{Name: "cdx:gomod:binary:hash:SHA-256", Value: hex.EncodeToString(sum[:])}) {
			t.Errorf("%s: got another binary's SBOM", name)
		}
		got := map[string]string{}
		for _, c := range *bom.Components {
			got[c.Name] = c.Version
		}
		want := modules(t, name)
		for module, version := range want {
			if got[module] != version {
				t.Errorf("%s: got %s %q, want %q", name, module, got[module], version)
			}
		}
		if len(got) != len(want) || len(*bom.Components) != len(want) {
			t.Errorf("%s: got %d components, want %d", name, len(*bom.Components), len(want))
		}
	}
}

// Every module linked into a binary is in the notices by name.
func TestNotices(t *testing.T) {
	notices := "\n" + string(read(t, release(t, "THIRD_PARTY_NOTICES")))
	for _, name := range binaries {
		for module := range modules(t, name) {
			if module == "std" {
				module = "Go (runtime and standard library)"
			}
			if !strings.Contains(notices, "\n"+module+"/") {
				t.Errorf("%s: got no notice of %s", name, module)
			}
		}
	}
}

// modules are the libraries a binary says it was linked from, Go's own included, with their versions.
func modules(t *testing.T, binary string) map[string]string {
	t.Helper()
	info, err := buildinfo.ReadFile(release(t, binary))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"std": info.GoVersion}
	for _, m := range info.Deps {
		all[m.Path] = m.Version
	}
	return all
}

// compile reads a schema, and those it refers to, from where the library keeps them.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(strings.TrimSpace(string(out)), "schema")
	compiler := jsonschema.NewCompiler()
	for id, file := range map[string]string{"spdx": "spdx.schema.json", "jsf-0.82": "jsf-0.82.schemax.json"} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(read(t, filepath.Join(dir, file))))
		if err != nil {
			t.Fatal(err)
		}
		if err := compiler.AddResource("http://cyclonedx.org/schema/"+id+".schema.json", document); err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return schema
}
