package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"vitrine/breaker"
	"vitrine/fallback"
	"vitrine/fallback/catalog"
	"vitrine/fallback/platform"
	"vitrine/internal/config"
	"vitrine/internal/profile"
	"vitrine/internal/redis"
	"vitrine/internal/secret"
	"vitrine/internal/trace"
)

// checkToken reads the API's token.
func checkToken(_ context.Context, c config.Config) (string, error) {
	if _, err := readToken(c.Upstream); err != nil {
		return "", err
	}
	if c.Upstream.TokenFile == "" {
		return "given in the configuration", nil
	}
	return describeSecret(c.Upstream.TokenFile)
}

// describeSecret names a file that holds a secret, and says who else may read it.
func describeSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the path
	}
	mode := info.Mode().Perm()
	if mode&0o004 != 0 {
		return fmt.Sprintf("%s; warning: everybody may read it (mode %#o)", path, mode), nil
	}
	return fmt.Sprintf("%s (mode %#o)", path, mode), nil
}

// checkAPI connects to the API and agrees on TLS with it. It sends no request: the only
// one there is to send would be an event.
func checkAPI(ctx context.Context, c config.Config) (string, error) {
	u, err := url.Parse(string(c.Upstream.URL))
	if err != nil {
		return "", errors.New("upstream.url is no URL") // the error would quote it
	}
	return connect(ctx, u)
}

// connect opens a connection to a URL's host, and closes it. Of the URL only the host is told.
func connect(ctx context.Context, u *url.URL) (string, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	address := net.JoinHostPort(u.Hostname(), port)
	began := time.Now()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the address
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	if u.Scheme != "https" {
		return fmt.Sprintf("%s is reached in %s, without TLS", address, short(time.Since(began))), nil
	}
	secure := tls.Client(conn, &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("%s: %w", address, err)
	}
	ends := secure.ConnectionState().PeerCertificates[0].NotAfter
	return fmt.Sprintf("%s is reached in %s; its certificate is good for %d days, until %s", address, short(time.Since(began)),
		int(time.Until(ends).Hours()/24), ends.UTC().Format(time.DateOnly)), nil
}

// checkRedis asks Redis for an answer and has it keep a value for a moment.
func checkRedis(ctx context.Context, c config.Config) (string, error) {
	switch c.Redis.URL {
	case "":
		return "", skipped("redis.url is not set: rankings are kept in memory only, and events are not parked")
	case "embedded":
		return "", skipped("embedded: in this process, for one machine")
	}
	guard, err := breaker.New(redis.BreakerOptions())
	if err != nil {
		return "", err //nolint:wrapcheck // it names the breaker
	}
	client, err := redis.New(redis.Options{
		URL: string(c.Redis.URL), Budget: c.Redis.Budget, Breaker: guard, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return "", err //nolint:wrapcheck // it says it is Redis
	}
	defer func() { _ = client.Close() }() // nothing is under way
	began := time.Now()
	if err := client.Ping(ctx); err != nil {
		return "", err //nolint:wrapcheck // it says it is Redis
	}
	took := time.Since(began)
	key := "v1:doctor:" + rand.Text()
	if err := errors.Join(client.Set(ctx, key, "1", 10*time.Second), client.Del(ctx, key)); err != nil {
		return "", fmt.Errorf("it answers, but takes no writes: %w", err)
	}
	facts, err := client.Info(ctx)
	if err != nil { // it may be forbidden
		return fmt.Sprintf("answers in %s and takes writes; it does not say what it is", short(took)), nil
	}
	policy := facts["maxmemory_policy"]
	detail := fmt.Sprintf("Redis %s answers in %s and takes writes; maxmemory-policy %s", facts["redis_version"], short(took), policy)
	switch policy {
	case "noeviction", "volatile-ttl": // the latter takes rankings first, whose lives are far shorter than a parked stream's
	default:
		detail += "; warning: under that policy a full Redis may throw parked events away; noeviction does not, and volatile-ttl takes rankings first"
	}
	return detail, nil
}

func checkHashKey(_ context.Context, c config.Config) (string, error) {
	path := c.Redis.HashKeyFile
	if path == "" {
		return "", skipped("redis.hash_key_file is not set: derived from the token")
	}
	text, err := secret.Read(path)
	if err != nil {
		return "", err
	}
	if _, err := redis.ParseHashKey(text); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return describeSecret(path)
}

// checkPlatform fetches the default shelf, if the platform has one: a read without an id,
// which needs the credentials. Otherwise it only connects: any id would be made up.
func checkPlatform(ctx context.Context, c config.Config) (string, error) {
	if c.Platform.Kind == noPlatform {
		return "", skipped("platform.kind is none: only the lists that requests bring, or platform.file")
	}
	o := platformOptions(c)
	o.Pages = 1
	shop, err := platform.New(o)
	if err != nil {
		return "", err //nolint:wrapcheck // it names the key
	}
	if shop.Serves(platform.Shelf) {
		list, err := shop.Fetch(ctx, platform.Query{List: platform.Shelf})
		if err != nil {
			return "", fmt.Errorf("fetching the shelf: %w", err)
		}
		return fmt.Sprintf("%s: the shelf has %d products on its first page", o.Kind, len(list.IDs)), nil
	}
	knock := new(knocker)
	o.Transport = knock
	if shop, err = platform.New(o); err != nil {
		return "", err //nolint:wrapcheck // it names the key
	}
	for _, list := range platform.Lists() {
		if knock.detail == "" && shop.Serves(list) {
			_, err = shop.Fetch(ctx, platform.Query{List: list, ID: "1"}) // goes no further than the knocker
		}
	}
	if knock.detail == "" {
		return "", err //nolint:wrapcheck // it says it is the platform
	}
	return fmt.Sprintf("%s: %s; it was asked for no list", o.Kind, knock.detail), nil
}

// knocker connects to where a request should go, and does not send it.
type knocker struct{ detail string }

// RoundTrip always fails.
func (k *knocker) RoundTrip(r *http.Request) (*http.Response, error) {
	var err error
	if k.detail, err = connect(r.Context(), r.URL); err != nil {
		return nil, err
	}
	return nil, errors.New("not sent")
}

func checkNativeFile(_ context.Context, c config.Config) (string, error) {
	path := c.Platform.File
	if path == "" {
		return "", skipped("platform.file is not set")
	}
	if _, err := fallback.NewNatives(fallback.NativeOptions{File: path}); err != nil {
		return "", err //nolint:wrapcheck // it names the file
	}
	return path, nil
}

// checkCatalogue reads the feed. One that answers, and is too long for the time there is,
// is fine.
func checkCatalogue(ctx context.Context, c config.Config) (string, error) {
	if c.Catalog.URL == "" && c.Catalog.File == "" {
		return "", skipped("neither catalog.url nor catalog.file is set")
	}
	feed, err := catalog.New(catalogOptions(c), nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err //nolint:wrapcheck // it names the key
	}
	var answered atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotFirstResponseByte: func() { answered.Store(true) }})
	switch _, err := feed.Refresh(ctx); {
	case errors.Is(err, context.DeadlineExceeded) && answered.Load():
		return fmt.Sprintf("the feed answers, and is too long to be read in %v", checkTimeout), nil
	case err != nil:
		return "", withoutURL(err)
	}
	n := feed.Stats()
	return fmt.Sprintf("%d products in %d groups, read in %s", n.Products, n.Groups, short(n.Took)), nil
}

// withoutURL drops the address that net/http's errors quote: it may carry a password.
func withoutURL(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		return e.Err
	}
	return err
}

// checkOutbox writes a file into the outbox folder, or where it is to be made, and removes
// it. Whether a live sidecar holds the folder's lock does not matter, and is not asked.
func checkOutbox(_ context.Context, c config.Config) (string, error) {
	dir := c.Outbox.Dir
	if dir == inMemory {
		return "", skipped("outbox.dir is memory: undelivered events end with the process")
	}
	nearest := dir
	for {
		info, err := os.Stat(nearest)
		switch {
		case err == nil && !info.IsDir():
			return "", fmt.Errorf("%s is not a folder", nearest)
		case err != nil && (!errors.Is(err, fs.ErrNotExist) || nearest == filepath.Dir(nearest)):
			return "", err
		case err == nil:
			return tryFolder(dir, nearest)
		}
		nearest = filepath.Dir(nearest)
	}
}

func tryFolder(dir, nearest string) (string, error) {
	f, err := os.CreateTemp(nearest, ".vitrine-doctor-*")
	if err != nil {
		return "", err //nolint:wrapcheck // it names the path
	}
	_, err = io.WriteString(f, "written by vitrine doctor\n")
	if err := errors.Join(err, f.Close(), os.Remove(f.Name())); err != nil {
		return "", err
	}
	if nearest != dir {
		return fmt.Sprintf("%s will be made, %s can be written to", dir, nearest), nil
	}
	return dir + " can be written to; fine if a live sidecar holds it", nil
}

func checkProfileKey(_ context.Context, c config.Config) (string, error) {
	path := c.Profile.KeyFile
	if !c.Profile.Enabled || path == "" {
		return "", skipped("profile.key_file is not set: profiles are kept in memory only")
	}
	if _, err := profile.OpenKeys(path); err != nil {
		return "", err //nolint:wrapcheck // it says what it reads
	}
	return describeSecret(path)
}

func checkAppToken(_ context.Context, c config.Config) (string, error) {
	path := c.Security.AppTokenFile
	if path == "" {
		return "", skipped("security.app_token_file is not set: no token is asked of the shop's app")
	}
	if _, err := secret.Read(path); err != nil {
		return "", err
	}
	return describeSecret(path)
}

// checkCollector connects to where traces go. It sends none.
func checkCollector(ctx context.Context, environ []string) (string, error) {
	o, on, err := trace.FromEnvironment(environ)
	switch {
	case !on:
		return "", skipped("OTEL_EXPORTER_OTLP_ENDPOINT is not set: a trace is passed on to the API, and nothing is added to it")
	case err != nil:
		return "", err //nolint:wrapcheck // it names the variable
	}
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", errors.New("OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL") // the error would quote it
	}
	return connect(ctx, u)
}
