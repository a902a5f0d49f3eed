package main

import (
	"errors"
	"flag"
	"fmt"
	"io"

	"vitrine/internal/config"
)

// cmdCheck prints the effective configuration with its secrets masked, or everything
// that is wrong with it. It opens no file but the configuration's, and no connection.
func cmdCheck(args, environ []string, stdout, stderr io.Writer) int {
	c, warnings, err := config.Load(args, environ, config.ReadFile)
	for _, warning := range warnings {
		fmt.Fprintln(stderr, "warning:", warning)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "usage: vitrine check [flags]")
		config.Usage(stdout)
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	if _, err := stdout.Write(c.Masked()); err != nil {
		fmt.Fprintln(stderr, "writing the configuration:", err)
		return exitFailed
	}
	return exitOK
}
