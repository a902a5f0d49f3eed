package fashionai

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"time"
)

// Options tune a Client.
type Options struct {
	// URL is the API's address: scheme http or https, host, and a path that is put before
	// every path of the API, usually none. Required.
	URL string

	// Token goes with every request as X-FashionAI-APP-Token. Required.
	Token *Token

	// UserAgent goes with every request: "vitrine/1.2.3". Required.
	UserAgent string

	// Timeout is the longest a call may take, everything included: waiting for a
	// connection, finding the address, connecting, TLS, sending, and the last byte of the
	// answer (2 s).
	Timeout time.Duration

	// DialTimeout is the longest a connection may take to be ready to use, with all
	// addresses tried and TLS agreed (1 s).
	DialTimeout time.Duration

	// MaxConns bounds the connections, in use and idle, and so the calls under way. A call
	// more waits for one of them, inside its deadline. The default of 65 is the default
	// bulkhead of 64 and a probe.
	MaxConns int

	// MaxIdle is how long a connection is kept for another call (4 s). It should be less
	// than the server's own patience, which the vendor does not document: its error bodies
	// are those of a Node.js framework, and Node.js closes after 5 s.
	MaxIdle time.Duration

	// MaxBody bounds the body of an answer, in bytes (2 MiB). A ranking of 100 000 products
	// has about 1.3 MB.
	MaxBody int

	// RootCAs are trusted to sign the server's certificate. Nil = the system's.
	RootCAs *x509.CertPool

	// Dial opens a connection. Nil = net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// Lookup finds the addresses of a host. Nil = net.DefaultResolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// withDefaults returns o with what is zero set to its default.
func (o Options) withDefaults() Options {
	o.Timeout = or(o.Timeout, 2*time.Second)
	o.DialTimeout = or(o.DialTimeout, time.Second)
	o.MaxConns = or(o.MaxConns, 65)
	o.MaxIdle = or(o.MaxIdle, 4*time.Second)
	o.MaxBody = or(o.MaxBody, 2<<20)
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	return o
}

func or[T comparable](value, otherwise T) T {
	var zero T
	if value == zero {
		return otherwise
	}
	return value
}

// Validate returns everything that is wrong with o, joined, or nil. Zero values are right
// where there is a default.
func (o Options) Validate() error {
	var wrong []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Errorf(format, args...))
		}
	}
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		wrong = append(wrong, fmt.Errorf("reading the API's URL: %w", err))
	default:
		must(u.Scheme == "https" || u.Scheme == "http", "the API's URL has the scheme %q, not http or https", u.Scheme)
		must(u.Hostname() != "", "the API's URL has no host")
		must(u.User == nil && u.RawQuery == "" && u.Fragment == "", "the API's URL has more than scheme, host and path")
	}
	must(o.Token != nil, "the API's token is missing")
	must(o.UserAgent != "", "the user agent is missing")
	must(o.Timeout >= 0, "the API's time-out %s is negative", o.Timeout)
	must(o.DialTimeout >= 0, "the API's dial time-out %s is negative", o.DialTimeout)
	must(o.MaxConns >= 0, "the API's %d connections is negative", o.MaxConns)
	must(o.MaxIdle >= 0, "the API's idle time %s is negative", o.MaxIdle)
	must(o.MaxBody >= 0, "the API's body bound %d is negative", o.MaxBody)
	return errors.Join(wrong...)
}

// tlsConfig returns how to speak TLS with host. Sessions are kept, so that a connection
// opened again takes one round trip less.
func (o Options) tlsConfig(host string) *tls.Config {
	return &tls.Config{
		ServerName:         host,
		RootCAs:            o.RootCAs,
		MinVersion:         tls.VersionTLS12,
		NextProtos:         []string{"http/1.1"},
		ClientSessionCache: tls.NewLRUClientSessionCache(0),
	}
}
