// Command vitrine answers a shop's requests for product recommendations beside the shop.
package main

import (
	"fmt"
	"io"
	"os"
)

// Exit codes.
const (
	exitOK     = 0 // told to stop, or done
	exitFailed = 1 // a part failed
	exitUsage  = 2 // wrong usage or configuration
)

func main() {
	os.Exit(run(os.Args[1:], os.Environ(), os.Stdout, os.Stderr))
}

// run is main without the process, so that tests can call it.
func run(args, environ []string, stdout, stderr io.Writer) int {
	command := "help"
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	switch command {
	case "check":
		return cmdCheck(args, environ, stdout, stderr)
	case "version":
		return cmdVersion(stdout)
	default:
		fmt.Fprintln(stderr, "usage: vitrine check|version [flags]")
		return exitUsage
	}
}
