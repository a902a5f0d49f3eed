package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"vitrine/bench/baseline"
	"vitrine/bench/rig"
	"vitrine/bench/traffic"
)

// openProxy starts a cache that others would put in the sidecar's place, nginx or
// Varnish, in front of an API of its own, and asks every question once.
func openProxy(ctx context.Context, name string, w work) (target, error) {
	if w.kind != "hit" {
		return nil, fmt.Errorf("%s is there for -work hit only", name)
	}
	t := newHTTPTarget("", traffic.Path, w)
	if err := t.startProxy(ctx, name); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

func (t *httpTarget) startProxy(ctx context.Context, name string) error {
	upstream, err := baseline.StartUpstream(ctx, t.work.ids)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, upstream.Close)
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return err
	}
	t.closers = append(t.closers, func() error { return os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // Varnish reads its configuration as another user
		return err
	}
	addr, err := rig.FreeAddress(ctx)
	if err != nil {
		return err
	}
	command, err := proxyCommand(name, dir, addr, upstream.Addr())
	if err != nil {
		return err
	}
	server, err := rig.StartServer(ctx, t.work.cpus(), addr, command...)
	if err != nil {
		return err
	}
	t.closers = append(t.closers, server.Close)
	served := newHTTPTarget(addr, traffic.Path, t.work)
	t.client, t.usage = served.client, server.Usage
	asked := upstream.Events()
	if err := t.prime(ctx); err != nil {
		return err
	}
	upstream.Delay(t.work.delay)
	if fetched := upstream.Events() - asked; fetched > int64(t.work.questions) {
		return fmt.Errorf("%s asked the API %d times for %d questions", name, fetched, t.work.questions)
	}
	return nil
}

func proxyCommand(name, dir, listen, upstream string) ([]string, error) {
	host, port, err := net.SplitHostPort(upstream)
	if err != nil {
		return nil, err
	}
	c := baseline.Config{Listen: listen, Upstream: upstream, Host: host, Port: port, Dir: dir}
	if name == "nginx" {
		path := filepath.Join(dir, "nginx.conf")
		return []string{"nginx", "-p", dir, "-c", path, "-e", "stderr"}, baseline.WriteConfig("nginx.conf", path, c)
	}
	path := filepath.Join(dir, "varnish.vcl")
	return []string{
		"varnishd", "-F", "-a", listen, "-f", path, "-n", filepath.Join(dir, "work"), "-s", "malloc,1g", "-T", "none",
		"-p", "thread_pools=1", "-p", "thread_pool_min=32",
	}, baseline.WriteConfig("varnish.vcl", path, c)
}
