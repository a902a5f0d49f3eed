package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"vitrine/fallback"
	"vitrine/fallback/catalog"
	"vitrine/fallback/platform"
	"vitrine/internal/config"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/secret"
)

func (s *sidecar) makeRedis() (err error) {
	if s.conf.Redis.URL == "" {
		return nil
	}
	s.redis, err = redis.New(redis.Options{
		URL: string(s.conf.Redis.URL), Budget: s.conf.Redis.Budget, Breaker: s.breakers.redis, Log: s.log,
		Observe: s.observeRedis,
	})
	if err != nil {
		return fmt.Errorf("redis.url: %w", err)
	}
	s.base = append(s.base, part{"redis", s.redis.Run})
	return nil
}

// makeHashKey finds what the hashes of sessions and people are keyed with.
func (s *sidecar) makeHashKey() (err error) {
	if s.conf.Redis.HashKeyFile == "" {
		s.hashKey, err = redis.DeriveHashKey(s.token.Secret())
		return err //nolint:wrapcheck // it says what it derives
	}
	text, err := secret.Read(s.conf.Redis.HashKeyFile)
	if err == nil {
		s.hashKey, err = redis.ParseHashKey(text)
	}
	if err != nil {
		return fmt.Errorf("redis.hash_key_file: %w", err)
	}
	return nil
}

// hashOf is what logs may say of an identifier.
func (s *sidecar) hashOf(identifier string) string {
	mac := hmac.New(sha256.New, s.hashKey[:])
	_, _ = mac.Write([]byte("log\x00" + identifier)) // a hash takes everything
	return hex.EncodeToString(mac.Sum(nil)[:8])
}

// makeFallback makes the catalogue, the platform's orderings and the ladder over them.
func (s *sidecar) makeFallback() error {
	rules, err := s.makeCatalog()
	if err != nil {
		return err
	}
	if err := s.makeNatives(); err != nil {
		return err
	}
	o := fallback.LadderOptions{
		Rankings: s.cache, Orders: s.cache, Natives: s.natives, Rules: rules,
		Shadowed:       s.shadowed,
		Policies:       make(map[reco.EventType]fallback.Policy),
		HoldoutPercent: s.conf.Holdout.Percent, HoldoutSalt: s.conf.Holdout.Salt,
	}
	for _, t := range reco.EventTypes {
		e := s.conf.Events.Of(t)
		o.Policies[t] = fallback.Policy{Mode: fallback.Mode(e.Mode), MinItems: e.MinItems}
	}
	s.ladder, err = fallback.NewLadder(o)
	return err //nolint:wrapcheck // it names the part
}

// makeCatalog makes the catalogue, and the rules over it, if there is a feed or a rule.
func (s *sidecar) makeCatalog() (*fallback.Rules, error) {
	c, rules := s.conf.Catalog, ruleOptions(s.conf.Rules)
	if c.URL == "" && c.File == "" && !ruled(rules) {
		return nil, nil //nolint:nilnil // nil Rules keep everything
	}
	var err error
	s.catalog, err = catalog.New(catalogOptions(s.conf), s.stockStore(), s.log)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	s.base = append(s.base, part{"catalogue", s.catalog.Run})
	s.rules = fallback.NewRules(rules, s.catalog)
	return s.rules, nil
}

func ruleOptions(c config.Rules) fallback.RuleOptions {
	filter := func(r config.Rule) fallback.Filter {
		return fallback.Filter{
			Discount: fallback.Discount(r.Discount), MinPrice: r.PriceMin, MaxPrice: r.PriceMax, Above: r.PriceAbove,
			LowStock: r.LowStock, FullSizeRun: r.FullSizeRun,
		}
	}
	return fallback.RuleOptions{
		Product: filter(c.Product), Category: filter(c.Category), Look: filter(c.Look), Shelf: filter(c.Shelf),
	}
}

// ruled reports whether any filter changes anything.
func ruled(o fallback.RuleOptions) bool {
	return o != ruleOptions(config.Default().Rules)
}

// makeNatives makes the platform's orderings, if there is a platform or a file of lists.
func (s *sidecar) makeNatives() error {
	p := s.conf.Platform
	if p.Kind == noPlatform && p.File == "" && !p.SalesRanking {
		return nil
	}
	o := fallback.NativeOptions{File: p.File, Refresh: p.Refresh}
	if p.Kind != noPlatform {
		var err error
		if s.shop, err = platform.New(platformOptions(s.conf)); err != nil {
			return err //nolint:wrapcheck // it names the key
		}
		o.Platform, o.Breaker, o.Namespace = s.shop, s.breakers.platform, s.shop.Fingerprint()
	}
	if p.SalesRanking {
		sales, err := s.makeSales()
		if err != nil {
			return err
		}
		o.Sales = sales
	}
	if o.Namespace == "" { // of the shop, as far as Redis needs to know
		o.Namespace = s.hashOf("namespace")
	}
	if s.catalog != nil {
		o.Catalogue = s.catalog
	}
	if s.redis != nil {
		o.Shared = s.redis
	}
	var err error
	if s.natives, err = fallback.NewNatives(o); err != nil {
		return fmt.Errorf("platform: %w", err)
	}
	s.base = append(s.base, part{"native orderings", s.natives.Run})
	return nil
}
