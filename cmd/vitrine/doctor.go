package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"vitrine/internal/config"
)

// The checks run together, so that what bounds each bounds all.
const (
	checkTimeout = 4 * time.Second // after which a check is told to end
	checkGrace   = time.Second     // after which one that does not is given up: a disk may hang for ever
)

// cmdDoctor tries everything that the configuration names and the sidecar needs. It binds
// no port, takes no lock and sends no event, so it may run beside the sidecar.
func cmdDoctor(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	c, warnings, err := loadConfig(args, environ)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stderr, "usage: vitrine doctor [flags]")
		config.Usage(stderr)
		return exitOK
	case err != nil:
		fmt.Fprintln(stderr, err)
		return exitUsage
	}
	for _, warning := range warnings {
		fmt.Fprintln(stderr, "warning:", warning)
	}
	code := exitOK
	for _, f := range examine(ctx, c, environ) {
		fmt.Fprintln(stdout, f)
		if f.verdict == verdictFail {
			code = exitFailed
		}
	}
	return code
}

// verdict is the first word of a finding.
type verdict string

const (
	verdictOK   verdict = "ok"
	verdictFail verdict = "FAIL"
	verdictSkip verdict = "skip" // not configured
)

// finding is what a check found. Its text holds no secret.
type finding struct {
	verdict verdict
	name    string
	detail  string
}

// String is the finding's line.
func (f finding) String() string { return fmt.Sprintf("%-4s  %-12s  %s", f.verdict, f.name, f.detail) }

// check tries one thing.
type check struct {
	name string
	try  func(context.Context, config.Config) (detail string, err error)
}

// skipped is the error of a check for which nothing is configured.
type skipped string

// Error says why.
func (s skipped) Error() string { return string(s) }

// examine runs all checks at once, and returns their findings in a fixed order.
func examine(ctx context.Context, c config.Config, environ []string) []finding {
	checks := []check{
		{"token", checkToken},
		{"api", checkAPI},
		{"redis", checkRedis},
		{"hash key", checkHashKey},
		{"platform", checkPlatform},
		{"native lists", checkNativeFile},
		{"catalogue", checkCatalogue},
		{"outbox", checkOutbox},
		{"profile key", checkProfileKey},
		{"app token", checkAppToken},
		{"traces", func(ctx context.Context, _ config.Config) (string, error) { return checkCollector(ctx, environ) }},
	}
	patience, giveUp := context.WithTimeout(ctx, checkTimeout+checkGrace)
	defer giveUp()
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	found := make([]chan finding, len(checks))
	for i, check := range checks {
		found[i] = make(chan finding, 1)
		go func() { found[i] <- check.run(ctx, c) }() // awaited below
	}
	findings := make([]finding, len(checks))
	for i, check := range checks {
		findings[i] = finding{verdictFail, check.name, "has no result in time, and cannot be interrupted"}
		select {
		case findings[i] = <-found[i]:
		case <-patience.Done():
			select {
			case findings[i] = <-found[i]:
			default:
			}
		}
	}
	return findings
}

func (k check) run(ctx context.Context, c config.Config) finding {
	detail, err := k.try(ctx, c)
	why, skip := errors.AsType[skipped](err)
	switch {
	case skip:
		return finding{verdictSkip, k.name, string(why)}
	case err != nil:
		return finding{verdictFail, k.name, err.Error()}
	default:
		return finding{verdictOK, k.name, detail}
	}
}
