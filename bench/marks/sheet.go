// Package marks holds figures against the marks they should keep, shows how figures
// grow, and says both in a table, in JSON and on a page.
package marks

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
	"text/tabwriter"
	"time"

	_ "embed"

	"vitrine/bench/page"
	"vitrine/bench/report"
)

//go:embed sheet.js
var script string

// Sheet is a report of figures held against marks, and of how figures grow.
type Sheet struct {
	Title       string             `json:"title"`
	Command     string             `json:"command"` // repeats it
	Started     time.Time          `json:"started"`
	Environment report.Environment `json:"environment"`
	Method      []string           `json:"method"` // what holds for all of it, one sentence each
	Marks       []Mark             `json:"marks,omitempty"`
	Plots       []Plot             `json:"plots,omitempty"`
}

// Mark is a figure that should keep a bound.
type Mark struct {
	Path    string  `json:"path"`
	Unit    string  `json:"unit"` // × for a ratio
	AtMost  bool    `json:"at_most"`
	Bound   float64 `json:"bound"` // 0 is none: the figure is told, not judged
	Stretch float64 `json:"stretch"`

	Got  float64  `json:"got"`
	Low  float64  `json:"low"` // the interval that holds it with 95 % confidence; Low = High is none
	High float64  `json:"high"`
	A    string   `json:"a"`              // what was measured
	B    string   `json:"b"`              // and beside it, in the same run
	Note string   `json:"note"`           // how it was measured
	Void []string `json:"void,omitempty"` // why the figure says nothing
	Err  string   `json:"error,omitempty"`
}

// The verdicts on a mark.
const (
	Stretched = "stretch" // the better mark is kept
	Kept      = "kept"
	Missed    = "missed"
	Told      = "told" // there is no bound
	Void      = "void"
	Failed    = "failed" // it could not be measured
)

// Verdict says how the mark was kept, by the figure itself: where the interval holds the
// bound, another run may say otherwise.
func (m Mark) Verdict() string {
	keeps := func(bound float64) bool { return m.AtMost && m.Got <= bound || !m.AtMost && m.Got >= bound }
	switch {
	case m.Err != "":
		return Failed
	case len(m.Void) > 0:
		return Void
	case m.Bound == 0:
		return Told
	case keeps(m.Stretch):
		return Stretched
	case keeps(m.Bound):
		return Kept
	default:
		return Missed
	}
}

// Close reports whether the interval holds the bound.
func (m Mark) Close() bool { return m.Bound > 0 && m.Low < m.Bound && m.Bound < m.High }

// Plot is how figures grow with another.
type Plot struct {
	Title  string   `json:"title"`
	X      Axis     `json:"x"`
	Y      Axis     `json:"y"`
	Series []Series `json:"series"`
	Says   string   `json:"says"` // what the points show, in a sentence made from them
}

// Axis names what it counts.
type Axis struct {
	Name string `json:"name"`
	Unit string `json:"unit"`
	Log  bool   `json:"log"`
}

// Series is a line of a plot.
type Series struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// Worst is the worst verdict of all marks that were judged.
func (s *Sheet) Worst() string {
	order := []string{Failed, Missed, Void}
	for _, verdict := range order {
		for _, m := range s.Marks {
			if m.Verdict() == verdict {
				return verdict
			}
		}
	}
	return Kept
}

// WriteTable writes the sheet for people.
func (s *Sheet) WriteTable(w io.Writer) error {
	fmt.Fprintf(w, "%s\n", s.Title)
	if len(s.Marks) > 0 {
		if err := s.writeMarks(w); err != nil {
			return err
		}
	}
	for _, p := range s.Plots {
		if err := p.write(w); err != nil {
			return err
		}
	}
	fmt.Fprintln(w)
	for _, m := range s.Method {
		fmt.Fprintln(w, m)
	}
	return s.Environment.Write(w)
}

func (s *Sheet) writeMarks(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\npath\tmeasured\t95 %\tmark\tstretch\tverdict")
	for _, m := range s.Marks {
		verdict := m.Verdict()
		if m.Close() && (verdict == Kept || verdict == Missed || verdict == Stretched) {
			verdict += ", close"
		}
		if m.Err != "" {
			fmt.Fprintf(t, "%s\t–\t–\t%s\t%s\t%s\n", m.Path, m.bound(m.Bound), m.bound(m.Stretch), verdict)
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Path, m.show(m.Got), m.interval(), m.bound(m.Bound), m.bound(m.Stretch), verdict)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, m := range s.Marks {
		fmt.Fprintf(w, "\n%s\n", m.Path)
		for _, line := range append([]string{m.A, m.B, m.Note}, m.Void...) {
			if line != "" {
				fmt.Fprintf(w, "  %s\n", line)
			}
		}
		if m.Err != "" {
			fmt.Fprintf(w, "  FAILED  %s\n", m.Err)
		}
	}
	return nil
}

func (m Mark) show(v float64) string { return Digits(v) + " " + m.Unit }

func (m Mark) bound(v float64) string {
	switch {
	case v == 0:
		return "–"
	case m.AtMost:
		return "≤ " + m.show(v)
	default:
		return "≥ " + m.show(v)
	}
}

func (m Mark) interval() string {
	if m.Low == m.High {
		return "–"
	}
	return Digits(m.Low) + " … " + Digits(m.High)
}

// Digits writes a figure with three digits, or all of its whole ones.
func Digits(v float64) string {
	if math.Abs(v) >= 1000 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func (p Plot) write(w io.Writer) error {
	fmt.Fprintf(w, "\n%s\n%s\n", p.Title, p.Says)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "%s\t", p.X.label())
	for _, s := range p.Series {
		fmt.Fprintf(t, "%s, %s\t", s.Name, p.Y.Unit)
	}
	fmt.Fprintln(t)
	for _, x := range p.places() {
		fmt.Fprintf(t, "%s\t", Digits(x))
		for _, s := range p.Series {
			fmt.Fprintf(t, "%s\t", s.at(x))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func (a Axis) label() string {
	if a.Unit == "" {
		return a.Name
	}
	return a.Name + ", " + a.Unit
}

// places are the values of x, in the order they are first met.
func (p Plot) places() (out []float64) {
	known := make(map[float64]bool)
	for _, s := range p.Series {
		for _, point := range s.Points {
			if !known[point[0]] {
				known[point[0]] = true
				out = append(out, point[0])
			}
		}
	}
	return out
}

func (s Series) at(x float64) string {
	for _, point := range s.Points {
		if point[0] == x {
			return Digits(point[1])
		}
	}
	return "–"
}

// WriteJSON writes the sheet for machines.
func (s *Sheet) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", " ")
	return e.Encode(s)
}

// WritePage writes the sheet as one self-contained page.
func (s *Sheet) WritePage(w io.Writer) error {
	type judged struct {
		Mark
		Verdict string `json:"verdict"`
		Close   bool   `json:"close"`
	}
	marks := make([]judged, len(s.Marks))
	for i, m := range s.Marks {
		marks[i] = judged{m, m.Verdict(), m.Close()}
	}
	return page.Write(w, s.Title, script, struct {
		*Sheet
		Marks []judged `json:"marks"`
	}{s, marks})
}
