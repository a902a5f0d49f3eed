package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Set by the linker in `make build`; without it they come from the build information
// that the Go tool leaves in the binary.
var (
	version string
	commit  string //nolint:gochecknoglobals // the linker can only set a variable
)

// cmdVersion prints version, commit and Go version, in one line.
func cmdVersion(stdout io.Writer) int {
	v, c := buildVersion()
	fmt.Fprintf(stdout, "vitrine %s (commit %s, %s %s/%s)\n", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return exitOK
}

// buildVersion gives the version and commit this binary was built from, "devel" and
// "unknown" where nobody recorded them.
func buildVersion() (string, string) {
	v, c := "devel", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		if m := info.Main.Version; m != "" && m != "(devel)" {
			v = m
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				c = s.Value
			}
		}
	}
	if version != "" {
		v = version
	}
	if commit != "" {
		c = commit
	}
	return v, c
}
