package report

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

//go:embed page.html
var page embed.FS

// WritePage writes one self-contained page about the runs, the first in full and a
// second, if there is one, laid over it. It asks for nothing from outside.
func WritePage(w io.Writer, runs ...*Run) error {
	text, err := page.ReadFile("page.html")
	if err != nil {
		return err
	}
	t, err := template.New("page").Parse(string(text))
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	data, err := json.Marshal(runs)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Title string
		Runs  template.JS
	}{runs[0].Title, template.JS(data)}) // our own figures; json.Marshal escapes <, > and &
}
