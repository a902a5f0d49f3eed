package main

import (
	"context"
	"fmt"

	"vitrine/internal/config"
	"vitrine/internal/fashionai"
	"vitrine/internal/lists"
	"vitrine/internal/ops"
)

// listConnections are as many as calls for lists may be under way at once.
const listConnections = 8

// makeLists makes the cache of the vendor's read-only lists, unless all are off. It asks
// the API over connections of its own, so that lists cannot take those of the events.
func (s *sidecar) makeLists() (err error) {
	o := lists.Options{
		Breaker: s.breakers.lists, HashKey: s.hashKey, Lives: listLives(s.conf.Lists),
		Budget: s.conf.Budget, MaxInFlight: listConnections, Memory: lists.DefaultMemory, Log: s.log,
	}
	if len(o.Lives) == 0 {
		return nil
	}
	if s.redis != nil {
		o.Remote = s.redis
	}
	if s.listsAPI, err = fashionai.New(s.apiOptions(listConnections, s.conf.Upstream.Timeout)); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	o.API = s.listsAPI
	if s.lists, err = lists.New(o); err != nil {
		return err //nolint:wrapcheck // it names the part
	}
	s.base = append(s.base, part{"list connections", s.listsAPI.Run}, part{"lists", s.runLists})
	return nil
}

// listLives are the lists that are on.
func listLives(c config.Lists) map[lists.Kind]lists.Life {
	lives := make(map[lists.Kind]lists.Life)
	for kind, l := range map[lists.Kind]config.List{
		lists.Similar: c.Similar, lists.SalesRanking: c.SalesRanking, lists.Collections: c.Collections, lists.Search: c.Search,
	} {
		if l.Enabled {
			lives[kind] = lists.Life{Fresh: l.Fresh, Stale: l.Stale}
		}
	}
	return lives
}

// runLists cuts the calls under way short when it is told to stop, as runProfiles does.
func (s *sidecar) runLists(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.listsAPI.Close)()
	return s.lists.Run(ctx) //nolint:wrapcheck // it is nil
}

// listFigures is what the metrics tell of lists: zeros, if all are off.
func (s *sidecar) listFigures() []ops.Figure {
	stats := func() lists.Stats {
		if s.lists == nil {
			return lists.Stats{}
		}
		return s.lists.Stats()
	}
	counter := func(name, help string, of func(lists.Stats) uint64) ops.Figure {
		return ops.Figure{
			Name: "vitrine_lists_" + name, Help: help, Counter: true,
			Value: func() float64 { return float64(of(stats())) },
		}
	}
	return []ops.Figure{
		counter("api_total", "Lists that came from the API.", func(l lists.Stats) uint64 { return l.API }),
		counter("cache_total", "Lists that were fresh in the cache.", func(l lists.Stats) uint64 { return l.Cached }),
		counter("stale_total", "Lists that were stale, because the API had none to give in time.", func(l lists.Stats) uint64 { return l.Stale }),
		counter("unavailable_total", "Requests for a list answered 503: no answer of the API, and nothing to serve.", func(l lists.Stats) uint64 { return l.Unavailable }),
		counter("refused_total", "Requests for a list refused: malformed.", func(l lists.Stats) uint64 { return l.Refused }),
		counter("calls_total", "Calls of the API for a list.", func(l lists.Stats) uint64 { return l.Calls }),
		counter("undocumented_total", "Lists of the API that are not as documented, and not remembered.", func(l lists.Stats) uint64 { return l.Undocumented }),
		counter("rubbish_total", "Lists found in Redis that do not match their seal, or are of the future.", func(l lists.Stats) uint64 { return l.Rubbish }),
		counter("unwritten_total", "Lists that should have been remembered in Redis and were not.", func(l lists.Stats) uint64 { return l.Unwritten }),
		{
			Name: "vitrine_lists_memory_bytes", Help: "Bytes of lists in this process's memory.",
			Value: func() float64 { return float64(stats().Bytes) },
		},
	}
}
