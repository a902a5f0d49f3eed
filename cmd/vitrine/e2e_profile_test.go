package main_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

const profilePath = "/api/v1/crm/protected/profile/"

// newCRM starts a stand-in API that knows a few people.
func newCRM(t *testing.T) *fakeapi.Server {
	t.Helper()
	api, err := fakeapi.Start(fakeapi.Options{People: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// profileKeys is the flag that names a file with one key.
func profileKeys(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(path, []byte("k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return "--profile.key_file=" + path
}

// identifiers are the four ways to ask for a person, as parts of the path.
func identifiers(p fakeapi.Person) []string {
	return []string{"email/" + url.PathEscape(p.Email), "phone/" + p.Phone, "document/" + p.Document, "user-profile-id/" + p.ProfileID}
}

// profile asks for a profile and checks status and source. It returns the body.
func (s *sidecar) profile(what, asked string, status int, source string) string {
	s.t.Helper()
	got, header, body, err := s.send(s.data+profilePath+asked, http.MethodGet, "")
	if err != nil {
		s.t.Fatal(err)
	}
	if got != status || header.Get("Vitrine-Source") != source {
		s.t.Errorf("%s: got %d %q %s, want %d %q", what, got, header.Get("Vitrine-Source"), body, status, source)
	}
	if status >= 400 && source == "" && (header.Get("Content-Type") != "application/problem+json" || strings.Contains(body, "example")) {
		s.t.Errorf("%s: got %s %s, want a problem that quotes nothing", what, header.Get("Content-Type"), body)
	}
	return body
}

func TestE2EProfiles(t *testing.T) {
	t.Parallel()
	api, redis := newCRM(t), redistest.Start(t)
	flags := append(withRedis(redis), profileKeys(t))
	one, two := start(t, api.URL(), flags...), start(t, api.URL(), flags...)
	person := fakeapi.PersonN(1)
	all := identifiers(person)
	var body string
	for _, asked := range all[:3] {
		body = one.profile(asked, asked, 200, "api")
	}
	if !strings.Contains(body, `"ocasião"`) || !strings.Contains(body, "pela 3ª vez") {
		t.Errorf("got %s, want what the API wrote the third time", body)
	}
	eventually(t, "the other sidecar knows the last writing", func() bool {
		_, header, got, err := two.send(two.data+profilePath+all[2], http.MethodGet, "")
		return err == nil && header.Get("Vitrine-Source") == "cache" && got == body
	})
	for _, asked := range all {
		if got := two.profile(asked, asked, 200, "cache"); got != body {
			t.Errorf("%s: got %s, want the one copy", asked, got)
		}
	}
	if got := one.profile("nobody", "email/nobody%2B1@example.com", 404, "api"); !strings.Contains(got, "Profile not found") {
		t.Errorf("got %s, want the vendor's own 404", got)
	}
	one.profile("nobody", "email/NOBODY+1@example.com", 404, "cache")

	status, text := two.call(http.MethodDelete, two.admin+"/profiles/phone/"+person.Phone, "")
	var gone struct {
		Profile     bool
		Identifiers int
	}
	if err := json.Unmarshal([]byte(text), &gone); err != nil || status != 200 || !gone.Profile || gone.Identifiers != 3 {
		t.Errorf("got %d %s, want the profile and three identifiers gone", status, text)
	}
	if got := one.profile("erased by the other", all[0], 200, "api"); !strings.Contains(got, "pela 4ª vez") {
		t.Errorf("got %s, want it written anew", got)
	}
	nobodySees(t, redis, person, one, two)
}

// nobodySees searches everything that can be seen from outside for the person, the profile
// and the token.
func nobodySees(t *testing.T, redis *redistest.Server, person fakeapi.Person, pods ...*sidecar) {
	t.Helper()
	seen := map[string]string{"redis": redis.Do("EVAL", `
local all = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
	all[#all+1] = key
	local what = redis.call('TYPE', key).ok
	if what == 'hash' then
		for _, part in ipairs(redis.call('HGETALL', key)) do all[#all+1] = part end
	elseif what == 'string' then
		all[#all+1] = redis.call('GET', key)
	end
end
return table.concat(all, '\n')`, "0")}
	if !strings.Contains(seen["redis"], "v1:p:") {
		t.Fatalf("got %q in Redis, want profiles", seen["redis"])
	}
	for _, s := range pods {
		seen["log of "+s.addr] = s.log.String()
		for _, path := range []string{
			"/", "/status.json", "/outbox", "/debug/pprof/heap", "/debug/pprof/heap?debug=1", "/debug/pprof/goroutine?debug=1", "/debug/pprof/allocs",
		} {
			_, seen[s.admin+path] = s.call(http.MethodGet, s.admin+path, "")
		}
		_, seen[s.probes+"/metrics"] = s.call(http.MethodGet, s.probes+"/metrics", "")
		_, seen[s.probes+"/readyz"] = s.call(http.MethodGet, s.probes+"/readyz", "")
	}
	for where, text := range seen {
		for _, secret := range []string{
			person.Email, "cliente1", "example.com", "nobody", person.Phone, person.Document, person.ProfileID,
			"ocasi", "resumo_momento", "Profile not found", fakeapi.DefaultToken, "AAECAwQFBgcICQoLDA0",
		} {
			if strings.Contains(text, secret) {
				t.Errorf("got %q in %s", secret, where)
			}
		}
	}
}

// What cannot be an identifier is refused, and the API never hears of it.
func TestE2EProfilePaths(t *testing.T) {
	t.Parallel()
	api := newCRM(t)
	s := start(t, api.URL())
	for what, c := range map[string]struct {
		path   string
		status int
	}{
		"an escaped slash":     {"email/a%2Fb@example.com", 400},
		"a slash":              {"email/a/b@example.com", 400},
		"a backslash":          {"email/a%5Cb@example.com", 400},
		"NUL":                  {"email/a%00@example.com", 400},
		"a line break":         {"email/a%0D%0AHost:x@example.com", 400},
		"dots":                 {"email/..", 400},
		"escaped dots":         {"user-profile-id/%2e%2e", 400},
		"dots to another kind": {"email/../phone/5511900000001", 400},
		"10 KB":                {"email/" + strings.Repeat("a", 10<<10) + "@example.com", 400},
		"10 KB escaped":        {"user-profile-id/" + strings.Repeat("%41", 10<<10/3), 400},
		"not UTF-8":            {"user-profile-id/%ff", 400},
		"nothing":              {"email/", 400},
		"no value":             {"email", 400},
		"no address":           {"email/example.com", 400},
		"letters for a phone":  {"phone/5511CALLME99", 400},
		"an unknown kind":      {"name/ana", 404},
		"no kind":              {"", 404},
	} {
		s.profile(what, c.path, c.status, "")
	}
	if calls := s.metrics()["vitrine_profile_calls_total"]; calls != 0 {
		t.Errorf("got %v calls of the API, want none", calls)
	}
	if status, _ := s.call(http.MethodPost, s.data+profilePath+"email/a@example.com", "{}"); status != 405 {
		t.Errorf("POST: got %d, want 405", status)
	}
	person := fakeapi.PersonN(2)
	s.profile("spaces and capitals", "email/%20"+strings.ToUpper(person.Email), 404, "api") // as written: the stand-in is strict
	s.profile("a phone as people write it", "phone/%2B"+person.Phone[:2]+"%20"+person.Phone[2:], 404, "api")
}

func TestE2EProfilesInAnOutage(t *testing.T) {
	t.Parallel()
	api := newCRM(t)
	s := start(t, api.URL(), "--profile.fresh=1ms")
	person := fakeapi.PersonN(0)
	body := s.profile("well", "document/"+person.Document, 200, "api")
	pass()
	sick(t, api, fakeapi.Fault{Status: 503})
	if got := s.profile("stale", "document/"+person.Document, 200, "stale"); got != body {
		t.Errorf("got %s, want %s", got, body)
	}
	_, header, text, err := s.send(s.data+profilePath+"phone/"+person.Phone, http.MethodGet, "")
	if err != nil || header.Get("Retry-After") == "" || !strings.Contains(text, `"status":503`) {
		t.Errorf("got %s %v, want a 503 with Retry-After", text, header)
	}
}

func TestE2EProfilesTurnedOff(t *testing.T) {
	t.Parallel()
	s := start(t, newCRM(t).URL(), "--profile.enabled=false")
	s.profile("off", "user-profile-id/"+fakeapi.PersonN(0).ProfileID, 404, "")
	if status, _ := s.call(http.MethodDelete, s.admin+"/profiles/email/a@example.com", ""); status != 404 {
		t.Errorf("erasing: got %d, want 404", status)
	}
}
