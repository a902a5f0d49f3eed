package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/internal/journal"
)

// fillOutbox leaves the given events in a folder, of which the first is settled.
func fillOutbox(t *testing.T, dir string, bodies ...string) *journal.Journal {
	t.Helper()
	j, err := journal.Open(journal.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	for i, body := range bodies {
		age := time.Duration(len(bodies)-i) * time.Hour
		at, err := j.Append(journal.Record{ID: [16]byte{byte(i + 1)}, Time: time.Now().Add(-age).UnixNano(), Body: []byte(body)})
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			if err := j.Settle(at); err != nil {
				t.Fatal(err)
			}
		}
	}
	return j
}

// What is shown is the state beside a live process and after it, and nothing of an event.
func TestOutbox(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	live := fillOutbox(t, dir, "settled-person", "pending-person", "other-person")
	show := func(args ...string) (int, string) {
		var out, problems strings.Builder
		code := run(t.Context(), append([]string{"outbox", "--dir", dir}, args...), nil, &out, &problems)
		return code, out.String() + problems.String()
	}
	check := func(when string, code, want int, got string, parts ...string) {
		t.Helper()
		if code != want {
			t.Errorf("%s: got exit code %d, want %d\n%s", when, code, want, got)
		}
		if strings.Contains(got, "person") {
			t.Errorf("%s: got an event's body shown:\n%s", when, got)
		}
		if i := slices.IndexFunc(parts, func(p string) bool { return !strings.Contains(got, p) }); i >= 0 {
			t.Errorf("%s: got\n%s\nwant %q in it", when, got, parts[i])
		}
	}

	code, got := show("--verify")
	check("live", code, exitOK, got, "3 records, 2 undelivered", "the oldest 2h0m0s ago", "dead letters: none")
	if err := live.Close(); err != nil {
		t.Fatal(err)
	}
	if err := fillOutbox(t, filepath.Join(dir, deadLetters), "settled-person", "rejected-person").Close(); err != nil {
		t.Fatal(err)
	}
	code, got = show()
	check("afterwards", code, exitOK, got, "3 records, 2 undelivered", "2 records, 1 kept", "sound")

	spoil(t, dir)
	code, got = show()
	check("damaged", code, exitOK, got, "DAMAGED")
	code, got = show("--verify")
	check("damaged and verified", code, exitFailed, got, "DAMAGED", "files with damage: 1")
}

// spoil overwrites a byte in the middle of the folder's only records.
func spoil(t *testing.T, dir string) {
	t.Helper()
	report, err := journal.Inspect(dir)
	if err != nil || len(report.Segments) == 0 {
		t.Fatalf("got %v, %v, want a segment", report, err)
	}
	name := filepath.Join(dir, report.Segments[0].Name)
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.Index(string(data), "pending-person")
	data[at] ^= 0xff
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOutboxUsage(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, test := range []struct {
		args    []string
		environ []string
		want    int
		says    string
	}{
		{nil, []string{"VITRINE_OUTBOX_DIR=" + dir}, exitOK, "0 records"}, // without a token
		{nil, []string{"XDG_STATE_HOME=" + dir}, exitFailed, dir + "/vitrine"},
		{nil, []string{"VITRINE_OUTBOX_DIR=memory"}, exitUsage, "nothing on disk"},
		{[]string{"--dir", dir + "/gone"}, nil, exitFailed, "no such file"},
		{[]string{"--config", dir + "/gone"}, nil, exitUsage, "no such file"},
		{[]string{"--what"}, nil, exitUsage, "-verify"},
		{[]string{dir}, nil, exitUsage, "flags only"},
		{[]string{"--help"}, nil, exitOK, "-verify"},
	} {
		var out, problems strings.Builder
		got := run(t.Context(), append([]string{"outbox"}, test.args...), test.environ, &out, &problems)
		if text := out.String() + problems.String(); got != test.want || !strings.Contains(text, test.says) {
			t.Errorf("outbox %q: got exit code %d and %q, want %d and %q in it", test.args, got, text, test.want, test.says)
		}
	}
}
