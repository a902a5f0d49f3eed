package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"vitrine/bench/isolation"
	"vitrine/bench/rig"
)

const isolationHelp = `Looks for lists that reach somebody they are not for. Shoppers do at random all that
could mix them up: they log in and out, share a session, go from pod to pod, ask for
several lists at once, hang up and are erased; the API's answers cross, and each says
whose it is. One list in the wrong hands fails the run.

With -race the sidecars are built with the race detector, and a race fails the run too.
`

// cmdIsolation looks for lists in the wrong hands.
func cmdIsolation(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o isolation.Options
	f := newFlags("isolation", isolationHelp)
	f.IntVar(&o.Requests, "n", 100_000, "requests")
	f.IntVar(&o.Pods, "pods", 3, "sidecars beside one Redis")
	f.IntVar(&o.Workers, "workers", 64, "requests under way together")
	f.IntVar(&o.Sessions, "sessions", 200, "sessions that live at once")
	f.Uint64Var(&o.Seed, "seed", 1, "picks what is asked, and where")
	f.StringVar(&o.Binary, "binary", "", "a built sidecar; empty builds the one of this module")
	race := f.Bool("race", false, "build it with the race detector")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() > 0 || min(o.Requests, o.Pods, o.Workers, o.Sessions) < 1 || o.Pods > 64 || *race && o.Binary != "" {
		return usageError(stderr, errors.New("want isolation with a positive -n, -pods up to 64, -workers and -sessions, and -race without -binary"))
	}
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return failed(stderr, err)
	}
	defer os.RemoveAll(dir)
	switch {
	case *race:
		o.Binary, err = isolation.BuildRace(ctx, dir)
	case o.Binary == "":
		o.Binary, err = rig.Build(ctx, dir)
	}
	if err != nil {
		return failed(stderr, err)
	}
	if o.KeyFile, err = writeKey(dir); err != nil {
		return failed(stderr, err)
	}
	server, err := rig.StartRedis(ctx)
	if err != nil {
		return failed(stderr, err)
	}
	o.Redis = server.URL()
	out := newProgress(stderr, os.Getenv)
	o.Progress = func(done int) { out.say(fmt.Sprintf("%d of %d requests", done, o.Requests)) }
	result, err := isolation.Run(ctx, o)
	out.say("")
	if err = errors.Join(err, server.Close()); err == nil || result.Took > 0 {
		fmt.Fprintf(stdout, "%d requests to %d sidecars in %v, %.0f/s\n", o.Requests, o.Pods, result.Took.Round(time.Second), float64(o.Requests)/result.Took.Seconds())
		err = errors.Join(err, result.Write(stdout))
	}
	switch {
	case err != nil:
		return failed(stderr, err)
	case result.Wrong > 0 || result.Failed > 0:
		return exitViolation
	default:
		return exitOK
	}
}

// writeKey writes a key file for profiles, so that they go through Redis too.
func writeKey(dir string) (path string, err error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	path = filepath.Join(dir, "profile.key")
	return path, os.WriteFile(path, []byte("k1:"+base64.StdEncoding.EncodeToString(key[:])+"\n"), 0o600)
}
