package logs_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/logs"
)

// lines returns a logger without times, and what it has written so far.
func lines() (*slog.Logger, *logs.Handler, func() []string) {
	var out bytes.Buffer
	h := logs.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	return slog.New(h), h, func() []string { return strings.Split(strings.TrimSpace(out.String()), "\n") }
}

func TestOneLineOfAKindAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, _, written := lines()
		for i := range 5 {
			log.Error("posting", "try", i)
			log.Info("started", "try", i)
		}
		time.Sleep(time.Minute - 1)
		log.Error("posting", "try", 5)
		time.Sleep(1)
		log.Error("posting", "try", 6)
		time.Sleep(time.Minute)
		log.Error("posting", "try", 7)
		want := []string{
			"level=ERROR msg=posting try=0",
			"level=INFO msg=started try=0", "level=INFO msg=started try=1", "level=INFO msg=started try=2",
			"level=INFO msg=started try=3", "level=INFO msg=started try=4",
			"level=ERROR msg=posting try=6 suppressed=5",
			"level=ERROR msg=posting try=7",
		}
		if got := written(); strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestKinds(t *testing.T) {
	t.Parallel()
	log, _, written := lines()
	for range 2 {
		log.Error("reading")
		log.Warn("reading")
		log.Error("writing")
		log.With("breaker", "redis").Error("reading")
		log.With("breaker", "platform").Error("reading")
		log.WithGroup("journal").Error("reading", "file", 1)
	}
	if got := written(); len(got) != 6 {
		t.Errorf("got %d lines, want one of each of 6 kinds:\n%s", len(got), strings.Join(got, "\n"))
	}
}

func TestKindsAreBounded(t *testing.T) {
	t.Parallel()
	log, _, written := lines()
	for i := range 3000 {
		log.Error(fmt.Sprint("a message that is no constant: ", i))
	}
	if got := len(written()); got != 1001 {
		t.Errorf("got %d lines, want 1000 kinds and one for all others", got)
	}
}

func TestLast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, h, _ := lines()
		log.Info("not a warning")
		for range 3 {
			log.Warn("reading the token", "err", errors.New("no such file"), "tries", 2)
		}
		time.Sleep(time.Minute)
		log.Warn("reading the token", "err", nil)
		got := h.Last()
		if len(got) != 2 {
			t.Fatalf("got %d lines, want 2: %+v", len(got), got)
		}
		want := logs.Line{At: got[0].At, Level: "WARN", Message: "reading the token", Attributes: `err="no such file" tries=2`}
		if got[0] != want {
			t.Errorf("got %+v, want %+v", got[0], want)
		}
		if got[1].Suppressed != 2 {
			t.Errorf("got %d suppressed, want 2", got[1].Suppressed)
		}
		for i := range 100 {
			log.Error("kind " + fmt.Sprint(i))
		}
		if got = h.Last(); len(got) != 20 || got[19].Message != "kind 99" || got[0].Message != "kind 80" {
			t.Errorf("got %d lines from %q on, want the last 20", len(got), got[0].Message)
		}
	})
}

func TestHandlersShareOneLimit(t *testing.T) {
	t.Parallel()
	var wait sync.WaitGroup
	log, _, written := lines()
	for range 8 {
		wait.Go(func() { log.Error("posting") })
	}
	wait.Wait()
	if got := written(); len(got) != 1 {
		t.Errorf("got %d lines, want 1", len(got))
	}
}
