package main

import (
	"context"
	"encoding/json"
	"io"

	"vitrine/bench/baseline"
)

// cmdBare is the child that serves a bare handler. The overview does not list it.
func cmdBare(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		return exitUsage
	}
	if err := baseline.ServeBare(ctx, args[0], args[1], stdout); err != nil {
		return failed(stderr, err)
	}
	return exitOK
}

// writeAnswers writes the file that cmdBare reads.
func writeAnswers(path string, answers []baseline.Answer) error {
	return writeFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(answers) })
}
