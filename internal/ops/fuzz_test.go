package ops_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"
)

// An override is carried out as it was asked for, for a day at most; a body that is not one
// changes nothing, and is refused.
func FuzzOverride(f *testing.F) {
	for _, body := range []string{
		`{"state":"open","for":"24h"}`, `{"state":"closed"}`, `{"state":"auto","for":"10m"}`, `{"state":"open","for":"24h1ns"}`,
		`{"state":"half-open"}`, `{"state":"open","for":"-1m"}`, `{"state":"open","for":"2562047h47m16.854775807s"}`, `{"STATE":"open"}`,
		`{"state":"auto","state":"open"}`, `{"state":"open"} {}`, `{"state":"open","until":"10m"}`, `["open"]`, `null`, "{\"state\":\"\xff\"}", ``,
		strings.Repeat(" ", 1024) + `{"state":"open"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o := openOffice(t)
		began := time.Now()
		got := o.do(http.MethodPost, "/breaker/recommendation", string(body))
		now := o.breakers[0].Snapshot()
		if got.status != http.StatusOK {
			if got.status != http.StatusBadRequest && (got.status != http.StatusRequestEntityTooLarge || len(body) <= 1024) {
				t.Errorf("%q: got status %d", body, got.status)
			}
			if now.Override != "auto" || len(now.Changes) > 0 {
				t.Errorf("%q: got %+v though it was refused", body, now)
			}
			return
		}
		var asked struct{ State, For string }
		if err := json.Unmarshal(body, &asked); err != nil || now.Override != asked.State {
			t.Errorf("%q: got %s (%v), want what was asked for", body, now.Override, err)
		}
		if asked.State == "auto" {
			return
		}
		lasts := 10 * time.Minute
		if asked.For != "" {
			lasts, _ = time.ParseDuration(asked.For)
		}
		if until := now.OverrideUntil; lasts <= 0 || lasts > 24*time.Hour || until.Before(began.Add(lasts)) || until.After(time.Now().Add(lasts)) {
			t.Errorf("%q: got it until %v, from %v", body, until, began)
		}
	})
}
