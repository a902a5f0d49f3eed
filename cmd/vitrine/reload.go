package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

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
// the budgets, the rules and the log level hold at once; the rest is named. On an error
// everything stays as it is.
func (s *sidecar) reload(context.Context) (any, error) {
	o := s.origin
	o.mu.Lock()
	defer o.mu.Unlock()
	now, warnings, err := o.load()
	if err == nil {
		err = s.token.Reload()
	}
	if err != nil {
		o.failures.Add(1)
		return nil, fmt.Errorf("reading the configuration again: %w", err)
	}
	for _, warning := range warnings {
		s.log.Warn("configuration: " + warning)
	}
	inForce := *o.inForce.Load()
	done := reloaded{Applied: []string{}, NeedsRestart: []string{}}
	for _, key := range config.Changed(inForce, now) {
		if s.reloadable(key) {
			done.Applied = append(done.Applied, key)
		} else {
			done.NeedsRestart = append(done.NeedsRestart, key)
		}
	}
	s.apply(&inForce, now)
	o.inForce.Store(&inForce)
	o.reloads.Add(1)
	o.last.Store(time.Now().Unix())
	s.log.Info("configuration reloaded", "applied", done.Applied, "needs a restart", done.NeedsRestart)
	return done, nil
}

// reloadable reports whether a key can change while the sidecar runs.
func (s *sidecar) reloadable(key string) bool {
	switch {
	case key == "budget", key == "log.level":
		return true
	case strings.HasPrefix(key, "events."):
		return strings.HasSuffix(key, ".budget")
	case strings.HasPrefix(key, "rules."):
		return s.rules != nil // else there is no catalogue for them
	default:
		return false
	}
}

// apply puts what is reloadable of now into force.
func (s *sidecar) apply(inForce *config.Config, now config.Config) {
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
