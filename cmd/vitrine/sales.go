package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	"vitrine/breaker"
	"vitrine/fallback/platform"
	"vitrine/internal/fashionai"
	"vitrine/internal/reco"
)

const (
	salesRankingPath = "/api/v1/products/protected/sales-ranking"

	// salesConnections are as many as lists are fetched at once.
	salesConnections = 4
)

// salesRanking is the vendor's own list of what sells best, in the shop or in a category:
// the native ordering of last resort. It is read over connections and behind a breaker of
// its own, and is no event: reading it tells the API nothing.
type salesRanking struct {
	api   *fashionai.Client
	guard *fashionai.Guard
}

// makeSales makes the sales ranking, if it is turned on.
func (s *sidecar) makeSales() (*salesRanking, error) {
	api, err := fashionai.New(s.apiOptions(salesConnections, s.conf.Upstream.Timeout))
	if err != nil {
		return nil, fmt.Errorf("upstream: %w", err)
	}
	s.salesAPI = api
	s.base = append(s.base, part{"sales ranking connections", api.Run})
	return &salesRanking{api, fashionai.NewGuard(s.breakers.sales, salesConnections)}, nil
}

// SalesRanking returns the ids of what sells best in a category, in the whole shop if that
// is "". The error is a *platform.Error. An empty list is one too: it would only take the
// place of a better one.
func (r *salesRanking) SalesRanking(ctx context.Context, categoryID string) ([]string, error) {
	path := salesRankingPath
	if categoryID != "" {
		path += "?categoryId=" + url.QueryEscape(categoryID)
	}
	var list []string
	var failure *platform.Error
	send := func() fashionai.Reply {
		deadline, _ := ctx.Deadline() // without one, the client's own time-out holds
		return r.api.Fetch(path, deadline, "")
	}
	judge := func(reply *fashionai.Reply) breaker.Kind {
		if list, failure = salesList(reply); failure != nil {
			return salesVerdict(failure.Kind)
		}
		return breaker.Success
	}
	if refused := r.guard.Call(ctx, send, judge); refused != nil {
		return nil, &platform.Error{Kind: platform.Throttled, Err: errors.New(string(refused.Reason))}
	}
	if failure != nil {
		return nil, failure
	}
	return list, nil
}

// salesList reads a reply.
func salesList(reply *fashionai.Reply) ([]string, *platform.Error) {
	failed := &platform.Error{Status: reply.Status, Pause: reply.RetryAfter, Err: reply.Err}
	switch reply.Class {
	case fashionai.OK:
		ranking, err := reco.ParseRanking(reply.Body)
		switch {
		case err != nil:
			failed.Kind = platform.BadAnswer
		case ranking.Empty():
			failed.Kind = platform.NotFound
		default:
			return ranking.IDs(), nil
		}
	case fashionai.BadAnswer:
		failed.Kind = platform.BadAnswer
	case fashionai.NotFound:
		failed.Kind = platform.NotFound
	case fashionai.RateLimited:
		failed.Kind = platform.Throttled
	case fashionai.Unauthorized:
		failed.Kind = platform.Refused
	case fashionai.Timeout:
		failed.Kind = platform.Timeout
	case fashionai.Unreachable, fashionai.Broken:
		failed.Kind = platform.Unreachable
	default:
		failed.Kind = platform.Status
	}
	return nil, failed
}

// salesVerdict is what a failure says about the health of the API.
func salesVerdict(k platform.Kind) breaker.Kind {
	switch k {
	case platform.NotFound:
		return breaker.Success
	case platform.Throttled, platform.Refused:
		return breaker.Ignored
	case platform.Unreachable:
		return breaker.ConnectFailure
	default:
		return breaker.Failure
	}
}
