package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vitrine/fallback/platform"
	"vitrine/internal/config"
	"vitrine/internal/ops"
)

// fileEvery is how often the configuration file is looked at for a change.
const fileEvery = 10 * time.Second

// origin is where the configuration came from, to be read again, and what of it is in
// force. Nil is a configuration that came from nowhere, as the demo's.
type origin struct {
	args, environ []string
	level         *slog.LevelVar

	mu   sync.Mutex // one reload at a time
	file string     // empty without one
	read []byte     // what the file said when it was last read

	inForce  atomic.Pointer[config.Config]
	reloads  atomic.Uint64
	failures atomic.Uint64
	last     atomic.Int64 // Unix seconds of the last success
}

// load reads the configuration as [loadConfig] does, and notes which file it is in.
func (o *origin) load() (config.Config, []string, error) {
	return config.Load(o.args, o.environ, func(name string) ([]byte, error) {
		content, err := config.ReadFile(name)
		o.file, o.read = name, content
		return content, err
	}, validateParts)
}

// reloaded is what a reload did.
type reloaded struct {
	Applied      []string `json:"applied"`      // keys that hold from now on
	NeedsRestart []string `json:"needsRestart"` // keys that were changed, but hold from the next start on
}

// reload reads the configuration again, and the token file with it. Of what has changed,
// the token, the platform, the budgets, the rules and the log level hold at once; the rest is
// named. On an error everything stays as it is.
func (s *sidecar) reload(context.Context) (any, error) {
	o := s.origin
	o.mu.Lock()
	defer o.mu.Unlock()
	inForce := *o.inForce.Load()
	now, warnings, err := o.load()
	done := reloaded{Applied: []string{}, NeedsRestart: []string{}}
	if err == nil {
		done = s.sort(config.Changed(inForce, now), now)
		err = s.apply(&inForce, now, done.Applied)
	}
	if err != nil {
		o.failures.Add(1)
		return nil, fmt.Errorf("reading the configuration again: %w", err)
	}
	for _, warning := range warnings {
		s.log.Warn("configuration: " + warning)
	}
	o.inForce.Store(&inForce)
	o.reloads.Add(1)
	o.last.Store(time.Now().Unix())
	s.log.Info("configuration reloaded", "applied", done.Applied, "needs a restart", done.NeedsRestart)
	return done, nil
}

// sort tells the changed keys that can be applied from those that need a restart.
func (s *sidecar) sort(changed []string, now config.Config) reloaded {
	done := reloaded{Applied: []string{}, NeedsRestart: []string{}}
	for _, key := range changed {
		if s.reloadable(key, now) {
			done.Applied = append(done.Applied, key)
		} else {
			done.NeedsRestart = append(done.NeedsRestart, key)
		}
	}
	return done
}

// reloadable reports whether a key can change while the sidecar runs, to what it is now.
func (s *sidecar) reloadable(key string, now config.Config) bool {
	switch {
	case key == "budget", key == "log.level":
		return true
	case key == "upstream.token":
		return s.conf.Upstream.TokenFile == "" && now.Upstream.TokenFile == ""
	case key == "platform.file", key == "platform.refresh", key == "platform.sales_ranking":
		return false
	case strings.HasPrefix(key, "platform."):
		return s.shop != nil && now.Platform.Kind != noPlatform
	case strings.HasPrefix(key, "events."):
		return strings.HasSuffix(key, ".budget")
	case strings.HasPrefix(key, "rules."):
		return s.rules != nil // else there is no catalogue for them
	default:
		return false
	}
}

// apply puts what is reloadable of now into force: first what can fail, which then changes
// nothing.
func (s *sidecar) apply(inForce *config.Config, now config.Config, keys []string) error {
	shop := s.shop
	if slices.ContainsFunc(keys, func(key string) bool { return strings.HasPrefix(key, "platform.") }) {
		var err error
		if shop, err = s.shop.Replace(platformOptions(now)); err != nil {
			return err //nolint:wrapcheck // it names the key
		}
	}
	if err := s.reloadToken(inForce, now, keys); err != nil {
		return err
	}
	if shop != s.shop {
		s.movePlatform(inForce, now, shop)
	}
	inForce.Budget, inForce.Log.Level = now.Budget, now.Log.Level
	inForce.Events.ProductView.Budget = now.Events.ProductView.Budget
	inForce.Events.CategoryView.Budget = now.Events.CategoryView.Budget
	inForce.Events.ShopTheLook.Budget = now.Events.ShopTheLook.Budget
	inForce.Events.CustomShelf.Budget = now.Events.CustomShelf.Budget
	s.proxy.SetBudgets(budgets(*inForce))
	if s.lists != nil {
		s.lists.SetBudget(now.Budget)
	}
	_ = s.origin.level.UnmarshalText([]byte(now.Log.Level)) // validated with the configuration
	if s.rules != nil {
		inForce.Rules = now.Rules
		s.rules.Set(ruleOptions(now.Rules))
	}
	return nil
}

// reloadToken takes over a new token, from its file or from the configuration itself.
func (s *sidecar) reloadToken(inForce *config.Config, now config.Config, keys []string) error {
	if !slices.Contains(keys, "upstream.token") {
		return s.token.Reload() //nolint:wrapcheck // it says it is the token
	}
	inForce.Upstream.Token = now.Upstream.Token
	return s.token.Replace(now.Upstream.Token.Reveal()) //nolint:wrapcheck // it says it is the token
}

// movePlatform asks the platform as now says from now on. Its breaker lets the first call
// through: what it has measured was about the old address or the old credentials.
func (s *sidecar) movePlatform(inForce *config.Config, now config.Config, shop *platform.Client) {
	was := inForce.Platform
	inForce.Platform = now.Platform
	inForce.Platform.File, inForce.Platform.Refresh, inForce.Platform.SalesRanking = was.File, was.Refresh, was.SalesRanking
	s.shop = shop
	s.breakers.platform.Replaced()
	s.natives.SetPlatform(shop, shop.Fingerprint())
}

// watchConfig reloads at every SIGHUP, and when the file has changed.
func (s *sidecar) watchConfig(ctx context.Context) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	tick := time.NewTicker(fileEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if !s.origin.fileChanged() {
				continue
			}
		case <-hangup:
		}
		if _, err := s.reload(ctx); err != nil {
			s.log.Error("the configuration stays as it was", "error", err)
		}
	}
}

// fileChanged reports whether the file says something else than when it was last read. One
// that cannot be read, as in the middle of a change, has not changed yet.
func (o *origin) fileChanged() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.file == "" {
		return false
	}
	content, err := config.ReadFile(o.file)
	return err == nil && !bytes.Equal(content, o.read)
}

// figures are the metrics of reloads.
func (o *origin) figures() []ops.Figure {
	return []ops.Figure{
		{Name: "vitrine_config_reloads_total", Help: "Configurations read again and put into force.", Counter: true, Value: func() float64 { return float64(o.reloads.Load()) }},
		{Name: "vitrine_config_reload_failures_total", Help: "Configurations read again and refused; the old one stayed.", Counter: true, Value: func() float64 { return float64(o.failures.Load()) }},
		{Name: "vitrine_config_last_reload_timestamp_seconds", Help: "When the configuration was last read successfully, in seconds since 1970.", Value: func() float64 { return float64(o.last.Load()) }},
	}
}
