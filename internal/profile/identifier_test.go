package profile_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"vitrine/internal/profile"
)

func TestIdentifiersAreNormalised(t *testing.T) {
	f := func(kind, escaped, normal, path string) {
		t.Helper()
		id, err := profile.ParsePath(kind, escaped)
		if err != nil || id.Normal() != normal || id.Path() != "/api/v1/crm/protected/profile/"+kind+"/"+path {
			t.Errorf("%s %q: got %q asked as %q, %v, want %q as %q", kind, escaped, id.Normal(), id.Path(), err, normal, path)
		}
	}
	f("email", "ana@example.org", "ana@example.org", "ana%40example.org")
	f("email", "%20Ana@Example.ORG%20", "ana@example.org", "%20Ana%40Example.ORG%20")
	f("email", "ana+news@example.org", "ana+news@example.org", "ana%2Bnews%40example.org")
	f("email", "ana%2Bnews%40example.org", "ana+news@example.org", "ana%2Bnews%40example.org")
	f("email", "ana%252B@example.org", "ana%2b@example.org", "ana%252B%40example.org") // once
	f("email", "%C3%89ric@example.org", "Éric@example.org", "%C3%89ric%40example.org") // two people may differ in that
	f("phone", "5511999998888", "5511999998888", "5511999998888")
	f("phone", "+55%20(11)%2099999-8888", "5511999998888", "%2B55%20%2811%29%2099999-8888")
	f("document", "123.456.789-09", "12345678909", "123.456.789-09")
	f("document", "mg-12.345.67x", "MG1234567X", "mg-12.345.67x")
	f("document", "MG1234567X", "MG1234567X", "MG1234567X")
	f("user-profile-id", "Profile-1:ß", "Profile-1:ß", "Profile-1%3A%C3%9F")
	f("user-profile-id", "a%3Fb%23c", "a?b#c", "a%3Fb%23c")
	f("user-profile-id", "a..b", "a..b", "a..b")
}

// hostile are values no identifier has, as they may stand in a path.
func hostile() map[string]string {
	return map[string]string{
		"empty":                 "",
		"spaces":                "%20%20",
		"slash":                 "a/b@example.org",
		"escaped slash":         "a%2Fb@example.org",
		"escaped backslash":     "a%5Cb@example.org",
		"NUL":                   "a%00@example.org",
		"line break":            "a%0D%0AX-Evil:1@example.org",
		"dots":                  "..",
		"escaped dots":          "%2e%2e",
		"dots and more":         "../user-profile-id/1",
		"10 KB":                 strings.Repeat("a", 10<<10) + "@example.org",
		"10 KB escaped":         strings.Repeat("%61", 10<<10),
		"just too long":         strings.Repeat("a", 257),
		"half an escape":        "a%4",
		"no escape":             "a%zz@example.org",
		"not UTF-8":             "a%ff@example.org",
		"overlong slash":        "a%c0%af@example.org",
		"direction override":    "a%E2%80%AE@example.org",
		"line separator":        "a%E2%80%A8@example.org",
		"DEL":                   "a%7F@example.org",
		"spaces of other kinds": "%C2%A0",
	}
}

func TestWhatCannotBeAnIdentifier(t *testing.T) {
	f := func(what, kind, escaped string) {
		t.Helper()
		_, err := profile.ParsePath(kind, escaped)
		invalid, ok := errors.AsType[*profile.InvalidError](err)
		if !ok {
			t.Errorf("%s as %s: got %v, want an InvalidError", what, kind, err)
			return
		}
		if value, _ := url.PathUnescape(escaped); len(value) > 3 && strings.Contains(invalid.Error(), value) {
			t.Errorf("%s as %s: the error %q quotes the value", what, kind, invalid)
		}
	}
	for what, value := range hostile() {
		for _, kind := range []string{"email", "phone", "document", "user-profile-id"} {
			f(what, kind, value)
		}
	}
	f("no at", "email", "ana.example.org")
	f("two ats", "email", "ana@x@example.org")
	f("nobody", "email", "@example.org")
	f("nowhere", "email", "ana@")
	f("a space inside", "email", "ana%20b@example.org")
	f("letters", "phone", "55119999CALL")
	f("too few digits", "phone", "5511999")
	f("too many digits", "phone", "5511999998888123")
	f("a plus inside", "phone", "5511+99999888")
	f("other digits", "phone", "%D9%A1%D9%A2%D9%A3%D9%A4%D9%A5%D9%A6%D9%A7%D9%A8")
	f("too short", "document", "1-2")
	f("too long", "document", strings.Repeat("1", 33))
	f("signs", "document", "123;456")
	f("a space", "user-profile-id", "a%20b")
	if _, err := profile.ParsePath("name", "ana"); !errors.Is(err, profile.ErrKind) {
		t.Errorf("an unknown kind: got %v, want ErrKind", err)
	}
}

// Whatever is accepted is asked of the API as the caller wrote it, in one segment of the
// path, and to normalise what is normal changes nothing: no two spellings of one
// identifier have two names.
func FuzzParsePath(f *testing.F) {
	kinds := []string{"email", "phone", "document", "user-profile-id"}
	for _, value := range hostile() {
		f.Add(byte(0), value)
	}
	f.Add(byte(0), "%20Ana+B%2b@Example.ORG")
	f.Add(byte(1), "+55%20(11)%2099999-8888")
	f.Add(byte(2), "123.456.789-09")
	f.Add(byte(3), "Profile-1:%C3%9F")
	f.Fuzz(func(t *testing.T, k byte, escaped string) {
		kind := kinds[int(k)%len(kinds)]
		id, err := profile.ParsePath(kind, escaped)
		if err != nil {
			return
		}
		meant, _ := url.PathUnescape(escaped)
		prefix := "/api/v1/crm/protected/profile/" + kind + "/"
		rest, found := strings.CutPrefix(id.Path(), prefix)
		asked, err := profile.AskedOf(id.Path())
		if !found || strings.ContainsAny(rest, "/+?#\\ ") || err != nil || asked != meant {
			t.Errorf("%q: asked %q, which reads %q, %v, want %q", escaped, id.Path(), asked, err, meant)
		}
		again, err := profile.ParseIdentifier(kind, id.Normal())
		if err != nil || again.Normal() != id.Normal() {
			t.Errorf("%q: got %q, %v, of the normal %q", escaped, again.Normal(), err, id.Normal())
		}
	})
}
