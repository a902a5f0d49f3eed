// Package vitrine_test keeps the shape of the module: arrows between packages run
// downwards only, and each third-party library has one production package that knows it.
package vitrine_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "vitrine"

// mayImport says, bottom up, which packages of the module each one may import. A name
// ending in "/..." stands for the packages below it. Test files are free: they may use
// the stand-in API and shop of bench.
func mayImport() map[string]string {
	return map[string]string{
		// The nouns, and mechanisms that know no domain word.
		"internal/reco":      "",
		"internal/journal":   "",
		"breaker":            "",
		"internal/logs":      "",
		"internal/lru":       "",
		"internal/secret":    "",
		"internal/trace":     "",
		"internal/redistest": "",

		// One dependency each: Redis, the API, the shop's platform, its feed.
		"internal/redis":     "breaker internal/reco",
		"internal/fashionai": "breaker internal/reco",
		"fallback/platform":  "breaker internal/reco internal/secret",
		"fallback/catalog":   "internal/reco internal/secret",

		// Policy.
		"cache":             "internal/redis internal/reco internal/trace",
		"internal/delivery": "breaker cache internal/fashionai internal/journal internal/reco internal/redis internal/trace",
		"internal/profile":  "breaker internal/fashionai internal/lru internal/reco internal/redis",
		"internal/lists":    "breaker internal/fashionai internal/lru internal/reco",
		"fallback":          "breaker cache fallback/catalog fallback/platform internal/delivery internal/reco internal/trace",

		// What is seen from outside.
		"internal/proxy": "breaker cache fallback internal/delivery internal/lists internal/profile internal/reco internal/trace",
		"internal/ops": "breaker cache fallback fallback/catalog fallback/platform internal/delivery " +
			"internal/journal internal/logs internal/profile internal/proxy internal/reco internal/redis",

		// The program. Only its demo may use the bench's stand-ins.
		"internal/config": "internal/reco",
		"cmd/vitrine": "breaker cache fallback fallback/catalog fallback/platform internal/config internal/delivery " +
			"internal/fashionai internal/journal internal/lists internal/logs internal/ops internal/profile internal/proxy internal/reco " +
			"internal/redis internal/secret internal/trace bench/fakeapi bench/fakeshop bench/shopdata",

		// The measuring tool may look at everything but the program, which it runs.
		"bench":     "bench/... breaker cache fallback/... internal/...",
		"bench/...": "bench/... breaker cache fallback/... internal/...",

		// What is deployed, run as a pod with the bench's stand-ins.
		"deploy/rehearsal": "bench/...",
	}
}

// mayUse names the production packages that may import each third-party library.
// Bench may use any of them, and alone those listed with it.
func mayUse() map[string]string {
	return map[string]string{
		"github.com/HdrHistogram/hdrhistogram-go": "bench",
		"github.com/alicebob/miniredis/v2":        "internal/redis",
		"github.com/klauspost/compress":           "cache",
		"github.com/maypok86/otter/v2":            "cache",
		"github.com/prometheus/client_golang":     "internal/ops",
		"github.com/prometheus/client_model":      "internal/ops",
		"github.com/redis/go-redis/v9":            "internal/redis",
		"github.com/sony/gobreaker/v2":            "breaker",
		"github.com/tidwall/gjson":                "fallback/platform",
		"github.com/valyala/fasthttp":             "internal/proxy internal/fashionai",
		"google.golang.org/protobuf":              "internal/trace",
		"go.yaml.in/yaml/v4":                      "internal/config deploy/rehearsal",
	}
}

// listed is what `go list -json` tells of a package.
type listed struct {
	ImportPath string
	Imports    []string // of production files
}

func TestImportsRunDownwards(t *testing.T) {
	table := mayImport()
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		allowed, ok := lookup(table, name)
		if !ok && len(p.Imports) > 0 {
			t.Errorf("package %s is not in the table: say what it may import", name)
			continue
		}
		for _, imported := range p.Imports {
			if !ours(imported) {
				continue
			}
			if !covers(allowed, short(imported)) {
				t.Errorf("got %s importing %s, want one of: %s", name, short(imported), allowed)
			}
		}
	}
}

func TestEachLibraryHasOneOwner(t *testing.T) {
	table := mayUse()
	for _, p := range packages(t) {
		name := short(p.ImportPath)
		for _, imported := range p.Imports {
			if ours(imported) || standard(imported) {
				continue
			}
			owners, ok := owner(table, imported)
			switch {
			case !ok:
				t.Errorf("%s imports %s, which is not in the table: say who may", name, imported)
			case name == "bench" || strings.HasPrefix(name, "bench/"):
			case !covers(owners, name):
				t.Errorf("got %s importing %s, want only: %s", name, imported, owners)
			}
		}
	}
}

// The tables are themselves checked: an arrow that could run in a circle is no arrow.
func TestTableHasNoCircle(t *testing.T) {
	table := mayImport()
	var visit func(name string, path []string)
	visit = func(name string, path []string) {
		if slices.Contains(path, name) {
			t.Fatalf("got a circle %s, want none", strings.Join(append(path, name), " → "))
		}
		for next := range strings.FieldsSeq(table[name]) {
			if !strings.HasSuffix(next, "/...") {
				visit(next, append(slices.Clone(path), name))
			}
		}
	}
	for name := range table {
		visit(name, nil)
	}
}

func packages(t *testing.T) []listed {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Imports", "./...")
	var problems bytes.Buffer
	command.Stderr = &problems
	out, err := command.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v\n%s", err, problems.Bytes())
	}
	var all []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("reading go list's answer: %v", err)
		}
		all = append(all, p)
	}
}

// lookup finds a package's own row, else that of the nearest pattern above it.
func lookup(table map[string]string, name string) (string, bool) {
	if allowed, ok := table[name]; ok {
		return allowed, true
	}
	for at := strings.LastIndexByte(name, '/'); at > 0; at = strings.LastIndexByte(name[:at], '/') {
		if allowed, ok := table[name[:at]+"/..."]; ok {
			return allowed, true
		}
	}
	return "", false
}

// covers reports whether a row's list names the package, itself or by a pattern.
func covers(list, name string) bool {
	return slices.ContainsFunc(strings.Fields(list), func(allowed string) bool {
		root, pattern := strings.CutSuffix(allowed, "/...")
		return allowed == name || pattern && (name == root || strings.HasPrefix(name, root+"/"))
	})
}

// owner finds the row of the library that holds the imported package.
func owner(table map[string]string, imported string) (string, bool) {
	for library, owners := range table {
		if imported == library || strings.HasPrefix(imported, library+"/") {
			return owners, true
		}
	}
	return "", false
}

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// standard reports whether the path is the standard library's: its first element has no dot.
func standard(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return !strings.Contains(first, ".")
}
