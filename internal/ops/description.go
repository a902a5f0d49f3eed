package ops

import (
	_ "embed" // the description
	"net/http"
)

// The description of both listeners for programs, and the page for people that a test
// generates from it.
var (
	//go:embed openapi.yaml
	descriptionYAML []byte
	//go:embed docs.html
	docsHTML []byte
)

func (a *Admin) description(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(descriptionYAML) // a reader who has gone misses nothing
}

func (a *Admin) docs(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	_, _ = w.Write(docsHTML)
}
