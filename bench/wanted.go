package main

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"

	"vitrine/bench/rig"
)

// wanted starts what the sidecars need besides the API, and says what they are like.
func (s *stage) wanted(ctx context.Context, o *options) (rig.Options, error) {
	sidecar := rig.Options{
		Binary: o.binary, Upstream: s.api.URL(), Token: s.api.Token(), Unix: o.unix,
		Disk: o.disk, Device: o.device, Env: maps.Clone(o.env),
	}
	if o.tls {
		authority := filepath.Join(s.dir, "authority.pem")
		if err := os.WriteFile(authority, s.api.CAPEM(), 0o600); err != nil {
			return sidecar, err
		}
		sidecar.Env["SSL_CERT_FILE"] = authority
	}
	if o.feed {
		sidecar.Env["VITRINE_CATALOG_FILE"] = filepath.Join(s.dir, "feed.csv")
		if err := s.writeFeed(sidecar.Env["VITRINE_CATALOG_FILE"]); err != nil {
			return sidecar, err
		}
	}
	if o.names {
		if err := s.name(ctx, &sidecar); err != nil {
			return sidecar, err
		}
	}
	var err error
	if sidecar.Redis, err = s.startRedis(ctx, o); err != nil {
		return sidecar, err
	}
	switch {
	case o.clock:
		sidecar.Binary, err = rig.BuildForClock(ctx, s.dir)
	case o.binary == "":
		sidecar.Binary, err = rig.Build(ctx, s.dir)
	}
	return sidecar, err
}

// name gives the API a name that only the sidecars know.
func (s *stage) name(ctx context.Context, sidecar *rig.Options) (err error) {
	if s.names, err = rig.StartNameServer(ctx); err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(s.api.Addr())
	if err != nil {
		return err
	}
	sidecar.NameServer, sidecar.Upstream = s.names.Addr(), "http://api.shop.test:"+port
	sidecar.Env["VITRINE_UPSTREAM_INSECURE"] = "true" // it cannot know that the name is loopback's
	return nil
}

// startRedis returns what the sidecar is to know as redis.url.
func (s *stage) startRedis(ctx context.Context, o *options) (url string, err error) {
	switch o.redis {
	case "embedded":
		return "embedded", nil
	case "none":
		return "", nil
	}
	switch o.topology {
	case "sentinel":
		if s.sentinels, err = rig.StartSentinels(ctx); err != nil {
			return "", err
		}
		return s.sentinels.URL(), nil
	case "cluster":
		if s.cluster, err = rig.StartCluster(ctx); err != nil {
			return "", err
		}
		return s.cluster.URL(), nil
	case "secure":
		s.redis, err = rig.StartSecureRedis(ctx)
	default:
		s.redis, err = rig.StartRedis(ctx)
	}
	if err != nil {
		return "", err
	}
	if !o.relay {
		return s.redis.URL(), nil
	}
	if s.relay, err = rig.StartRelay(ctx, s.redis.Addr()); err != nil {
		return "", err
	}
	return "redis://" + s.relay.Addr(), nil
}

// writeFeed writes the shop's products, all in stock: what is sold out would be left
// out of lists, rightly, and the checker would not know.
func (s *stage) writeFeed(path string) error {
	text := []byte("id,title,price,availability,quantity\n")
	for _, p := range s.catalogue.Products {
		text = fmt.Appendf(text, "%s,%s,%d.00 BRL,in_stock,10\n", p.ID, p.ID, p.Price/100)
	}
	return os.WriteFile(path, text, 0o600)
}
