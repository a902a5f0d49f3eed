package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"vitrine/bench/fakeapi"
	"vitrine/bench/shopdata"
)

const fakeapiHelp = `Runs the stand-in API by itself, for a shop that wants to rehearse an outage in
staging: point the sidecar's upstream.url at it, and let a script of phases pass.
bench/fakeapi/rehearsal.yaml shows every fault at work; the documentation of
package bench/fakeapi describes them and the control address.
`

// cmdFakeAPI serves the stand-in API until told to end.
func cmdFakeAPI(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := fakeapi.Realistic()
	o.Listen, o.ControlListen = "127.0.0.1:8400", "127.0.0.1:8401"
	f := newFlags("fakeapi", fakeapiHelp)
	script := f.String("script", "", "file of phases to play; empty is a well API")
	items := f.Int("items", 2000, "products of the shop, p1, p2, …")
	categories := f.Int("categories", 40, "its categories, c1, c2, …")
	f.StringVar(&o.Listen, "listen", o.Listen, "the API's address")
	f.StringVar(&o.ControlListen, "control", o.ControlListen, "the control address; it asks for no password")
	f.StringVar(&o.Token, "token", fakeapi.DefaultToken, "the token demanded")
	f.DurationVar(&o.Latency.P50, "p50", o.Latency.P50, "median latency")
	f.DurationVar(&o.Latency.P99, "p99", o.Latency.P99, "its 99th percentile")
	f.IntVar(&o.ColdEvents, "cold", o.ColdEvents, "empty answers at the start of a session")
	f.BoolVar(&o.TLS, "tls", false, "speak TLS; the certificate of its authority goes to standard output")
	f.Uint64Var(&o.Seed, "seed", 1, "the dice")
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() > 0 || *items < 1 || *categories < 1 {
		return usageError(stderr, errors.New("there is an argument behind the flags, or no product or category"))
	}
	play, err := readScript(*script)
	if err != nil {
		return usageError(stderr, err)
	}
	o.Rankings = fakeapi.Rankings{Catalogue: shopdata.New(1, *items, *categories), Seed: o.Seed}
	o.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	if err := serveFakeAPI(ctx, o, play, stdout); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

func readScript(path string) (fakeapi.Script, error) {
	if path == "" {
		return fakeapi.Script{}, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fakeapi.Script{}, err
	}
	script, err := fakeapi.ParseScript(text)
	if err != nil {
		return fakeapi.Script{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return script, nil
}

func serveFakeAPI(ctx context.Context, o fakeapi.Options, script fakeapi.Script, stdout io.Writer) (err error) {
	server, err := fakeapi.Start(o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Close()) }()
	fmt.Fprintf(stdout, "API      %s, token %s\ncontrol  %s\n%s", server.URL(), server.Token(), server.ControlURL(), server.CAPEM())
	if err := server.Play(script); err != nil {
		return err
	}
	<-ctx.Done()
	s := server.Stats()
	fmt.Fprintf(stdout, "%d events arrived, %v by type, %v by status\n", s.Events, s.ByType, s.ByStatus)
	return nil
}
