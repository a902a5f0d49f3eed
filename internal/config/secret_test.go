package config_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"vitrine/internal/config"
)

// Nothing that prints or encodes a configuration shows a secret.
func TestSecretsAreNeverShown(t *testing.T) {
	t.Parallel()
	c := mustLoad(t, `
redis: {url: "redis://user:hush@a:1,b:2?password=hush&db=3&sentinel_password=hush"}
platform:
  kind: http
  url: https://shop/{id}?access_token=hush&sort=price
  ids: "#.id"
  headers: {Authorization: Bearer hush, X-File: file:/run/secret}
  vars: {token: hush, account: shop}
catalog: {url: "https://user:hush@feeds/feed.xml?sig=hush"}
`, nil, "--upstream.token=hush")

	shown := map[string]string{"Masked": string(c.Masked())}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%T"} {
		shown[verb] = fmt.Sprintf(verb, c)
		shown[verb+" of a pointer"] = fmt.Sprintf(verb, &c)
	}
	body, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	shown["JSON"] = string(body)
	var log strings.Builder
	slog.New(slog.NewTextHandler(&log, nil)).Info("started", "token", c.Upstream.Token, "redis", c.Redis.URL, "all", c)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("started", "token", c.Upstream.Token, "redis", c.Redis.URL, "all", c)
	shown["a log"] = log.String()

	for how, text := range shown {
		if strings.Contains(text, "hush") || strings.Contains(text, fmt.Sprintf("%x", "hush")) {
			t.Errorf("%s: got a secret in\n%s", how, text)
		}
	}
	for _, want := range []string{
		"url: redis://******@a:1,b:2?password=******&db=3&sentinel_password=******\n",
		"url: https://shop/{id}?access_token=******&sort=price\n",
		"Authorization: '******'\n", "X-File: file:/run/secret\n",
		"url: https://******@feeds/feed.xml?sig=******\n",
		"  token: '******'\n", "    account: shop\n    token: '******'\n",
	} {
		if got := shown["Masked"]; !strings.Contains(got, want) {
			t.Errorf("got\n%s\nwant it to hold %q", got, want)
		}
	}
}

// Mistakes quote what was written, but not where a secret may stand; not even one that
// stands where it does not belong.
func TestMistakesHoldNoSecret(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"--upstream.token=hush\x00"},
		{"--upstream.token=hush hush"},
		{"--upstream.url=https://u:hu%sh@h"},
		{"--upstream.url=https://u:hush@h"},
		{"--redis.url=u:hush@h:6379"},
		{"--redis.url=redis://u:hush/@h:6379"},
		{"--redis.url=redis://u:hush,@h:6379"},
		{"--platform.kind=none", "--platform.url=https://u:hush?@h"},
		{"--platform.headers=Authorization hush"},
		{"--platform.vars=hush"},
		{"--platform.headers=Authorization: hush\nAuthorization: hush"},
		{"--catalog.url=https://u:hush@@h"},
	} {
		_, _, err := load("", nil, args...)
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: got %v, want a mistake without the secret", args, err)
		}
	}
}

// An address too broken to be valid is masked too much rather than too little.
func TestBrokenAddressesAreMasked(t *testing.T) {
	t.Parallel()
	for _, address := range []config.Address{
		"redis://u:hush/@h", "redis://u:hush,@h", "redis://u:hush?@h", "redis://u:hush#@h", "redis://hush@hush@h",
		"u:hush@h", "redis://u:hush@a,redis://u:hush@b", "rediss://u:hush@a,b:1,rediss://u:hush@b",
		"https://h/?a=b&API_KEY=hush", "redis://a,redis://b?password=hush",
	} {
		if got := address.String(); strings.Contains(got, "hush") {
			t.Errorf("got %s, want no secret", got)
		}
	}
}
