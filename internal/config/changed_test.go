package config_test

import (
	"slices"
	"testing"
	"time"

	"vitrine/internal/config"
)

func TestChanged(t *testing.T) {
	old, now := config.Default(), config.Default()
	if got := config.Changed(old, now); len(got) != 0 {
		t.Errorf("got %v changed, want nothing", got)
	}
	now.Budget = time.Second
	now.Upstream.Token = config.NewSecret("another")
	now.Rules.Look.LowStock = 3
	now.Security.AllowedHosts = []string{"shop"}
	want := []string{"budget", "upstream.token", "rules.look.low_stock", "security.allowed_hosts"}
	if got := config.Changed(old, now); !slices.Equal(got, want) {
		t.Errorf("got %v changed, want %v", got, want)
	}
}
