package fakeapi

import (
	"encoding/json"
	"io"
	"net/http"
	"strconv"
)

// Control returns the handler of the control endpoints (see the package's page). It
// asks for no password and must not be reachable by anybody else.
func (a *API) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /_control/ledger", a.controlLedger)
	mux.HandleFunc("GET /_control/stats", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, a.Stats()) })
	mux.HandleFunc("POST /_control/script", a.controlScript)
	mux.HandleFunc("POST /_control/reset", func(w http.ResponseWriter, _ *http.Request) {
		a.Reset()
		w.WriteHeader(http.StatusNoContent)
	})
	return mux
}

// LedgerPage is what GET /_control/ledger answers.
type LedgerPage struct {
	Events    uint64  `json:"events"`    // how many arrived, whatever the page shows
	Forgotten uint64  `json:"forgotten"` // of these, the oldest, which cannot be shown any more
	Entries   []Entry `json:"entries"`
}

func (a *API) controlLedger(w http.ResponseWriter, r *http.Request) {
	var after uint64
	if text := r.URL.Query().Get("after"); text != "" {
		var err error
		if after, err = strconv.ParseUint(text, 10, 64); err != nil {
			http.Error(w, "after must be a sequence number", http.StatusBadRequest)
			return
		}
	}
	session, one := r.URL.Query().Get("session"), r.URL.Query().Has("session")
	stats := a.ledger.snapshot()
	page := LedgerPage{Events: stats.Events, Forgotten: stats.Forgotten, Entries: []Entry{}}
	for _, e := range a.LedgerSince(after) {
		if !one || e.Session == session {
			page.Entries = append(page.Entries, e)
		}
	}
	writeJSON(w, page)
}

func (a *API) controlScript(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	script, err := ParseScript(text)
	if err == nil {
		err = a.Play(script)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // an error is the client's going away
}
