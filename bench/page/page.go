// Package page writes self-contained pages: style, data, charts and script in one file
// that asks for nothing from outside.
package page

import (
	"embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
)

//go:embed frame.html style.css chart.js
var files embed.FS

// Write writes a page. Its script finds what it is about in the constant data, and what
// chart.js defines. Everything it shows it must write as text, never as HTML.
func Write(w io.Writer, title, script string, about any) error {
	t, err := template.ParseFS(files, "frame.html")
	if err != nil {
		return fmt.Errorf("reading the page: %w", err)
	}
	style, err := files.ReadFile("style.css")
	if err != nil {
		return err
	}
	chart, err := files.ReadFile("chart.js")
	if err != nil {
		return err
	}
	data, err := json.Marshal(about)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		Title         string
		Style         template.CSS
		Data          template.JS
		Chart, Script template.JS
	}{title, template.CSS(style), template.JS(data), template.JS(chart), template.JS(script)}) // our own text and figures; json.Marshal escapes <, > and &
}
