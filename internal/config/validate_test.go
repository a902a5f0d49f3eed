package config_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"vitrine/fallback/platform"
	"vitrine/internal/config"
)

// One thing wrong is one mistake, about the key that has to change.
func TestValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		what string
		set  func(*config.Config)
		want string // key, "" if it is fine
	}{
		{"the default", func(*config.Config) {}, ""},
		{"a socket", func(c *config.Config) { c.Listen = "unix:/run/v.sock" }, ""},
		{"a socket without a path", func(c *config.Config) { c.Listen = "unix:v.sock" }, "listen"},
		{"a socket for probes", func(c *config.Config) { c.Probe.Listen = "unix:/run/v.sock" }, "probe.listen"},
		{"a port too high", func(c *config.Config) { c.Listen = "127.0.0.1:65536" }, "listen"},
		{"one address twice", func(c *config.Config) { c.Admin.Listen = c.Probe.Listen }, "admin.listen"},
		{"any free port twice", func(c *config.Config) { c.Listen, c.Probe.Listen = "127.0.0.1:0", "127.0.0.1:0" }, ""},
		{"no budget", func(c *config.Config) { c.Budget = 0 }, "budget"},
		{"a budget of the past", func(c *config.Config) { c.Events.CustomShelf.Budget = -1 }, "events.customShelf.budget"},
		{"no freshness at all", func(c *config.Config) { c.Events.CustomShelf.Cache = config.Lifetimes{} }, ""},

		{"an API elsewhere", func(c *config.Config) { c.Upstream.URL = "https://api.example/v2" }, ""},
		{"plain http to loopback", func(c *config.Config) { c.Upstream.URL = "http://127.0.0.1:9" }, ""},
		{"plain http to localhost", func(c *config.Config) { c.Upstream.URL = "http://localhost:9" }, ""},
		{"plain http to loopback 6", func(c *config.Config) { c.Upstream.URL = "http://[::1]:9" }, ""},
		{"plain http away", func(c *config.Config) { c.Upstream.URL = "http://api.example" }, "upstream.url"},
		{"plain http away, meant", func(c *config.Config) { c.Upstream.URL, c.Upstream.Insecure = "http://api.example", true }, ""},
		{"plain http to a namesake", func(c *config.Config) { c.Upstream.URL = "http://127.0.0.1.example" }, "upstream.url"},
		{"no URL", func(c *config.Config) { c.Upstream.URL = "" }, "upstream.url"},
		{"a host alone", func(c *config.Config) { c.Upstream.URL = "api.example" }, "upstream.url"},
		{"another scheme", func(c *config.Config) { c.Upstream.URL = "ftp://api.example" }, "upstream.url"},
		{"credentials", func(c *config.Config) { c.Upstream.URL = "https://u:p@api.example" }, "upstream.url"},
		{"a query", func(c *config.Config) { c.Upstream.URL = "https://api.example?a=b" }, "upstream.url"},
		{"a fragment", func(c *config.Config) { c.Upstream.URL = "https://api.example#a" }, "upstream.url"},
		{"no token", func(c *config.Config) { c.Upstream.Token = config.Secret{} }, "upstream.token"},
		{"a token file", func(c *config.Config) { c.Upstream.Token, c.Upstream.TokenFile = config.Secret{}, "f" }, ""},
		{"two tokens", func(c *config.Config) { c.Upstream.TokenFile = "f" }, "upstream.token"},
		{"a token for two lines", func(c *config.Config) { c.Upstream.Token = config.NewSecret("a\r\nb") }, "upstream.token"},
		{"no call at all", func(c *config.Config) { c.Upstream.MaxInFlight = 0 }, "upstream.max_in_flight"},

		{"embedded", func(c *config.Config) { c.Redis.URL = "embedded" }, ""},
		{"one Redis", func(c *config.Config) { c.Redis.URL = "rediss://user:p%40ss@redis:6379/2?read_timeout=1s" }, ""},
		{"a cluster", func(c *config.Config) { c.Redis.URL = "redis://:pw@a:1,b:2,[::1]:3" }, ""},
		{"a cluster of URLs", func(c *config.Config) { c.Redis.URL = "redis://:pw@a:1,redis://:pw@b:2" }, ""},
		{"a sentinel", func(c *config.Config) { c.Redis.URL = "redis://a:1,b:2?master_name=shop" }, ""},
		{"a Redis without a scheme", func(c *config.Config) { c.Redis.URL = "redis:6379" }, "redis.url"},
		{"a slash in a password", func(c *config.Config) { c.Redis.URL = "redis://u:1/2@h" }, "redis.url"},
		{"a comma in a password", func(c *config.Config) { c.Redis.URL = "redis://u:1,2@h" }, "redis.url"},
		{"an @ in a password", func(c *config.Config) { c.Redis.URL = "redis://u:p@ss@h" }, "redis.url"},

		{"a tier of nothing", func(c *config.Config) { c.Cache.Memory = 0 }, "cache.memory"},
		{"an outbox nowhere", func(c *config.Config) { c.Outbox.Dir = "" }, "outbox.dir"},
		{"parking off", func(c *config.Config) { c.Outbox.ParkMaxBytes, c.Outbox.ParkAfter = 0, time.Minute }, ""},
		{"syncing now and then", func(c *config.Config) { c.Outbox.Fsync = "sometimes" }, "outbox.fsync"},

		{"a platform", func(c *config.Config) {
			c.Platform.Kind, c.Platform.URL, c.Platform.IDs = "http", "http://shop/{id}?take=24", "#.id"
		}, ""},
		{"no such preset", func(c *config.Config) { c.Platform.Kind = "oscommerce" }, "platform.kind"},
		{"a URL for no platform", func(c *config.Config) { c.Platform.Shelf.URL = "http://shop" }, "platform.shelf.url"},

		{"two feeds", func(c *config.Config) { c.Catalog.URL, c.Catalog.File = "https://shop/feed", "f" }, "catalog.url"},
		{"a feed behind a password", func(c *config.Config) { c.Catalog.URL = "https://u:p@shop/feed" }, ""},
		{"a price range inside out", func(c *config.Config) { c.Rules.Look.PriceMin, c.Rules.Look.PriceMax = 2, 1 }, "rules.look.price_max"},
		{"a price range twice", func(c *config.Config) { c.Rules.Look.PriceMin, c.Rules.Look.PriceAbove = 1, 2 }, "rules.look.price_above"},
		{"a price from below", func(c *config.Config) { c.Rules.Look.PriceMin = 2 }, ""},
		{"more than everybody", func(c *config.Config) { c.Holdout.Percent = 100.5 }, "holdout.percent"},
		{"an origin with a path", func(c *config.Config) { c.Security.AllowedOrigins = []string{"https://a/"} }, "security.allowed_origins"},
		{"a host with a scheme", func(c *config.Config) { c.Security.AllowedHosts = []string{"https://a"} }, "security.allowed_hosts"},
	} {
		c := config.Default()
		c.Upstream.Token = config.NewSecret("token")
		test.set(&c)
		err := c.Validate()
		var invalid *config.InvalidError
		switch {
		case err == nil && test.want == "":
		case err == nil:
			t.Errorf("%s: got no mistake, want one about %s", test.what, test.want)
		case !errors.As(err, &invalid) || len(invalid.Mistakes) != 1 || invalid.Mistakes[0].Key != test.want:
			t.Errorf("%s: got %q, want one about %q", test.what, err, test.want)
		}
	}
}

func TestZeroConfigReportsEverything(t *testing.T) {
	t.Parallel()
	err := config.Config{}.Validate()
	if got, want := strings.Count(err.Error(), "\n"), 20; got < want {
		t.Errorf("got %d lines, want at least %d:\n%v", got, want, err)
	}
}

// The words of platform.kind are those the platform's package knows.
func TestEveryPlatformCanBeNamed(t *testing.T) {
	t.Parallel()
	for _, kind := range platform.Kinds() {
		c := config.Default()
		c.Upstream.Token = config.NewSecret("token")
		c.Platform.Kind = kind
		if err := c.Validate(); err != nil {
			t.Errorf("%s: got %v, want no mistake", kind, err)
		}
	}
}
