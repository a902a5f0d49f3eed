package main

import (
	"context"
	"fmt"

	"vitrine/internal/fashionai"
	"vitrine/internal/ops"
	"vitrine/internal/profile"
)

// makeProfiles makes the cache of customer profiles, unless it is turned off. It asks the
// API over connections of its own, so that profiles cannot take those of the events, and
// with more patience: the vendor writes a profile anew at each call.
func (s *sidecar) makeProfiles() (err error) {
	c := s.conf.Profile
	if !c.Enabled {
		return nil
	}
	o := profile.Options{
		Breaker: s.breakers.profile, HashKey: s.hashKey, RemoteBudget: s.conf.Redis.Budget,
		Fresh: c.Fresh, Stale: c.Stale, NotFound: c.NotFound,
		Budget: c.Budget, CallTimeout: c.Timeout, MaxInFlight: c.MaxInFlight,
		Memory: profile.DefaultMemory, Log: s.log,
	}
	if s.redis != nil {
		o.Remote = s.redis
	}
	if c.KeyFile != "" {
		if o.Keys, err = profile.OpenKeys(c.KeyFile); err != nil {
			return fmt.Errorf("profile.key_file: %w", err)
		}
	}
	if s.profileAPI, err = fashionai.New(s.apiOptions(c.MaxInFlight, c.Timeout)); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	o.API = s.profileAPI
	if s.profiles, err = profile.New(o); err != nil {
		return err //nolint:wrapcheck // it names the part
	}
	s.base = append(s.base, part{"profile API connections", s.profileAPI.Run}, part{"profiles", s.runProfiles})
	return nil
}

// runProfiles cuts the calls under way short when it is told to stop: nothing is lost by
// that, and stopping must not wait for the API.
func (s *sidecar) runProfiles(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.profileAPI.Close)()
	return s.profiles.Run(ctx) //nolint:wrapcheck // it is nil
}

// profileEraser forgets a person's profile everywhere; nil if there are no profiles.
func (s *sidecar) profileEraser() func(ctx context.Context, kind, value string) (any, error) {
	if s.profiles == nil {
		return nil
	}
	return func(ctx context.Context, kind, value string) (any, error) {
		return s.profiles.Erase(ctx, kind, value) //nolint:wrapcheck // it says what is left
	}
}

// profileFigures is what the metrics tell of profiles.
func (s *sidecar) profileFigures() []ops.Figure {
	if s.profiles == nil {
		return nil
	}
	counter := func(name, help string, of func(profile.Stats) uint64) ops.Figure {
		return ops.Figure{
			Name: "vitrine_profile_" + name, Help: help, Counter: true,
			Value: func() float64 { return float64(of(s.profiles.Stats())) },
		}
	}
	return []ops.Figure{
		counter("api_total", "Profile answers that came from the API.", func(p profile.Stats) uint64 { return p.API }),
		counter("cache_total", "Profile answers that were fresh in the cache.", func(p profile.Stats) uint64 { return p.Cached }),
		counter("stale_total", "Profile answers that were stale, because the API did not answer in time.", func(p profile.Stats) uint64 { return p.Stale }),
		counter("unavailable_total", "Profile requests answered 503: no answer of the API, and nothing to serve.", func(p profile.Stats) uint64 { return p.Unavailable }),
		counter("refused_total", "Profile requests refused: no identifier of its kind.", func(p profile.Stats) uint64 { return p.Refused }),
		counter("calls_total", "Calls of the profile API.", func(p profile.Stats) uint64 { return p.Calls }),
		counter("undocumented_total", "Answers of the profile API that are not as documented: passed on, not remembered.", func(p profile.Stats) uint64 { return p.Undocumented }),
		counter("rubbish_total", "Values found in Redis that do not open, or are of the future.", func(p profile.Stats) uint64 { return p.Rubbish }),
		counter("unwritten_total", "Profiles that should have been remembered in Redis and were not.", func(p profile.Stats) uint64 { return p.Unwritten }),
		counter("erased_total", "Erases of profiles carried out by this process.", func(p profile.Stats) uint64 { return p.Erased }),
		{
			Name: "vitrine_profile_memory_bytes", Help: "Bytes of profiles in this process's memory.",
			Value: func() float64 { return float64(s.profiles.Stats().Bytes) },
		},
	}
}
