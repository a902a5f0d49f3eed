package ops

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"vitrine/breaker"
	"vitrine/internal/profile"
	"vitrine/internal/reco"
)

const (
	maxExplainBody  = 128 << 10 // as on the data listener
	maxOverrideBody = 1 << 10
	maxIdentifier   = 256 // bytes, as in reco.MaxIDLength

	defaultOverride = 10 * time.Minute
	maxOverride     = 24 * time.Hour // who wants it longer wants a configuration

	// actionTimeout ends an action before the connection's write time-out does.
	actionTimeout = 8 * time.Second
)

// act gives an action its time. It goes on if its caller hangs up: a change is better
// made and recorded than half made.
func act(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), actionTimeout)
}

// record logs what an operator did, or could not do: as information, because errors may
// be left out when there are many, and this is the only trace of who changed what.
func (a *Admin) record(what string, err error, attributes ...any) {
	if err != nil {
		attributes = append(attributes, "err", err)
	}
	a.o.Log.Info("operator: "+what, attributes...)
}

// body reads a bounded body, or refuses.
func body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, bool) {
	read, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	tooLarge := (*http.MaxBytesError)(nil)
	switch {
	case errors.As(err, &tooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the body may have %d bytes", most))
	case err != nil:
		refuse(w, http.StatusBadRequest, "the body could not be read")
	}
	return read, err == nil
}

func (a *Admin) explain(w http.ResponseWriter, r *http.Request) {
	document, ok := body(w, r, maxExplainBody)
	if !ok {
		return
	}
	request, err := reco.ParseRequest(document)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	ctx, cancel := act(r)
	defer cancel()
	path, err := a.o.Explain(ctx, request)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, path)
}

// override is the body of POST /breaker/{name}.
type override struct {
	State string `json:"state"`
	For   string `json:"for"`
}

func (a *Admin) breaker(w http.ResponseWriter, r *http.Request) {
	at := slices.IndexFunc(a.o.Sources.Breakers, func(b Breaker) bool { return b.Snapshot().Name == r.PathValue("name") })
	if at < 0 {
		refuse(w, http.StatusNotFound, "there is no breaker of this name")
		return
	}
	document, ok := body(w, r, maxOverrideBody)
	if !ok {
		return
	}
	wanted, duration, err := parseOverride(document)
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	b := a.o.Sources.Breakers[at]
	switch wanted {
	case "auto":
		b.Auto()
	case "open":
		err = b.Override(breaker.Open, duration)
	case "closed":
		err = b.Override(breaker.Closed, duration)
	default:
		refuse(w, http.StatusBadRequest, "state: must be auto, open or closed")
		return
	}
	now := b.Snapshot()
	a.record("breaker", err, "name", now.Name, "state", wanted, "for", duration.String())
	if err != nil {
		refuse(w, http.StatusInternalServerError, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, now)
}

func parseOverride(document []byte) (state string, duration time.Duration, err error) {
	d := json.NewDecoder(bytes.NewReader(document))
	d.DisallowUnknownFields()
	var o override
	if err := d.Decode(&o); err != nil {
		return "", 0, fmt.Errorf("the body must be like {\"state\":\"open\",\"for\":\"10m\"}: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return "", 0, errors.New("data after the end of the document")
	}
	if o.For == "" {
		return o.State, defaultOverride, nil
	}
	duration, err = time.ParseDuration(o.For)
	if err != nil || duration <= 0 || duration > maxOverride {
		return "", 0, fmt.Errorf("for: must be a time like 10m, at most %s", maxOverride)
	}
	return o.State, duration, nil
}

// identifier returns a part of the path, decoded once, or refuses what can be none.
func identifier(w http.ResponseWriter, r *http.Request, name string) (string, bool) {
	value := r.PathValue(name)
	if value == "" || len(value) > maxIdentifier || !utf8.ValidString(value) {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("%s: must be 1 to %d bytes of UTF-8", name, maxIdentifier))
		return "", false
	}
	return value, true
}

func (a *Admin) eraseSession(w http.ResponseWriter, r *http.Request) {
	session, ok := identifier(w, r, "id")
	if !ok {
		return
	}
	ctx, cancel := act(r)
	defer cancel()
	gone, err := a.o.EraseSession(ctx, session)
	a.record("erase session", err, "session", a.o.Hash(session))
	erased(w, gone, err)
}

func (a *Admin) eraseProfile(w http.ResponseWriter, r *http.Request) {
	kind := r.PathValue("kind")
	switch kind {
	case "email", "phone", "document", "user-profile-id":
	default:
		refuse(w, http.StatusNotFound, "there is no identifier of this kind")
		return
	}
	value, ok := identifier(w, r, "value")
	if !ok {
		return
	}
	ctx, cancel := act(r)
	defer cancel()
	gone, err := a.o.EraseProfile(ctx, kind, value)
	if invalid, ok := errors.AsType[*profile.InvalidError](err); ok {
		refuse(w, http.StatusBadRequest, invalid.Error())
		return
	}
	a.record("erase profile", err, "kind", kind, "person", a.o.Hash(value))
	erased(w, gone, err)
}

// erased answers with what is gone.
func erased(w http.ResponseWriter, gone any, err error) {
	if err != nil {
		w.Header().Set("Retry-After", "5")
		refuse(w, http.StatusServiceUnavailable, "perhaps not erased everywhere, try again: "+err.Error())
		return
	}
	writeJSON(w, http.StatusOK, gone)
}

func (a *Admin) outbox(w http.ResponseWriter, r *http.Request) {
	state, err := a.o.Outbox(r.Context())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	writeJSON(w, http.StatusOK, state)
}

func (a *Admin) redrive(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := act(r)
	defer cancel()
	events, err := a.o.Redrive(ctx)
	a.record("redrive dead letters", err, "events", events)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("stopped after %d events: %v", events, err))
		return
	}
	writeJSON(w, http.StatusOK, struct {
		Redriven int `json:"redriven"`
	}{events})
}

func (a *Admin) reload(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := act(r)
	defer cancel()
	done, err := a.o.Reload(ctx)
	a.record("reload configuration", err)
	if err != nil {
		refuse(w, http.StatusUnprocessableEntity, "the old configuration stays: "+err.Error())
		return
	}
	writeJSON(w, http.StatusOK, done)
}
