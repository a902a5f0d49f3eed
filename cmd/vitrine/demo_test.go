package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// watchDemo runs the demo, hands every line to see, and returns the exit code and what went
// to standard error.
func watchDemo(ctx context.Context, t *testing.T, see func(line string), args ...string) (int, string) {
	t.Helper()
	out, stdout := io.Pipe()
	var problems strings.Builder
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, append([]string{"demo"}, args...), nil, stdout, &problems)
		stdout.Close()
	}()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		see(lines.Text())
	}
	return <-code, problems.String()
}

var (
	curlLine   = regexp.MustCompile(`^ +curl -si (\S+) -H 'Content-Type: application/json' -d '(.*)'$`)
	secondLine = regexp.MustCompile(`^ +\d+s +\d+( +\d+){5} +[0-9.]+ms +[0-9.]+ms +\d+ +\d+  (closed|open|half-open)`)
	viewsLine  = regexp.MustCompile(`^[1-9]\d* views: .* native [1-9]`)
)

// The demo runs with nothing around it, shows what it promises, and leaves nothing behind.
func TestDemo(t *testing.T) {
	here, temp := t.TempDir(), t.TempDir()
	t.Chdir(here)
	t.Setenv("TMPDIR", temp)
	tried, seconds, summed := 0, 0, false
	code, problems := watchDemo(t.Context(), t, func(line string) {
		if m := curlLine.FindStringSubmatch(line); m != nil {
			tried++
			tryCurl(t, m[1], m[2])
		}
		if secondLine.MatchString(line) {
			seconds++
		}
		summed = summed || viewsLine.MatchString(line)
	}, "--for", "2500ms")
	if code != exitOK || problems != "" {
		t.Errorf("got exit code %d and %q, want %d and no complaint", code, problems, exitOK)
	}
	if tried != 1 || seconds < 1 || !summed {
		t.Errorf("got %d lines to try, %d seconds, summed up: %v; want 1, some, true", tried, seconds, summed)
	}
	for _, dir := range []string{here, temp} {
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("got %v (%v) left in %s, want nothing", left, err, dir)
		}
	}
}

// tryCurl does what the line would.
func tryCurl(t *testing.T, url, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(url, "application/json", strings.NewReader(body))
	if err != nil {
		t.Errorf("trying the line: %v", err)
		return
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Vitrine-Source"); resp.StatusCode != http.StatusOK || got == "" {
		t.Errorf("got status %d and source %q, want 200 and one", resp.StatusCode, got)
	}
}

// Two demos find room beside each other, and one that is told to stop says so with 0.
func TestDemoTwice(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code, _ := watchDemo(ctx, t, func(line string) {
		if !secondLine.MatchString(line) || ctx.Err() != nil {
			return
		}
		inner, stopInner := context.WithCancel(ctx)
		defer stopInner()
		code, problems := watchDemo(inner, t, func(line string) {
			if secondLine.MatchString(line) {
				stopInner()
			}
		}, "--outage=false")
		if code != exitOK {
			t.Errorf("got exit code %d and %q from the second demo, want %d", code, problems, exitOK)
		}
		stop()
	})
	if code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
}

func TestDemoUsage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want int
	}{
		{[]string{"--help"}, exitOK},
		{[]string{"--for", "-1s"}, exitUsage},
		{[]string{"--for", "soon"}, exitUsage},
		{[]string{"--budget", "1s"}, exitUsage},
		{[]string{"now"}, exitUsage},
	} {
		var out, problems strings.Builder
		got := run(t.Context(), append([]string{"demo"}, test.args...), nil, &out, &problems)
		if got != test.want || problems.Len() == 0 || out.Len() > 0 {
			t.Errorf("demo %q: got exit code %d, %q and %q, want %d and an explanation on standard error",
				test.args, got, out.String(), problems.String(), test.want)
		}
	}
}

// A second's line says what the shoppers saw, slowest last.
func TestTally(t *testing.T) {
	t.Parallel()
	var seen tally
	for i, source := range []string{"api", "cache", "native", "none", "stale", "api", "", "rubbish"} {
		seen.add(source, time.Duration(i+1)*time.Millisecond)
	}
	got := report{at: 3 * time.Second, views: seen.take(), delivered: 7, pending: 2}.String()
	want := "     3s        6       2      1      1      1      1    5.0ms   8.0ms           7        2  closed  2 FAILED"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if again := seen.take(); again.answers() != 0 || again.failed != 0 {
		t.Errorf("got %+v after taking, want nothing", again)
	}
	if all := seen.total(); all.bySource != [5]int{1, 1, 1, 1, 2} || all.failed != 2 {
		t.Errorf("got %+v in total, want everything", all)
	}
}
