package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
	"vitrine/bench/shopdata"
	"vitrine/bench/traffic"
)

const genHelp = `Writes the requests of a run as a trace to standard output, one JSON object a line:
the sidecar's own request with one member more, "at", in seconds since the start.

    go run ./bench gen -scenario spike -rate 50 -dur 1m > trace.jsonl
    go run ./bench replay trace.jsonl

A shop can write the same from its access log.
`

// cmdGen writes a trace.
func cmdGen(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	sc, o, code, done := scenarioFlags("gen", genHelp, args, stdout, stderr)
	if done {
		return code
	}
	arrivals := o.arrivals(sc.rate(o))
	crowd := traffic.NewCrowd(o.model, shopdata.New(1, o.items, o.categories), arrivals.Curve.Total()/arrivals.Curve.Length().Seconds())
	w := bufio.NewWriter(stdout)
	var line []byte
	for d := range crowd.Requests(arrivals.All()) {
		line = traffic.AppendTrace(line[:0], d)
		if _, err := w.Write(line); err != nil || ctx.Err() != nil {
			return failed(stderr, errors.Join(err, ctx.Err()))
		}
	}
	if err := w.Flush(); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

const replayHelp = `Sends the requests of a trace to a sidecar with the gaps they had, and reports and
checks as run does. The trace's products need not be the stand-in shop's.
`

// cmdReplay runs a trace.
func cmdReplay(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := defaults()
	o.warm = 0
	f := newFlags("replay FILE", replayHelp)
	speed := f.Float64("speed", 1, "how many times as fast as it was")
	o.register(f)
	if code, done := parse(f, args, stdout, stderr); done {
		return code
	}
	if f.NArg() != 1 || *speed <= 0 {
		return usageError(stderr, errors.New("want one FILE, behind the flags, and a positive -speed"))
	}
	if err := o.validate(); err != nil {
		return usageError(stderr, err)
	}
	trace, err := readTrace(f.Arg(0), *speed)
	if err != nil {
		return usageError(stderr, err)
	}
	o.length = trace[len(trace)-1].At + time.Millisecond
	o.rate = float64(len(trace)) / o.length.Seconds()
	run := &report.Run{Title: o.describe("replay of " + f.Arg(0)), Command: "go run ./bench replay " + strings.Join(args, " ")}
	err = onStage(ctx, &o, run, func(t *trial) error {
		return t.offer(ctx, plan{length: o.length, requests: func(yield func(load.Due[traffic.Request]) bool) {
			for _, d := range trace {
				if !yield(d) {
					return
				}
			}
		}}, nil, run, newProgress(stderr, os.Getenv))
	})
	if err != nil {
		return failed(stderr, err)
	}
	return deliver(run, &o, stdout, stderr)
}

func readTrace(path string, speed float64) ([]load.Due[traffic.Request], error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	trace, err := traffic.ReadTrace(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(trace) == 0 {
		return nil, fmt.Errorf("%s holds no request", path)
	}
	for i := range trace {
		trace[i].At = time.Duration(float64(trace[i].At) / speed)
	}
	return trace, nil
}
