package report_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"vitrine/bench/report"
)

func borne() []report.Fault {
	run := sample()
	run.Timeline.Spans = []report.Span{{From: 2, To: 5, Name: "refused"}}
	return []report.Fault{
		{
			Number: 3, Name: "API refuses <connections>", Verdict: "pass", TTD: report.Duration(time.Second), TTR: -1,
			P99: report.Duration(2 * time.Millisecond), Shares: "native 100.0 %", Repeated: 7, Memory: 1.25, Goroutines: 1,
			Marks: []report.Mark{{Verdict: "pass", Text: "events lost 0"}}, Run: run,
		},
		{Number: 25, Name: "disk full", Verdict: "SKIPPED", Why: "no right to mount\nat all"},
	}
}

func TestWriteFaults(t *testing.T) {
	var text bytes.Buffer
	if err := report.WriteFaults(&text, borne()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("got %q, want a head and two rows", lines)
	}
	for i, want := range []string{"TTD", `never +2 ms +0 +7 +× 1\.25 +× 1\.00 +pass +native`, `SKIPPED +no right to mount$`} {
		if !regexp.MustCompile(want).MatchString(lines[i]) {
			t.Errorf("got %q, want %s", lines[i], want)
		}
	}
}

func TestFaultsPage(t *testing.T) {
	var page bytes.Buffer
	if err := report.WriteFaultsPage(&page, "faults", report.Environment{}, borne()); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	if found := regexp.MustCompile(`(?i)src\s*=|href="[^#f]|url\(|@import|https?://|<script|fetch\(|<connections>`).FindString(text); found != "" {
		t.Errorf("got %q in the page, want nothing from outside", found)
	}
	for _, want := range []string{`class="shade" x="`, `class="area of-cache"`, "no right to mount", "API refuses &lt;connections&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("got no %q in the page", want)
		}
	}
	if at := regexp.MustCompile(`points="([0-9., ]+)"`).FindStringSubmatch(text); at == nil {
		t.Error("got no picture")
	}
}
