package config_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/internal/config"
	"vitrine/internal/reco"
)

const fileName = "vitrine.yaml"

// load loads a file's text (no file if it is empty), an environment and flags.
func load(file string, environ []string, args ...string) (config.Config, []string, error) {
	if file != "" {
		args = append([]string{"--config", fileName}, args...)
	}
	return config.Load(args, environ, func(name string) ([]byte, error) {
		if name != fileName {
			return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
		}
		return []byte(file), nil
	})
}

// mustLoad loads what has to be valid; the token is seen to.
func mustLoad(t *testing.T, file string, environ []string, args ...string) config.Config {
	t.Helper()
	c, _, err := load(file, append([]string{"VITRINE_UPSTREAM_TOKEN=t"}, environ...), args...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTokenIsAllItTakes(t *testing.T) {
	t.Parallel()
	c, warnings, err := load("", []string{"VITRINE_UPSTREAM_TOKEN=t"})
	if err != nil || len(warnings) != 0 {
		t.Errorf("got %v, warnings %q, want none", err, warnings)
	}
	if got, want := c.Upstream.Token.Reveal(), "t"; got != want {
		t.Errorf("token: got %q, want %q", got, want)
	}
}

func TestEachLayerIsOverTheOneBefore(t *testing.T) {
	t.Parallel()
	const file = "cache: {fresh: 2s, stale: 2m, empty: 2s}"
	environ := []string{"VITRINE_CACHE_FRESH=3s", "VITRINE_CACHE_STALE=3m", "VITRINE_CACHE_FRESH_EVENTS="}
	c := mustLoad(t, file, environ, "--cache.fresh", "4s")
	if got, want := c.Cache.Fresh, 4*time.Second; got != want {
		t.Errorf("set by file, environment and flag: got %v, want the flag's %v", got, want)
	}
	if got, want := c.Cache.Stale, 3*time.Minute; got != want {
		t.Errorf("set by file and environment: got %v, want the environment's %v", got, want)
	}
	if got, want := c.Cache.Empty, 2*time.Second; got != want {
		t.Errorf("set by the file: got %v, want %v", got, want)
	}
	if got, want := c.Cache.FreshEvents, 3; got != want {
		t.Errorf("set to nothing in the environment: got %v, want the default %v", got, want)
	}
}

// A general key, wherever it is set, is an event type's default and no more than that.
func TestEventTypesInherit(t *testing.T) {
	t.Parallel()
	const file = "events: {customShelf: {budget: 1s, cache: {fresh: 2m}}}"
	c := mustLoad(t, file, nil, "--budget=200ms", "--cache.fresh=9s", "--cache.stale=8s")
	shelf, view := c.Events.Of(reco.CustomShelf), c.Events.Of(reco.ProductView)
	if got, want := shelf.Budget, time.Second; got != want {
		t.Errorf("budget of customShelf: got %v, want its own %v", got, want)
	}
	if got, want := shelf.Cache.Fresh, 2*time.Minute; got != want {
		t.Errorf("fresh of customShelf: got %v, want its own %v", got, want)
	}
	if got, want := shelf.Cache.Stale, 8*time.Second; got != want {
		t.Errorf("stale of customShelf: got %v, want the general %v", got, want)
	}
	if got, want := view.Budget, 200*time.Millisecond; got != want {
		t.Errorf("budget of productView: got %v, want the general %v", got, want)
	}
	if got, want := view.Cache, c.Cache.Lifetimes; got != want {
		t.Errorf("lifetimes of productView: got %v, want the general %v", got, want)
	}
}

func TestEveryNotation(t *testing.T) {
	t.Parallel()
	const file = `
events: {shopTheLook: {mode: on}, customShelf: {mode: native}} # a boolean to many a reader
cache: {memory: 1048577, fresh: 1h30m}
outbox: {max_bytes: 3GiB, park_after: 0}
holdout: {percent: 12.5}
catalog: {columns: {price: preço de venda}}
profile: {enabled: false}
security: {allowed_hosts: [shop.local, "shop.local:8377"], allowed_origins: "https://a.example, https://b.example:8443"}
platform:
  headers: {x-key: "a: b", Accept: file:/run/x}
  vars: {account: loja}
  similar: &empty
  shelf: *empty
`
	c := mustLoad(t, file, nil, "--upstream.insecure")
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"a mode that is on", c.Events.ShopTheLook.Mode, "on"},
		{"a mode", c.Events.CustomShelf.Mode, "native"},
		{"plain bytes", c.Cache.Memory, config.Size(1048577)},
		{"a compound duration", c.Cache.Fresh, 90 * time.Minute},
		{"a size with a unit", c.Outbox.MaxBytes, config.Size(3 << 30)},
		{"a zero without a unit", c.Outbox.ParkAfter, time.Duration(0)},
		{"a fraction", c.Holdout.Percent, 12.5},
		{"a boolean", c.Profile.Enabled, false},
		{"a boolean flag without a value", c.Upstream.Insecure, true},
		{"a header with a colon in its value", c.Platform.Headers["X-Key"].Reveal(), "a: b"},
		{"a variable", c.Platform.Vars.Reveal()["account"], "loja"},
		{"a column", c.Catalog.Columns["price"], "preço de venda"},
	} {
		if check.got != check.want {
			t.Errorf("%s: got %v, want %v", check.what, check.got, check.want)
		}
	}
	if got, want := c.Security.AllowedHosts, []string{"shop.local", "shop.local:8377"}; !slices.Equal(got, want) {
		t.Errorf("a list: got %q, want %q", got, want)
	}
	if got, want := c.Security.AllowedOrigins, []string{"https://a.example", "https://b.example:8443"}; !slices.Equal(got, want) {
		t.Errorf("a list with commas: got %q, want %q", got, want)
	}
}

func TestOutboxIsWhereStateIsKept(t *testing.T) {
	t.Parallel()
	for environ, want := range map[string]string{
		"XDG_STATE_HOME=/state":    "/state/vitrine",
		"XDG_STATE_HOME=relative":  ".vitrine",
		"XDG_STATE_HOME=":          ".vitrine",
		"VITRINE_OUTBOX_DIR=/here": "/here",
	} {
		if got := mustLoad(t, "", []string{environ}).Outbox.Dir; got != want {
			t.Errorf("with %s: got %q, want %q", environ, got, want)
		}
	}
}

// Everything wrong in three layers comes in one report, each with its place.
func TestEveryMistakeAtOnce(t *testing.T) {
	t.Parallel()
	const file = `listen: 8377
budget: 0s
nope: 3
cache:
  fresh: 1
  fresh: 2s
  memory: 64MB
cache.stale: 3s
events:
  productview: {}
  customShelf:
    mode: maybe
    cache: {empty: -3s}
redis:
  url: "redis://u:secret/w@h"
platform: {kind: http, url: "https://u:secret@h", headers: {X-A: secret, x-a: secret}}
log:
  level:
security: [a]
upstream: {rate: .inf, max_in_flight: 0x10}
---
b: a
`
	_, _, err := load(file, []string{"VITRINE_PROFILE_ENABLED=maybe", "VITRINE_REDIS_BUDGET=5", "VITRINE_CATALOG_FORMAT=pdf"},
		"--holdout.percent", "101", "--outbox.fsync=never", "extra")
	want := strings.TrimSpace(`
vitrine.yaml:1: listen: got "8377", want host:port or :port
vitrine.yaml:2: budget: got 0s, want at least 1ms
vitrine.yaml:3: nope: unknown key
vitrine.yaml:5: cache.fresh: got "1", want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h
vitrine.yaml:6: cache.fresh: is set twice, first in line 5
vitrine.yaml:7: cache.memory: must be a number of bytes with KiB, MiB, GiB or no unit, such as 64MiB
vitrine.yaml:8: cache.stale: unknown key
vitrine.yaml:10: events.productview: unknown key
vitrine.yaml:12: events.customShelf.mode: got "maybe", want one of on, native, shadow
vitrine.yaml:13: events.customShelf.cache.empty: got "-3s", want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h
vitrine.yaml:15: redis.url: address 1 must be host:port; special characters in credentials are percent-encoded
vitrine.yaml:16: platform.headers: X-A is given twice
vitrine.yaml:18: log.level: has no value: write one, or leave the key out
vitrine.yaml:19: security: must be a group of keys
vitrine.yaml:20: upstream.rate: got ".inf", want a number, not negative
vitrine.yaml:20: upstream.max_in_flight: got "0x10", want a whole number from 0 to 2147483647
vitrine.yaml:21: a second document: one file holds one configuration
command line: unexpected argument "extra"
VITRINE_REDIS_BUDGET: got "5", want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h
VITRINE_PROFILE_ENABLED: got "maybe", want true or false
--outbox.fsync: got "never", want one of group, always
VITRINE_CATALOG_FORMAT: got "pdf", want one of auto, rss, tsv, csv, ndjson
--holdout.percent: got 101, want at most 100
upstream.token: set it or upstream.token_file: one is required
`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%v", err, want)
	}
}

// What one layer got wrong counts, though a higher one overrides it.
func TestOverriddenMistakesCount(t *testing.T) {
	t.Parallel()
	_, _, err := load("budget: soon", []string{"VITRINE_UPSTREAM_TOKEN=t"}, "--budget=1s")
	want := `vitrine.yaml:1: budget: got "soon", want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ what, file, want string }{
		{"not YAML", "a: [b\nc: d", "vitrine.yaml:2: did not find expected ',' or ']'"},
		{"a list", "- a", "vitrine.yaml:1: must be a group of keys"},
		{"a word", "vitrine", "vitrine.yaml:1: must be a group of keys"},
		{"a group for a value", "listen: {a: b}", "vitrine.yaml:1: listen: must be a single value"},
		{"a value for a group", "cache: 5s", "vitrine.yaml:1: cache: must be a group of keys"},
		{"a list of lists", "security: {allowed_hosts: [a, [b]]}", `line 1: every element must be a single value without ","`},
		{"a merge", "cache: &c {fresh: 1s}\nevents: {customShelf: {cache: {<<: *c}}}", "events.customShelf.cache.<<: unknown key"},
		{"a list for a key", "[a]: b", "vitrine.yaml:1: a key must be a plain word"},
		{"a circle", "events: &e {customShelf: *e}", "events.customShelf.customShelf: unknown key"},
		{"too much", strings.Repeat("# comment\n", 1<<17), "vitrine.yaml: is larger than 1 MiB"},
		{"a control character", `log: {level: "in\tfo"}`, "vitrine.yaml:1: log.level: has a control or invisible character in it"},
		{"two mistakes in one word", "outbox: {max_bytes: 9999999999GiB}", "outbox.max_bytes: must be a number of bytes"},
	} {
		_, _, err := load(test.file, []string{"VITRINE_UPSTREAM_TOKEN=t"})
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%s: got %v, want one line with %s", test.what, err, test.want)
		}
	}
}

func TestFilesThatSayNothing(t *testing.T) {
	t.Parallel()
	want := string(mustLoad(t, "", nil).Masked())
	for _, file := range []string{"\n", "# all commented out\n", "---\n", "{}", "cache:\n  # fresh: 1s\nlog:\n"} {
		if got := string(mustLoad(t, file, nil).Masked()); got != want {
			t.Errorf("%q: got\n%s\nwant the default", file, got)
		}
	}
}

func TestFileIsFound(t *testing.T) {
	t.Parallel()
	c, _, err := config.Load(nil, []string{"VITRINE_CONFIG=f", "VITRINE_UPSTREAM_TOKEN=t"},
		func(name string) ([]byte, error) { return []byte("holdout: {salt: from-" + name + "}"), nil })
	if got, want := c.Holdout.Salt, "from-f"; err != nil || got != want {
		t.Errorf("named by the environment: got %q, %v, want %q", got, err, want)
	}
	_, _, err = load("", []string{"VITRINE_CONFIG=f"}, "--config=nowhere")
	if want := "nowhere: file does not exist"; err == nil || err.Error() != want {
		t.Errorf("missing: got %v, want %s and nothing of what the file may hold", err, want)
	}
}

// Kubernetes injects variables for a Service called vitrine; they must not stop a start.
func TestForeignVariablesAreWarnedAbout(t *testing.T) {
	t.Parallel()
	_, warnings, err := load("", []string{
		"VITRINE_UPSTREAM_TOKEN=t", "VITRINE_SERVICE_HOST=10.0.0.1", "VITRINE_PORT=tcp://10.0.0.1:80", "VITRINE=x", "PATH=/bin",
	})
	want := []string{
		"VITRINE_PORT is set in the environment, but is no setting of ours",
		"VITRINE_SERVICE_HOST is set in the environment, but is no setting of ours",
	}
	if err != nil || !slices.Equal(warnings, want) {
		t.Errorf("got %v, warnings %q, want %q", err, warnings, want)
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	t.Parallel()
	if _, _, err := load("", nil, "-h"); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("got %v, want flag.ErrHelp", err)
	}
	var usage strings.Builder
	config.Usage(&usage)
	for _, want := range []string{"--config FILE", "--events.customShelf.cache.fresh (as cache.fresh)", "--outbox.max_age (30m)"} {
		if !strings.Contains(usage.String(), want) {
			t.Errorf("usage: got none of %q", want)
		}
	}
}

// What a part says of its values is reported like our own mistakes, where they were made.
func TestPartsHaveTheirSay(t *testing.T) {
	t.Parallel()
	const file = "platform:\n  kind: vtex\n  vars: {a: b}\nbudget: x\n"
	read := func(string) ([]byte, error) { return []byte(file), nil }
	_, _, err := config.Load([]string{"--config=f", "--upstream.token=t"}, nil, read,
		func(c config.Config) error {
			return errors.Join(
				errors.New("platform.vars.account: is required with kind "+c.Platform.Kind),
				fmt.Errorf("more: %w", errors.Join(errors.New("of it"))),
				errors.New("budget: is known to be wrong"))
		},
		func(config.Config) error { return nil },
		func(config.Config) error { return errors.New("it will not do") })
	want := strings.TrimSpace(`
f:3: platform.vars.account: is required with kind vtex
f:4: budget: got "x", want a duration with a unit, not negative, such as 300ms, 5s, 30m or 6h
more: of it
configuration: it will not do
`)
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
