package ops

import (
	_ "embed" // the page
	"html"
	"net/http"
	"strconv"
	"strings"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS []byte
	//go:embed page.js
	pageJS []byte
)

// index serves the status as a page for people. The verdict is in it from the start; its
// script keeps everything up to date from /status.json. It asks nothing of anybody else,
// and its policy lets it ask nothing either.
//
// Its five facts are put in by hand: whoever imports a template engine keeps every
// method of every type in the binary, which was a third of it.
func (a *Admin) index(w http.ResponseWriter, _ *http.Request) {
	s, explain := a.read(), ""
	if a.o.Explain == nil {
		explain = " hidden"
	}
	page := strings.NewReplacer(
		"{{version}}", html.EscapeString(s.Version),
		"{{uptime}}", strconv.FormatFloat(s.UptimeSeconds, 'f', 0, 64),
		"{{time}}", s.At.Format("15:04:05"),
		"{{well}}", strconv.FormatBool(s.Well),
		"{{verdict}}", html.EscapeString(s.Verdict),
		"{{explain}}", explain,
	)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy",
		"default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = page.WriteString(w, pageHTML) // a reader who has gone misses nothing
}

// asset serves a part of the page.
func asset(kind string, content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = w.Write(content)
	}
}
