package ops

import (
	"bytes"
	_ "embed" // the page
	"html/template"
	"net/http"
)

//go:embed page.html
var pageHTML string

func newPage() (*template.Template, error) { return template.New("page").Parse(pageHTML) }

// index serves the status as a page for people. It asks nothing of anybody else, and
// its policy lets it ask nothing either.
func (a *Admin) index(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if err := a.page.Execute(&page, a.read()); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(page.Bytes()) // a reader who has gone misses nothing
}
