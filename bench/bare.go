package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"time"

	"vitrine/bench/baseline"
)

// cmdBare is the child that serves a bare handler. The overview does not list it.
func cmdBare(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 3 {
		return exitUsage
	}
	delay, err := time.ParseDuration(args[2])
	if err != nil {
		return usageError(stderr, err)
	}
	if err := baseline.ServeBare(ctx, args[0], args[1], delay, stdout); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

// cmdUpstream is the child that serves an API which costs next to nothing. The overview
// does not list it.
func cmdUpstream(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 3 {
		return exitUsage
	}
	ids, err1 := strconv.Atoi(args[1])
	delay, err2 := time.ParseDuration(args[2])
	if err := errors.Join(err1, err2); err != nil {
		return usageError(stderr, err)
	}
	if err := baseline.ServeUpstream(ctx, args[0], ids, delay, stdout); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

// cmdRelay is the child that serves a bare proxy. The overview does not list it.
func cmdRelay(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		return exitUsage
	}
	if err := baseline.ServeRelay(ctx, args[0], args[1], stdout); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

// writeAnswers writes the file that cmdBare reads.
func writeAnswers(path string, answers []baseline.Answer) error {
	return writeFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(answers) })
}
