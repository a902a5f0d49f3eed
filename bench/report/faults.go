package report

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Fault is how a sidecar bore a fault.
type Fault struct {
	Number  int    // in the fault table
	Name    string // of the row
	Verdict string // pass, FAIL, SKIPPED or ERROR
	Why     string // it was skipped, or went wrong before there was anything to judge

	TTD, TTR Duration // below 0 is never
	P99      Duration // of the answers during the fault
	Shares   string   // of their sources
	Lost     int64    // events
	Repeated int64    // events that arrived again

	Memory, Goroutines float64 // the most since the fault, in terms of the most before
	Marks              []Mark
	Run                *Run   // nil if there was none
	Page               string // file with more about it, beside this page; empty is none
}

// Mark is a requirement and what became of it.
type Mark struct{ Verdict, Text string }

// Ran reports whether there is anything to tell but why not.
func (f Fault) Ran() bool { return f.Run != nil }

// Never writes a time that may not have come.
func Never(d Duration) string {
	if d < 0 {
		return "never"
	}
	return d.String()
}

// WriteFaults writes the table for people.
func WriteFaults(w io.Writer, faults []Fault) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "#\tfault\tTTD\tTTR\tp99 during\tlost\ttwice\tmemory\tgoroutines\tverdict\tanswers during")
	for _, f := range faults {
		if !f.Ran() {
			fmt.Fprintf(t, "%d\t%s\t–\t–\t–\t–\t–\t–\t–\t%s\t%s\n", f.Number, f.Name, f.Verdict, firstLine(f.Why))
			continue
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%v\t%d\t%d\t× %.2f\t× %.2f\t%s\t%s\n",
			f.Number, f.Name, Never(f.TTD), Never(f.TTR), f.P99, f.Lost, f.Repeated, f.Memory, f.Goroutines, f.Verdict, f.Shares)
	}
	return t.Flush()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

//go:embed faults.html
var faultsPage string

// WriteFaultsPage writes one self-contained page with the table and, for each fault, when
// answers came from where, the fault shaded. It asks for nothing from outside, and shows
// the same without scripts.
func WriteFaultsPage(w io.Writer, title string, e Environment, faults []Fault) error {
	t, err := template.New("faults").Funcs(template.FuncMap{"never": Never, "areas": areas, "shade": shade, "first": firstLine}).Parse(faultsPage)
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	return t.Execute(w, struct {
		Title       string
		Environment Environment
		Faults      []Fault
		Sources     []string
	}{title, e, faults, knownSources()})
}

// The pictures are so large, in units of their own.
const pictureWidth, pictureHeight = 800.0, 90.0

// area is one source's part of a picture.
type area struct{ Source, Points string }

// areas are the sources of a run, stacked.
func areas(r *Run) (all []area) {
	line := r.Timeline
	if len(line.At) < 2 {
		return nil
	}
	base := make([]float64, len(line.At))
	names := slices.SortedFunc(maps.Keys(line.Count), bySource)
	most := 1.0
	for i := range line.At {
		sum := 0.0
		for _, name := range names {
			sum += float64(line.Count[name][i])
		}
		most = max(most, sum)
	}
	for _, name := range names {
		var up, down []string
		for i, at := range line.At {
			x := pictureWidth * at / line.end()
			down = append(down, point(x, base[i]/most))
			base[i] += float64(line.Count[name][i])
			up = append(up, point(x, base[i]/most))
		}
		slices.Reverse(down)
		all = append(all, area{name, strings.Join(append(up, down...), " ")})
	}
	return all
}

func point(x, share float64) string { return fmt.Sprintf("%.1f,%.1f", x, pictureHeight*(1-share)) }

func (l Line) end() float64 { return max(1e-3, l.At[len(l.At)-1]) }

// shaded is where a fault held, in the units of the picture.
type shaded struct{ From, Width float64 }

func shade(r *Run) (all []shaded) {
	if len(r.Timeline.At) < 2 {
		return nil
	}
	for _, s := range r.Timeline.Spans {
		scale := pictureWidth / r.Timeline.end()
		from, to := max(0, s.From*scale), min(pictureWidth, s.To*scale)
		all = append(all, shaded{from, max(1, to-from)})
	}
	return all
}

// bySource puts the best answers first, and what is no source last.
func bySource(a, b string) int {
	rank := func(name string) int {
		if i := slices.Index(knownSources(), name); i >= 0 {
			return i
		}
		return len(knownSources())
	}
	return cmp.Or(rank(a)-rank(b), cmp.Compare(a, b))
}
