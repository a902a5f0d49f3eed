package proxy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// Listen opens the data listener: "host:port", or "unix:/path/to.sock", a socket of
// mode 0660. A socket file left by a process that is gone is replaced; one that
// somebody listens on is an error.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	path, unix := strings.CutPrefix(address, "unix:")
	if !unix {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
		if err != nil {
			return nil, fmt.Errorf("opening the data listener: %w", err)
		}
		return l, nil
	}
	if err := removeDeadSocket(ctx, path); err != nil {
		return nil, fmt.Errorf("opening the data listener: %w", err)
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("opening the data listener: %w", err)
	}
	if err := os.Chmod(path, 0o660); err != nil { //nolint:gosec // the shop app shares the group
		return nil, errors.Join(fmt.Errorf("opening the data listener: %w", err), l.Close())
	}
	return l, nil
}

func removeDeadSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err //nolint:wrapcheck // it names the path
	case info.Mode().Type() != os.ModeSocket:
		return fmt.Errorf("%s is there and is no socket", path)
	}
	if c, err := new(net.Dialer).DialContext(ctx, "unix", path); err == nil {
		_ = c.Close() // it was only to see whether somebody answers
		return fmt.Errorf("%s is in use by another process", path)
	}
	return os.Remove(path) //nolint:wrapcheck // it names the path
}

// selfHeader marks our own call, which is not counted.
const selfHeader = "Vitrine-Self"

func newSelfKey() string { return rand.Text() }

// selfBody goes the whole journey, and sends and journals nothing.
const selfBody = `{"sessionId":"self","eventType":"customShelf","data":{"id":""},"vitrine":{"bot":true,"native":["self"]}}`

// SelfCall asks the proxy, over the listener at address, for a list, and returns an
// error if it does not get one before ctx ends.
func (p *Proxy) SelfCall(ctx context.Context, address net.Addr) error {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, address.Network(), address.String())
	}
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true, ResponseHeaderTimeout: time.Second}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://localhost"+pathRecommendation, strings.NewReader(selfBody))
	if err != nil {
		return fmt.Errorf("calling the data listener: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(selfHeader, p.self)
	if p.opt.Security.AppToken != nil {
		req.Header.Set("Vitrine-Token", string(p.opt.Security.AppToken))
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("calling the data listener: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	// What the list holds depends on the catalogue and its rules.
	if err != nil || resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), `{"products":[`) {
		return fmt.Errorf("calling the data listener: got status %d", resp.StatusCode)
	}
	return nil
}
