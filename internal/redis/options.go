package redis

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	driver "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"vitrine/breaker"
)

// Options say which Redis to use, and how.
type Options struct {
	// URL names it. "embedded" is one in this process. redis://user:password@host:port/db
	// is a server, rediss:// one over TLS; several addresses, separated by commas, are
	// a Cluster's, or with ?master_name= the Sentinels'. Further options: db,
	// client_name, protocol (2 or 3), sentinel_username, sentinel_password, and for
	// TLS ca_file (PEM, instead of the system's authorities) and server_name.
	URL string

	// Budget is how long a request waits for Redis at most. The caller keeps to it;
	// here it only tells which answers came far too late: those after five times as long.
	Budget time.Duration

	// Breaker is open while Redis is no use. [BreakerOptions] has its numbers.
	Breaker *breaker.Breaker

	// Log gets the few things a person should know.
	Log *slog.Logger

	// Observe, if not nil, is told of every batch, of every PING, and of what the
	// background does. It must not block.
	Observe func(Op, Outcome, time.Duration)
}

// How Redis is used. Thousands of pods share one, so that a pod may have eight
// connections: one a lane, one to ping, two for the background, one to listen.
const (
	lanes           = 4
	laneLength      = 1024 // batches waiting; beyond it they are refused
	maxTrip         = 128  // batches that travel together
	slowConnections = 2

	dialTimeout  = 500 * time.Millisecond
	fastReply    = 150 * time.Millisecond // far over the budget: who waits has long gone, but the connection is kept
	fastPoolWait = 20 * time.Millisecond
	slowReply    = 2 * time.Second

	pingEvery   = 2 * time.Second
	lateBudgets = 5 // times the budget is too late
)

// BreakerOptions returns the numbers that suit Redis: a window of 5 s with at least 20
// round trips of which half failed, or 10 failures in a row, open it for 250 ms at first;
// one PING closes it. It opens for 2 s at the most, because a Redis that is back must be
// in use again within 5 s, of which the driver's own pause after failed dials may take one.
func BreakerOptions() breaker.Options {
	return breaker.Options{
		Name:            "redis",
		Window:          5 * time.Second,
		BucketPeriod:    500 * time.Millisecond,
		MinCalls:        20,
		FailureRatio:    0.5,
		ConnectFailures: 10,
		OpenMin:         250 * time.Millisecond,
		OpenMax:         2 * time.Second,
		Successes:       1,
		ProbeTimeout:    time.Second,
	}
}

// late is how long an answer may take before it counts as a failure.
func (o Options) late() time.Duration { return lateBudgets * o.Budget }

// Validate returns everything that is wrong with o, joined, or nil. It quotes nothing of
// the URL, which may hold a password.
func (o Options) Validate() error {
	_, err := o.resolve()
	return err
}

// target is what a URL names.
type target struct {
	embedded bool
	driver   driver.UniversalOptions
}

func (o Options) resolve() (target, error) {
	var wrong []error
	if o.Budget <= 0 {
		wrong = append(wrong, fmt.Errorf("redis: budget %s is not positive", o.Budget))
	}
	if o.Breaker == nil {
		wrong = append(wrong, errors.New("redis: a breaker is required"))
	}
	if o.Log == nil {
		wrong = append(wrong, errors.New("redis: a log is required"))
	}
	t, err := parseURL(o.URL)
	if err != nil {
		wrong = append(wrong, fmt.Errorf("redis: %w", err))
	}
	return t, errors.Join(wrong...)
}

// parseURL reads an Options.URL. Its errors quote nothing of it.
func parseURL(raw string) (target, error) {
	if raw == "embedded" {
		// go-redis wants an address; the dialer does not look at it.
		return target{embedded: true, driver: driver.UniversalOptions{Addrs: []string{"embedded:0"}}}, nil
	}
	addresses, query, _ := strings.Cut(raw, "?")
	scheme, _, found := strings.Cut(addresses, "://")
	if !found || scheme != "redis" && scheme != "rediss" {
		return target{}, errors.New("the URL must be embedded, or start with redis:// or rediss://")
	}
	t := target{}
	for i, address := range strings.Split(addresses, ",") {
		if !strings.HasPrefix(address, scheme+"://") {
			address = scheme + "://" + address
		}
		if err := t.addAddress(address, i == 0); err != nil {
			return target{}, fmt.Errorf("address %d of the URL: %w", i+1, err)
		}
	}
	if scheme == "rediss" {
		t.driver.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if err := t.addOptions(query); err != nil {
		return target{}, err
	}
	if len(t.driver.Addrs) > 1 && t.driver.MasterName == "" && t.driver.DB != 0 {
		return target{}, errors.New("a Cluster has no database but 0")
	}
	return t, nil
}

func (t *target) addAddress(address string, first bool) error {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" {
		return errors.New("must be host:port, special characters in credentials percent-encoded")
	}
	port := u.Port()
	if port == "" {
		port = "6379"
	}
	t.driver.Addrs = append(t.driver.Addrs, net.JoinHostPort(u.Hostname(), port))
	if u.User != nil && t.driver.Username == "" && t.driver.Password == "" {
		t.driver.Username = u.User.Username()
		t.driver.Password, _ = u.User.Password()
	}
	if db := strings.Trim(u.Path, "/"); db != "" {
		if !first {
			return errors.New("a database stands behind the first address only")
		}
		if t.driver.DB, err = strconv.Atoi(db); err != nil || t.driver.DB < 0 {
			return errors.New("the database must be a number")
		}
	}
	return nil
}

func (t *target) addOptions(query string) error {
	values, err := url.ParseQuery(query)
	if err != nil {
		return errors.New("the options of the URL must be percent-encoded")
	}
	for name := range values {
		value := values.Get(name)
		switch name {
		case "db":
			t.driver.DB, err = strconv.Atoi(value)
		case "client_name":
			t.driver.ClientName = value
		case "protocol":
			t.driver.Protocol, err = strconv.Atoi(value)
		case "master_name":
			t.driver.MasterName = value
		case "sentinel_username":
			t.driver.SentinelUsername = value
		case "sentinel_password":
			t.driver.SentinelPassword = value
		case "server_name", "ca_file":
			err = t.addTLS(name, value)
		default:
			return errors.New("an option of the URL is not known, or a ? in the password is not percent-encoded: " +
				"there are db, client_name, protocol, master_name, sentinel_username, sentinel_password, server_name and ca_file")
		}
		if number := new(strconv.NumError); errors.As(err, &number) {
			err = errors.New("must be a number")
		}
		if err != nil {
			return fmt.Errorf("the URL's option %s: %w", name, err)
		}
	}
	return nil
}

func (t *target) addTLS(name, value string) error {
	if t.driver.TLSConfig == nil {
		return errors.New("is for rediss:// only")
	}
	if name == "server_name" {
		t.driver.TLSConfig.ServerName = value
		return nil
	}
	pem, err := os.ReadFile(value) //nolint:gosec // the operator's own file
	if err != nil {
		return fmt.Errorf("reading the authorities: %w", err)
	}
	t.driver.TLSConfig.RootCAs = x509.NewCertPool()
	if !t.driver.TLSConfig.RootCAs.AppendCertsFromPEM(pem) {
		return errors.New("holds no certificate in PEM")
	}
	return nil
}

// tune sets what go-redis would otherwise do in ways made for other programs: it waits
// seconds, repeats what may have been done already, and introduces itself in two more
// round trips per connection.
func tune(o *driver.UniversalOptions) {
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = dialTimeout
	o.PipelinePoolSize = -1 // or it would be ten connections more
	o.DisableIdentity = true
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
