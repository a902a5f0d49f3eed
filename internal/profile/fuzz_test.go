package profile_test

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"vitrine/internal/profile"
)

// A body is remembered as a profile only if a reader of whole documents finds in it every
// documented part, of its kind, and the id under which it will be found.
func FuzzDocumented(f *testing.F) {
	const whole = `{"userProfileId":"u1","profile":{"perfil_cliente":{},"ocasioes_relevantes":[{"ocasião":"x"}],"briefing_marketing":{"tom_de_voz":[]},` +
		`"ganchos_conteudo":[],"momento_compra_atual":{"novo_comportamento":true}}}`
	f.Add([]byte(whole))
	f.Add([]byte(strings.Replace(whole, "{}", "[]", 1)))
	f.Add([]byte(strings.Replace(whole, `"u1"`, `"../u1"`, 1)))
	f.Add([]byte(strings.Replace(whole, `"u1"`, `17`, 1)))
	f.Add([]byte(strings.Replace(whole, `"ganchos_conteudo":[],`, "", 1)))
	f.Add([]byte(whole + whole))
	f.Add([]byte(`{"statusCode":404,"message":"Profile not found","error":"Not Found"}`))
	f.Add([]byte("null"))
	f.Fuzz(func(t *testing.T, body []byte) {
		id, ok := profile.Documented(body)
		var document map[string]any
		whole := json.Unmarshal(body, &document) == nil && utf8.Valid(body)
		want, _ := document["userProfileId"].(string)
		parts, _ := document["profile"].(map[string]any)
		for _, name := range []string{"perfil_cliente", "briefing_marketing", "momento_compra_atual"} {
			_, object := parts[name].(map[string]any)
			whole = whole && object
		}
		for _, name := range []string{"ocasioes_relevantes", "ganchos_conteudo"} {
			_, list := parts[name].([]any)
			whole = whole && list
		}
		_, err := profile.ParseIdentifier("user-profile-id", want)
		if ok != (whole && err == nil) || ok && id != want {
			t.Errorf("%s: got %q, %t, want %q, %t, %v", body, id, ok, want, whole, err)
		}
	})
}

// A key file is refused with nothing of it quoted, or every key of it is one a reader of
// its lines finds; and what the first key of it seals, it opens.
func FuzzKeyFile(f *testing.F) {
	f.Add(line("k1", 1) + "# old\r\n\n  " + line("k.0_-", 2))
	f.Add(strings.TrimRight(line("k1", 0xfe), "=\n"))
	f.Add(line("k1", 1) + line("k1", 2))
	f.Add(":" + line("k1", 1))
	f.Add("k1:c2VjcmV0c2VjcmV0\n")
	path := filepath.Join(f.TempDir(), "keys")
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := profile.OpenKeys(path)
		if err != nil {
			for written := range strings.Lines(text) {
				if _, secret, _ := strings.Cut(strings.TrimSpace(written), ":"); len(secret) > 12 && strings.Contains(err.Error(), secret) {
					t.Errorf("got %v, want no key quoted", err)
				}
			}
			return
		}
		first, found := "", 0
		for written := range strings.Lines(text) {
			written = strings.TrimSpace(written)
			if written == "" || strings.HasPrefix(written, "#") {
				continue
			}
			id, secret, _ := strings.Cut(written, ":")
			if key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(secret, "=")); err != nil || len(key) != 32 {
				t.Errorf("%q: got it accepted: %d bytes, %v", written, len(key), err)
			}
			if found++; found == 1 {
				first = id
			}
		}
		raw := keys.Seal(profile.Name(1), 1, "body")
		if stamp, body, ok := keys.Open(profile.Name(1), raw); !ok || stamp != 1 || body != "body" || !strings.Contains(string(raw), first) {
			t.Errorf("got %d, %q, %t, sealed with another key than %q", stamp, body, ok, first)
		}
	})
}

// What another pod publishes leaves a stamp for every name in it, up to the first that is none,
// and for nothing else; and none at all if the erase is said to be of the future.
func FuzzErasedElsewhere(f *testing.F) {
	name := strings.Repeat("A", 21) + "Q" // 16 bytes
	for _, message := range []string{
		"1700000000000000 " + name, "1700000000000000 " + name + " " + name, "1 " + name + " " + strings.Repeat("B", 21) + "Q",
		"1 " + name + " short " + strings.Repeat("B", 21) + "Q", "9223372036854775807 " + name, "0 " + name, "-1 " + name, "+1 " + name,
		"1", "", " ", "1  " + name + "\n", "1 " + name + "=", "1 " + strings.Repeat("A", 21) + "R", "1\t" + name,
	} {
		f.Add(message)
	}
	f.Fuzz(func(t *testing.T, message string) {
		stamp, names, _ := strings.Cut(message, " ")
		wall, err := strconv.ParseInt(stamp, 10, 64)
		ahead := time.Until(time.UnixMicro(wall))
		if ahead > 0 && ahead < time.Minute {
			return // a clock that is a little ahead is believed
		}
		want := make(map[string]bool)
		for name := range strings.FieldsSeq(names) {
			raw, invalid := base64.RawURLEncoding.Strict().DecodeString(name)
			if err != nil || wall <= 0 || ahead > 0 || invalid != nil || len(raw) != 16 {
				break
			}
			want[string(raw)] = true
		}
		p := open(t, new(vendor))
		p.ReceiveErase(message)
		if got := p.Erases(); got != len(want) {
			t.Errorf("%q: got %d stamps, want %d", message, got, len(want))
		}
	})
}
