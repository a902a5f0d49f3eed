package report

import (
	_ "embed"
	"io"

	"vitrine/bench/page"
)

//go:embed page.js
var script string

// WritePage writes one self-contained page about the runs, the first in full and a
// second, if there is one, laid over it. It asks for nothing from outside.
func WritePage(w io.Writer, runs ...*Run) error {
	return page.Write(w, runs[0].Title, script, runs)
}
