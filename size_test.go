package vitrine_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The linker leaves out the methods nobody calls, unless something may call them by a
// name it only knows when it runs. A template engine may, and with one go-redis alone
// brings four megabytes of commands: the binary was half as large again.
func TestNoTemplateEngineInTheBinary(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "./cmd/vitrine").Output()
	if err != nil {
		t.Fatalf("listing what the sidecar is made of: %v", err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Fatalf("got %d packages, want all the sidecar is made of", len(packages))
	}
	for _, p := range packages {
		if p == "text/template" || p == "html/template" {
			t.Errorf("got %s in the binary, want no template engine there", p)
		}
	}
}
