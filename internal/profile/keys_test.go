package profile_test

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/profile"
)

// line is a line of a key file.
func line(id string, fill byte) string {
	key := make([]byte, 32)
	for i := range key {
		key[i] = fill
	}
	return id + ":" + base64.StdEncoding.EncodeToString(key) + "\n"
}

// keyFile writes a key file and returns its path.
func keyFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keys")
	rewrite(t, path, text)
	return path
}

func rewrite(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openKeys(t testing.TB, text string) *profile.Keys {
	t.Helper()
	k, err := profile.OpenKeys(keyFile(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyFiles(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"\n\n# nothing\n", "no key"},
		"no id":        {line("", 1), "line 1 must be"},
		"a strange id": {line("a b", 1), "line 1 must be"},
		"a long id":    {line(strings.Repeat("k", 33), 1), "line 1 must be"},
		"no colon":     {"secret\n", "line 1 must be"},
		"short":        {"k1:c2hvcnQ=\n", "line 1 does not hold base64 of 32 bytes"},
		"no base64":    {line("k1", 1) + "k2:!!secret!!\n", "line 2 does not hold"},
		"twice":        {line("k1", 1) + "\n" + line("k1", 2), "line 3 has the id of a key above it"},
	} {
		_, err := profile.OpenKeys(keyFile(t, c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: got %v, want %q and nothing quoted", name, err, c.want)
		}
	}
	if _, err := profile.OpenKeys(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("no file: got no error")
	}
	openKeys(t, "# since 2026\n  "+strings.TrimRight(line("k.1_a-", 0xfe), "=\n")+" \n\n"+line("k2", 2))
}

func TestEnvelope(t *testing.T) {
	keys := openKeys(t, line("k1", 1))
	raw := keys.Seal(profile.Name(1), 1_700_000_000_000_000, `{"ocasião":1}`)
	if stamp, body, ok := keys.Open(profile.Name(1), raw); !ok || stamp != 1_700_000_000_000_000 || body != `{"ocasião":1}` {
		t.Errorf("got %d %q %t, want what was sealed", stamp, body, ok)
	}
	if _, _, ok := keys.Open(profile.Name(2), raw); ok {
		t.Error("under another name: got it opened, want a miss")
	}
	nine := profile.Name(9)
	pointer := keys.SealPointer(profile.Name(1), nine, 5)
	if _, to, ok := keys.Open(profile.Name(1), pointer); !ok || to != string(nine[:]) {
		t.Errorf("a pointer: got %q %t", to, ok)
	}
	if again := keys.Seal(profile.Name(1), 1_700_000_000_000_000, `{"ocasião":1}`); string(again) == string(raw) {
		t.Error("got the same envelope twice, want another nonce")
	}
}

// No byte of an envelope can change, appear or go without the envelope becoming a miss.
func TestEveryByteOfAnEnvelopeCounts(t *testing.T) {
	keys := openKeys(t, line("k1", 1)+line("k2", 1)) // the same key under two ids
	raw := keys.Seal(profile.Name(1), 1_700_000_000_000_000, "body")
	for i := range raw {
		for bit := range 8 {
			changed := append([]byte(nil), raw...)
			changed[i] ^= 1 << bit
			if _, _, ok := keys.Open(profile.Name(1), changed); ok {
				t.Errorf("bit %d of byte %d changed: got it opened", bit, i)
			}
		}
		if _, _, ok := keys.Open(profile.Name(1), raw[:i]); ok {
			t.Errorf("cut after %d bytes: got it opened", i)
		}
	}
	renamed := []byte(strings.Replace(string(raw), "k1", "k2", 1))
	if _, _, ok := keys.Open(profile.Name(1), renamed); ok {
		t.Error("another key id: got it opened")
	}
}

// Only what seal has made opens, whatever is done to it. The edit is fuzzed and not the
// envelope: its nonce is another in each of the fuzzer's processes.
func FuzzEnvelope(f *testing.F) {
	keys := openKeys(f, line("k1", 1))
	good := keys.Seal(profile.Name(1), 1_700_000_000_000_000, "body")
	f.Add(uint(0), uint(0), []byte(nil))
	f.Add(uint(len(good)-1), uint(1), []byte(nil))
	f.Add(uint(len(good)), uint(0), []byte{0})
	f.Add(uint(0), uint(len(good)), []byte("1b0000000000000000"))
	f.Add(uint(0), uint(len(good)), []byte("1p1700000000000000\xffk1"))
	f.Fuzz(func(t *testing.T, at, gone uint, put []byte) {
		at = min(at, uint(len(good)))
		end := at + min(gone, uint(len(good))-at)
		raw := slices.Concat(good[:at], put, good[end:])
		_, body, ok := keys.Open(profile.Name(1), raw)
		if ok != slices.Equal(raw, good) || ok && body != "body" {
			t.Errorf("%q: got %q %t", raw, body, ok)
		}
	})
}

// A key rotates without a miss, and one that is gone opens nothing.
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := keyFile(t, line("old", 1))
		keys, err := profile.OpenKeys(path)
		if err != nil {
			t.Fatal(err)
		}
		var reports []string
		go keys.Run(t.Context(), func(err error) { reports = append(reports, err.Error()) })
		step := func(text string) {
			rewrite(t, path, text)
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		opens := func(what string, raw []byte, want bool) {
			t.Helper()
			if _, _, ok := keys.Open(profile.Name(1), raw); ok != want {
				t.Errorf("%s: got opened %t, want %t", what, ok, want)
			}
		}
		first := keys.Seal(profile.Name(1), 1, "body")
		step(line("old", 1) + line("new", 2))
		opens("sealed by old, new added", first, true)
		if second := keys.Seal(profile.Name(1), 1, "body"); !strings.Contains(string(second), "old") {
			t.Errorf("got %q, want the first key to seal", second)
		}
		step(line("new", 2) + line("old", 1))
		second := keys.Seal(profile.Name(1), 1, "body")
		if !strings.Contains(string(second), "new") {
			t.Errorf("got %q, want the new key to seal", second)
		}
		opens("sealed by old, new first", first, true)
		step("rubbish")
		opens("sealed by new, the file spoilt", second, true)
		if len(reports) != 1 || !strings.Contains(reports[0], "line 1") {
			t.Errorf("got reports %q, want one of line 1", reports)
		}
		step(line("new", 2))
		opens("sealed by new, old gone", second, true)
		opens("sealed by old, old gone", first, false)
		step(line("new", 3))
		opens("the id given to another key", second, false)
	})
}
