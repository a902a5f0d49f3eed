package redis_test

import (
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"time"

	"vitrine/breaker"
	"vitrine/internal/redis"
)

func TestURLs(t *testing.T) {
	b, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"embedded":                 "",
		"redis://localhost":        "",
		"redis://localhost:6379/3": "",
		"redis://user:hush@localhost:6379/0?protocol=2":           "",
		"rediss://:hush@host:6380?server_name=redis.shop":         "",
		"redis://a:1,b:2,c:3":                                     "",
		"redis://u:hush@a:1,redis://u:hush@b:2":                   "",
		"redis://a:1,b:2?master_name=shop&sentinel_password=hush": "",
		"redis://[::1]:6379":                                      "",
		"":                                                        "must be embedded",
		"localhost:6379":                                          "must be embedded",
		"http://u:hush@localhost":                                 "must be embedded",
		"redis://":                                                "address 1",
		"redis://a:1,,b:2":                                        "address 2",
		"redis://u:hush%zz@a:1":                                   "address 1",
		"redis://u:hush@a:port":                                   "address 1",
		"redis://a:1/hush":                                        "database",
		"redis://a:1/1,b:2":                                       "Cluster has no database",
		"redis://a:1,b:2/1":                                       "first address",
		"redis://a:1?db=hush":                                     "option db",
		"redis://a:1?pasword=hush":                                "an option of the URL is not known",
		"redis://u:123?hush@a:1":                                  "an option of the URL is not known",
		"redis://a:1?server_name=x":                               "rediss://",
		"rediss://a:1?ca_file=/does/not/exist":                    "reading the authorities",
	} {
		err := redis.Options{URL: url, Budget: time.Millisecond, Breaker: b, Log: slog.New(slog.DiscardHandler)}.Validate()
		switch {
		case want == "" && err != nil:
			t.Errorf("%q: got %v", url, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: got %v, want it to tell of %s", url, err, want)
		case err != nil && strings.Contains(err.Error(), "hush"):
			t.Errorf("%q: got %v, which gives the password away", url, err)
		}
	}
}

func TestValidateReportsEverything(t *testing.T) {
	err := redis.Options{}.Validate()
	if err == nil {
		t.Fatal("got no error")
	}
	for _, want := range []string{"budget", "breaker", "log", "URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want it to name the %s", err, want)
		}
	}
}

func TestHashKeys(t *testing.T) {
	one, err := redis.DeriveHashKey("token one")
	if err != nil {
		t.Fatal(err)
	}
	same, _ := redis.DeriveHashKey("token one")
	two, _ := redis.DeriveHashKey("token two")
	if one != same || one == two || one == (redis.HashKey{}) {
		t.Errorf("got %x, %x, %x; want two alike and one other", one, same, two)
	}
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(one[:]),
		base64.RawURLEncoding.EncodeToString(one[:]) + "\n",
	} {
		if got, err := redis.ParseHashKey(text); err != nil || got != one {
			t.Errorf("%q: got %x, %v; want %x", text, got, err, one)
		}
	}
	for _, text := range []string{"", "short", base64.StdEncoding.EncodeToString(one[:31]), strings.Repeat("=", 44)} {
		if _, err := redis.ParseHashKey(text); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}
