// Command vitrine answers a shop's requests for product recommendations beside the shop.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes.
const (
	exitOK     = 0 // told to stop, or done
	exitFailed = 1 // a part failed
	exitUsage  = 2 // wrong usage or configuration
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

const usage = `usage: vitrine [command] [flags]

  serve        run the sidecar until SIGTERM or SIGINT; the default
  demo         everything on this machine with nothing installed
  check        print the effective configuration, or all that is wrong with it
  doctor       try Redis, the API, the token, the platform and the outbox; sends no event
  outbox       show what an outbox folder holds
  healthcheck  succeed if the running sidecar is alive
  version      print version, commit and Go version

Flags are those of the configuration: see vitrine check --help.
`

// run is main without the process, so that tests can call it. It returns the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	command := "serve"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "serve":
		return cmdServe(ctx, args, environ, stderr)
	case "demo":
		return cmdDemo(ctx, args, stdout, stderr)
	case "check":
		return cmdCheck(args, environ, stdout, stderr)
	case "doctor":
		return cmdDoctor(ctx, args, environ, stdout, stderr)
	case "outbox":
		return cmdOutbox(args, environ, stdout, stderr)
	case "healthcheck":
		return cmdHealthcheck(ctx, args, environ, stderr)
	case "version":
		return cmdVersion(stdout)
	case "help":
		fmt.Fprint(stdout, usage)
		return exitOK
	default:
		fmt.Fprintf(stderr, "vitrine: there is no command %q\n\n%s", command, usage)
		return exitUsage
	}
}
