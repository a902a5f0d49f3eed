package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"vitrine/internal/config"
)

// healthTimeout is how long the running sidecar may take to say that it is alive.
const healthTimeout = time.Second

// cmdHealthcheck asks the sidecar that runs with this configuration whether it is alive,
// for images that have no shell and no curl. Of the configuration only probe.listen
// counts: whoever asks need not be given the token, nor be told twice what else is wrong.
func cmdHealthcheck(ctx context.Context, args, environ []string, stderr io.Writer) int {
	c, _, err := config.Load(args, environ, config.ReadFile)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(stderr, "usage: vitrine healthcheck [flags], of which only --config and --probe.listen matter")
		return exitOK
	}
	if err = mistakeAbout("probe.listen", err); err == nil {
		ctx, cancel := context.WithTimeout(ctx, healthTimeout)
		defer cancel()
		err = alive(ctx, c.Probe.Listen)
	}
	if err != nil {
		fmt.Fprintln(stderr, "vitrine healthcheck:", err)
		return exitFailed
	}
	return exitOK
}

// alive asks the probe listener at an address, as it is listened on.
func alive(ctx context.Context, listen string) error {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("probe.listen: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost" // of either family
	}
	url := "http://" + net.JoinHostPort(host, port) + "/livez"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return err //nolint:wrapcheck // it names the address
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s: %w", url, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}
