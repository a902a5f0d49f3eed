package fashionai_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/fashionai"
)

func TestTokenIsNeverPrinted(t *testing.T) {
	token, err := fashionai.NewToken(secret)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", token)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", token)
	encoded, _ := json.Marshal(struct{ T *fashionai.Token }{token})
	options := fashionai.Options{Token: token}
	for _, got := range []string{
		log.String(), string(encoded),
		fmt.Sprintf("%v %+v %#v %s %q %x %d", token, token, token, token, token, token, token),
		fmt.Sprintf("%v %+v", options, options),
	} {
		if strings.Contains(got, secret) || strings.Contains(got, hex.EncodeToString([]byte(secret))) {
			t.Errorf("the token is in %q", got)
		}
	}
	if token.Secret() != secret {
		t.Errorf("got %q, want %q", token.Secret(), secret)
	}
}

func TestBadTokens(t *testing.T) {
	for _, s := range []string{"", " \n", "a b", "a\r\nX: y", "tökén", "a\x00b"} {
		if _, err := fashionai.NewToken(s); err == nil || len(s) > 3 && strings.Contains(err.Error(), s) {
			t.Errorf("%q: got %v, want an error without it", s, err)
		}
	}
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, make([]byte, 10<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(dir, "none"), long} {
		if _, err := fashionai.OpenToken(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names it", path, err)
		}
	}
}

func TestTokenFileIsFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write("one")
		token, err := fashionai.OpenToken(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		var reports []error
		go func() { ended <- token.Run(ctx, func(err error) { reports = append(reports, err) }) }()
		check := func(content, want string, failures int) {
			t.Helper()
			write(content)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			if token.Secret() != want || len(reports) != failures {
				t.Errorf("file %q: got %q and %d reports, want %q and %d", content, token.Secret(), len(reports), want, failures)
			}
		}
		check("two\n", "two", 0)
		check("", "two", 1) // in the middle of being written
		check("three", "three", 1)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
}

// Of many calls refused at once none finds the old token, and the file is read once a second.
func TestRefusedReadsOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		write("old")
		token, err := fashionai.OpenToken(path)
		if err != nil {
			t.Fatal(err)
		}
		check := func(when, secret string, want bool) {
			t.Helper()
			if renewed, err := token.Refused(secret); renewed != want || err != nil {
				t.Errorf("%s: got %t, %v, want %t", when, renewed, err, want)
			}
		}
		write("new")
		var calls sync.WaitGroup
		for range 50 {
			calls.Go(func() { check("at once", "old", true) })
		}
		calls.Wait()
		write("newer")
		check("too soon", "new", false)
		time.Sleep(time.Second)
		check("a second later", "new", true)
		if got := token.Secret(); got != "newer" {
			t.Errorf("got %q, want the newest", got)
		}
	})
}

func TestReplace(t *testing.T) {
	token, err := fashionai.NewToken("one")
	if err != nil {
		t.Fatal(err)
	}
	if renewed, err := token.Refused("one"); renewed || err != nil {
		t.Errorf("got %t, %v, want no other token", renewed, err)
	}
	if err := token.Replace("t w o"); err == nil || token.Secret() != "one" {
		t.Errorf("got %v and %q, want an error and the old one", err, token.Secret())
	}
	if err := token.Replace("two"); err != nil || token.Secret() != "two" {
		t.Errorf("got %v and %q, want the new one", err, token.Secret())
	}
}
