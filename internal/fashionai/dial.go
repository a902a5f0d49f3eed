package fashionai

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrCertificate says that the server showed a certificate that is expired, of another
// host, or signed by nobody we trust. Nothing was sent to it.
var ErrCertificate = errors.New("the API's certificate is not valid")

const (
	// lookupEvery is how long addresses are used before they are looked up again.
	lookupEvery = 30 * time.Second
	// lookupWait is the longest a call that has older addresses waits for new ones.
	lookupWait = 250 * time.Millisecond
)

// dialer opens connections that are ready to use.
type dialer struct {
	opt    Options
	host   string
	port   string
	config *tls.Config // nil: no TLS

	distrusted atomic.Uint64 // certificates refused

	mu      sync.Mutex
	known   []netip.Addr // last good addresses, the one that worked last first
	renewAt time.Time
}

// dial returns a new connection to the API. It tries every address in turn, giving each an
// equal share of the time that is left.
func (d *dialer) dial(deadline time.Time) (net.Conn, error) {
	if latest := time.Now().Add(d.opt.DialTimeout); latest.Before(deadline) {
		deadline = latest
	}
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	addresses, err := d.addresses(ctx)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", d.host, err)
	}
	var failures []error
	for i, address := range addresses {
		left := time.Until(deadline)
		if left <= 0 {
			break
		}
		conn, err := d.connect(ctx, address, left/time.Duration(len(addresses)-i))
		if err == nil {
			d.prefer(address)
			return conn, nil
		}
		failures = append(failures, err)
	}
	if failures == nil {
		return nil, fmt.Errorf("connecting to %s: %w", d.host, context.DeadlineExceeded)
	}
	return nil, errors.Join(failures...)
}

// connect opens a connection to one address and agrees on TLS, within a time.
func (d *dialer) connect(ctx context.Context, address netip.Addr, within time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	conn, err := d.opt.Dial(ctx, "tcp", net.JoinHostPort(address.String(), d.port))
	if err != nil {
		return nil, fmt.Errorf("connecting to %s: %w", d.host, err)
	}
	if d.config == nil {
		return conn, nil
	}
	secure := tls.Client(conn, d.config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		if bad := (*tls.CertificateVerificationError)(nil); errors.As(err, &bad) {
			d.distrusted.Add(1)
			return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
		}
		return nil, fmt.Errorf("agreeing on TLS with %s: %w", d.host, err)
	}
	return secure, nil
}

// addresses returns where the host is: what was looked up at most 30 s ago, else the result
// of a new lookup, else what was last known. While one call looks up, the others go on with
// what is known.
func (d *dialer) addresses(ctx context.Context) ([]netip.Addr, error) {
	if literal, err := netip.ParseAddr(d.host); err == nil {
		return []netip.Addr{literal}, nil
	}
	d.mu.Lock()
	known := d.known
	now := time.Now()
	if known != nil {
		if now.Before(d.renewAt) {
			d.mu.Unlock()
			return known, nil
		}
		d.renewAt = now.Add(lookupEvery) // this call looks up, and the others not
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, lookupWait)
		defer cancel()
	}
	d.mu.Unlock()

	found, err := d.opt.Lookup(ctx, d.host)
	if err == nil && len(found) > 0 {
		return d.learn(found), nil
	}
	if known != nil {
		return known, nil
	}
	if err == nil {
		err = errors.New("it has no address")
	}
	return nil, err
}

// learn keeps the result of a lookup.
func (d *dialer) learn(found []netip.Addr) []netip.Addr {
	for i := range found {
		found[i] = found[i].Unmap()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known, d.renewAt = found, time.Now().Add(lookupEvery)
	return found
}

// prefer puts an address that works before those that may not.
func (d *dialer) prefer(address netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.known, address)
	if i <= 0 {
		return
	}
	known := slices.Delete(slices.Clone(d.known), i, i+1) // others may be reading d.known
	d.known = slices.Insert(known, 0, address)
}
