// Command rehearsal does on one machine what a cluster does with the manifests: it renders
// deploy/kustomize/example, takes the sidecar's container out of it, and runs that with a
// real Redis and the stand-in API through the life of a pod.
//
//	go run ./deploy/rehearsal
//
// The arguments, the environment, the mounted files, the probes and the memory limit are
// the rendered ones. What differs is said in the first lines: the addresses of Redis and
// the API, and, where no network namespace is to be had, those of the listeners.
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
	"time"

	"vitrine/bench/fakeapi"
)

const usage = `usage: go run ./deploy/rehearsal [flags]

Runs the sidecar of the rendered manifest with a real Redis and the stand-in API: started
before both, under the bench's steady load, and told to stop after the shop. Needs kubectl
(or kustomize) and redis-server. Exit code 0 if all went as the manifest needs it, else 1.

Flags:
`

// options say how long a rehearsal is.
type options struct {
	manifest string        // folder to render
	binary   string        // of the sidecar; empty builds it
	length   time.Duration // of the steady load
	rate     float64       // requests a second
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code) //nolint:forbidigo // this is main
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 4 && args[0] == apiCommand {
		return exitCode(serveAPI(ctx, args[1], args[2], args[3]), stderr)
	}
	o := options{}
	f := flag.NewFlagSet("rehearsal", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.Usage = func() { fmt.Fprint(stderr, usage); f.PrintDefaults() }
	f.StringVar(&o.manifest, "manifest", "deploy/kustomize/example", "folder that kubectl kustomize renders")
	f.StringVar(&o.binary, "binary", "", "a built sidecar; empty builds it")
	f.DurationVar(&o.length, "dur", time.Minute, "how long the steady load lasts")
	f.Float64Var(&o.rate, "rate", 100, "its requests a second")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil || f.NArg() > 0:
		return 2
	}
	if code, done := inNamespace(ctx, args, stdout, stderr); done {
		return code
	}
	return exitCode(rehearse(ctx, o, stdout), stderr)
}

func exitCode(err error, stderr io.Writer) int {
	if err != nil {
		fmt.Fprintln(stderr, "FAILED:", err)
		return 1
	}
	return 0
}

// apiCommand makes this program the stand-in API, a process of its own.
const apiCommand = "api"

func serveAPI(ctx context.Context, listen, control, token string) error {
	o := fakeapi.Realistic()
	o.Listen, o.ControlListen, o.Token, o.Rankings.Catalogue = listen, control, token, catalogue()
	server, err := fakeapi.Start(o)
	if err != nil {
		return fmt.Errorf("starting the API: %w", err)
	}
	<-ctx.Done()
	return server.Close() //nolint:wrapcheck // it says what it closes
}
