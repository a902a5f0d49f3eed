// Command bench tells what the sidecar does to a shop, on your own machine: latency
// by source, what an outage feels like, how much one process carries, what hit rate
// to expect. README.md beside it has the method and how to read the figures.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes.
const (
	exitOK        = 0
	exitFailed    = 1  // the harness itself failed
	exitUsage     = 2  // wrong usage
	exitLimited   = 3  // the generator was the limit: the run is void
	exitViolation = 4  // an answer or an event was wrong
	exitObjective = 99 // an objective was not kept
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// command is one of the harness's. Its run gets the arguments behind its name.
type command struct {
	name  string
	short string // one line of the overview
	run   func(ctx context.Context, args []string, stdout, stderr io.Writer) int
}

// run is main without the process, so that tests can call it. It returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, overview())
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		fmt.Fprint(stdout, overview())
		return exitOK
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, args[1:], stdout, stderr)
		}
	}
	fmt.Fprintf(stderr, "bench: there is no command %q\n\n%s", args[0], overview())
	return exitUsage
}

func overview() string {
	text := []byte("usage: go run ./bench COMMAND [flags]\n\n")
	for _, c := range commands() {
		if c.short != "" {
			text = fmt.Appendf(text, "  %-9s %s\n", c.name, c.short)
		}
	}
	return string(text) + `
Every command has its own -h. Runs need redis-server in the PATH (or -redis
embedded), build the sidecar from this module (or take -binary), listen on
loopback only and clean up behind them.

Exit status: 0 done and every objective kept, 99 an objective not kept, 3 the
generator could not offer the load (the run is void), 4 an answer or an event
was wrong, 2 wrong usage, 1 anything else.
`
}

// newFlags returns a command's flags. Its help is the text, then every flag.
func newFlags(name, help string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // parse writes
	f.Usage = func() {
		fmt.Fprintf(f.Output(), "usage: go run ./bench %s\n\n%s\nFlags:\n", name, help)
		f.PrintDefaults()
	}
	return f
}

// parse reads the arguments. When done is set, the command ends with the code: help
// was asked for, or the usage was wrong.
func parse(f *flag.FlagSet, args []string, stdout, stderr io.Writer) (code int, done bool) {
	err := f.Parse(args)
	switch {
	case err == nil:
		return exitOK, false
	case errors.Is(err, flag.ErrHelp):
		f.SetOutput(stdout)
		f.Usage()
		return exitOK, true
	default:
		fmt.Fprintf(stderr, "bench: %v (see -h)\n", err)
		return exitUsage, true
	}
}

// usageError says what is wrong with the arguments.
func usageError(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "bench: %v\n", err)
	return exitUsage
}

// failed says why the harness itself could not do what it was told.
func failed(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "bench: %v\n", err)
	return exitFailed
}
