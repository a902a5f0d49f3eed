package report_test

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"vitrine/bench/load"
	"vitrine/bench/report"
)

// sample is a run of 20000 answers, of which 2 % are late and one is wrong.
func sample() *report.Run {
	start := time.Unix(1_700_000_000, 0).UTC()
	rec := load.NewRecorder(start, 10*time.Second)
	for i := range 20_000 {
		s := load.Sample{Due: start.Add(time.Duration(i) * 500 * time.Microsecond), Took: time.Millisecond, Class: "cache", OK: i != 7}
		if i%50 == 0 {
			s.Took, s.Class = 300*time.Millisecond, "native"
		}
		rec.Record(s)
	}
	run := &report.Run{Title: "steady </script><b>", Started: start, Planned: 20_000, Sent: 20_000, CPU: report.Duration(time.Second)}
	run.Fill(rec.Recording())
	return run
}

func TestObjectives(t *testing.T) {
	for text, want := range map[string]bool{
		"p50<=2ms":          true,
		"p50<=500us":        false,
		"p99<=310ms":        true,
		"p99@cache<=2ms":    true,
		"p99.9@native<=1s":  false, // too few samples to tell
		"share@native<=3%":  true,
		"share@stale<=0%":   true, // there are none
		"valid>=99.99%":     true,
		"valid>=1":          false,
		"max<=1s, p50<=1ns": false,
	} {
		objectives, err := report.ParseObjectives(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		run := sample()
		run.Judge(objectives)
		if run.Pass() != want {
			t.Errorf("%s: got %v, want pass %v", text, run.Objectives, want)
		}
	}
}

func TestObjectivesThatMakeNoSense(t *testing.T) {
	for _, text := range []string{"p99", "p98<=1ms", "p99<=fast", "valid>=many", "p99<1ms"} {
		if got, err := report.ParseObjectives(text); err == nil {
			t.Errorf("%s: got %v, want an error", text, got)
		}
	}
}

func TestVoidRunsSaySo(t *testing.T) {
	start := time.Unix(0, 0)
	rec := load.NewRecorder(start, time.Second)
	for range 1000 {
		rec.Record(load.Sample{Due: start, Lag: 20 * time.Millisecond, Took: 21 * time.Millisecond, Class: "api", OK: true})
	}
	run := &report.Run{Planned: 1100, Sent: 1000}
	run.Fill(rec.Recording())
	if len(run.Void) != 2 {
		t.Errorf("got %q, want that too little was sent, and too late", run.Void)
	}
}

func TestJSONRoundTrip(t *testing.T) {
	want := sample()
	path := filepath.Join(t.TempDir(), "run.json")
	var text bytes.Buffer
	if err := want.WriteJSON(&text); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := report.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Rows, want.Rows) || got.CPU != want.CPU {
		t.Errorf("got %+v, want %+v", got.Rows, want.Rows)
	}
}

func TestCompareNamesWhatIsWorse(t *testing.T) {
	old, latest := sample(), sample()
	for i := range latest.Rows {
		if latest.Rows[i].Name == "cache" {
			latest.Rows[i].Quantiles["p99"] *= 2
		}
	}
	var worse []string
	for _, c := range report.Compare(old, latest, 0.1) {
		if c.Worse {
			worse = append(worse, c.Figure)
		}
	}
	if want := []string{"cache p99"}; !reflect.DeepEqual(worse, want) {
		t.Errorf("got %q worse, want %q", worse, want)
	}
}

// The page must work in a mail and without a network: nothing is fetched, and no text
// of a run can end its script.
func TestPageIsSelfContained(t *testing.T) {
	var page bytes.Buffer
	if err := report.WritePage(&page, sample(), sample()); err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(page.String(), "http://www.w3.org/2000/svg", "") // a name, not an address
	if found := regexp.MustCompile(`(?i)(src|href)\s*=|url\(|@import|https?://|fetch\(`).FindString(text); found != "" {
		t.Errorf("got %q in the page, want nothing from outside", found)
	}
	if n := strings.Count(text, "</script>"); n != 1 {
		t.Errorf("got %d ends of scripts, want 1", n)
	}
}
