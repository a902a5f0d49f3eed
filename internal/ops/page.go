package ops

import (
	"bytes"
	_ "embed" // the page
	"html/template"
	"net/http"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS []byte
	//go:embed page.js
	pageJS []byte
)

func newPage() (*template.Template, error) { return template.New("page").Parse(pageHTML) }

// index serves the status as a page for people. The verdict is in it from the start; its
// script keeps everything up to date from /status.json. It asks nothing of anybody else,
// and its policy lets it ask nothing either.
func (a *Admin) index(w http.ResponseWriter, _ *http.Request) {
	var page bytes.Buffer
	if err := a.page.Execute(&page, struct {
		Status
		Explain bool // whether there is a form for it
	}{a.read(), a.o.Explain != nil}); err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(page.Bytes()) // a reader who has gone misses nothing
}

// asset serves a part of the page.
func asset(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	}
}
