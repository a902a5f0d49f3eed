package main

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/bench/fakeshop"
	"vitrine/internal/redistest"
)

// consult runs the doctor, and returns the exit code and its findings by name.
func consult(t *testing.T, environ ...string) (int, map[string]string) {
	t.Helper()
	var out, problems strings.Builder
	code := run(t.Context(), []string{"doctor"}, environ, &out, &problems)
	all := out.String() + problems.String()
	if strings.Contains(all, "hush") {
		t.Errorf("got a secret shown:\n%s", all)
	}
	findings := make(map[string]string)
	for line := range strings.Lines(out.String()) {
		name := strings.TrimSpace(line[6:18])
		findings[name] = strings.TrimSpace(line[:4]) + " " + strings.TrimSpace(line[20:])
	}
	return code, findings
}

func expect(t *testing.T, findings map[string]string, name, verdict, detail string) {
	t.Helper()
	if got := findings[name]; !strings.HasPrefix(got, verdict+" ") || !strings.Contains(got, detail) {
		t.Errorf("%s: got %q, want %s and %q in it", name, got, verdict, detail)
	}
}

// write makes a file with a secret in a folder of the test's.
func write(t *testing.T, content string, mode os.FileMode) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
	return name
}

// With everything there, every line is fine, and the API hears of nothing.
func TestDoctorAllWell(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "--maxmemory-policy", "allkeys-lru")
	api, err := fakeapi.Start(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	shop, err := fakeshop.Start(fakeshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	outbox := t.TempDir()
	defer fillOutbox(t, outbox, "settled").Close() // a live sidecar's lock
	key := base64.StdEncoding.EncodeToString(make([]byte, 32))

	code, found := consult(t,
		"VITRINE_UPSTREAM_URL="+api.URL(), "VITRINE_UPSTREAM_TOKEN_FILE="+write(t, "hush\n", 0o644),
		"VITRINE_REDIS_URL="+server.URL(), "VITRINE_REDIS_HASH_KEY_FILE="+write(t, key, 0o600),
		"VITRINE_PLATFORM_KIND=http", "VITRINE_PLATFORM_URL="+shop.URL()+"/native?category={id}",
		"VITRINE_PLATFORM_IDS=items.#.productId", "VITRINE_PLATFORM_SHELF_URL="+shop.URL()+"/shelf",
		"VITRINE_PLATFORM_SHELF_IDS=items.#.productId", "VITRINE_PLATFORM_FILE="+write(t, `{"shelf":["p1"]}`, 0o600),
		"VITRINE_CATALOG_URL="+shop.URL()+"/feed.tsv", "VITRINE_OUTBOX_DIR="+outbox,
		"VITRINE_PROFILE_KEY_FILE="+write(t, "k1:"+key, 0o600), "VITRINE_SECURITY_APP_TOKEN_FILE="+write(t, "hush", 0o600),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+shop.URL())
	if code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
	expect(t, found, "token", "ok", "everybody may read it (mode 0644)")
	expect(t, found, "api", "ok", "without TLS")
	expect(t, found, "redis", "ok", "warning: under that policy")
	expect(t, found, "hash key", "ok", "(mode 0600)")
	expect(t, found, "platform", "ok", "the shelf has")
	expect(t, found, "native lists", "ok", "")
	expect(t, found, "catalogue", "ok", "2000 groups")
	expect(t, found, "outbox", "ok", outbox+" can be written to")
	expect(t, found, "profile key", "ok", "")
	expect(t, found, "app token", "ok", "")
	expect(t, found, "traces", "ok", "without TLS")
	if calls := api.Stats().Calls; len(calls) > 0 {
		t.Errorf("got %v asked of the API, want nothing", calls)
	}
	if left := server.Do("DBSIZE"); left != "0" {
		t.Errorf("got %s keys left in Redis, want 0", left)
	}
	if files, _ := filepath.Glob(outbox + "/.vitrine-doctor*"); len(files) > 0 {
		t.Errorf("got %v left in the outbox, want nothing", files)
	}
}

// With everything broken, every line says so.
func TestDoctorAllIll(t *testing.T) {
	t.Parallel()
	api, err := fakeapi.Start(fakeapi.Options{TLS: true}) // of an authority that nobody trusts
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	missing := t.TempDir() + "/hush/gone"
	nobody := "http://127.0.0.1:1"
	code, found := consult(t,
		"VITRINE_UPSTREAM_URL="+api.URL(), "VITRINE_UPSTREAM_TOKEN_FILE="+write(t, "\n", 0o600),
		"VITRINE_REDIS_URL=redis://u:hush@127.0.0.1:1", "VITRINE_REDIS_HASH_KEY_FILE="+write(t, "hush", 0o600),
		"VITRINE_PLATFORM_KIND=http", "VITRINE_PLATFORM_URL="+nobody+"/?token=hush&category={id}", "VITRINE_PLATFORM_IDS=items",
		"VITRINE_PLATFORM_FILE="+write(t, `["hush"]`, 0o600),
		"VITRINE_CATALOG_URL="+nobody+"/?token=hush", "VITRINE_OUTBOX_DIR="+write(t, "", 0o600)+"/outbox",
		"VITRINE_PROFILE_KEY_FILE="+write(t, "", 0o600), "VITRINE_SECURITY_APP_TOKEN_FILE="+strings.ReplaceAll(missing, "hush", "far"),
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:hush@127.0.0.1:1")
	if code != exitFailed {
		t.Errorf("got exit code %d, want %d", code, exitFailed)
	}
	for name, detail := range map[string]string{
		"token": "empty", "api": "certificate", "redis": "connection refused", "hash key": "",
		"platform": "connection refused", "native lists": "", "catalogue": "connection refused",
		"outbox": "not a directory", "profile key": "", "app token": "no such file", "traces": "connection refused",
	} {
		expect(t, found, name, "FAIL", detail)
	}
}

// What is not configured is skipped, and a shop without a shelf is not asked for a list.
func TestDoctorSkips(t *testing.T) {
	t.Parallel()
	shop, err := fakeshop.Start(fakeshop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close()
	basics := []string{
		"VITRINE_UPSTREAM_URL=" + shop.URL(), "VITRINE_UPSTREAM_TOKEN=hush", "VITRINE_OUTBOX_DIR=memory",
	}
	code, found := consult(t, basics...)
	if code != exitOK {
		t.Errorf("got exit code %d, want %d", code, exitOK)
	}
	for _, name := range []string{
		"redis", "hash key", "platform", "native lists", "catalogue", "outbox", "profile key", "app token", "traces",
	} {
		expect(t, found, name, "skip", "")
	}
	_, found = consult(t, append(basics, "VITRINE_PLATFORM_KIND=http",
		"VITRINE_PLATFORM_URL="+shop.URL()+"/native?category={id}", "VITRINE_PLATFORM_IDS=items.#.productId")...)
	expect(t, found, "platform", "ok", "it was asked for no list")
	if asked := shop.Stats().Requests; len(asked) > 0 {
		t.Errorf("got %v asked of the shop, want nothing", asked)
	}
	if code, _ := consult(t, "VITRINE_BUDGET=0"); code != exitUsage {
		t.Errorf("got exit code %d for a bad configuration, want %d", code, exitUsage)
	}
}
