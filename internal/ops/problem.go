package ops

import (
	"encoding/json"
	"net/http"
	"path"
	"strings"
)

// problem is an RFC 9457 answer.
type problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func refuse(w http.ResponseWriter, status int, detail string) {
	writeJSONAs(w, "application/problem+json", status,
		problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	writeJSONAs(w, "application/json", status, v)
}

func writeJSONAs(w http.ResponseWriter, contentType string, status int, v any) {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil { // only for values that are no JSON, such as NaN: a bug of whoever gave v
		http.Error(w, "encoding the answer: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // a caller who has gone misses nothing
}

// only serves the given methods and refuses all others, which net/http's own mux does
// in plain text, and with HEAD besides GET.
func only(methods string, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for method := range strings.SplitSeq(methods, ", ") {
			if r.Method == method {
				h(w, r)
				return
			}
		}
		w.Header().Set("Allow", methods)
		refuse(w, http.StatusMethodNotAllowed, "use "+methods)
	}
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	refuse(w, http.StatusNotFound, "there is nothing at this path")
}

// plainly serves only paths in their plain form: the mux would redirect any other, and
// a redirected DELETE is not what its caller asked for.
func plainly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		asked := r.URL.EscapedPath()
		plain := path.Clean(asked)
		if plain != "/" && strings.HasSuffix(asked, "/") {
			plain += "/"
		}
		if asked != plain || asked[0] != '/' {
			notFound(w, r)
			return
		}
		h.ServeHTTP(w, r)
	})
}
