package redis_test

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/internal/redis"
)

// A URL that is written as the standard library writes one is read as it was meant, whatever
// the credentials are.
func FuzzURL(f *testing.F) {
	f.Add("user", "hush", "redis.shop", uint16(6379), uint8(0), false)
	f.Add("", "h?u/s@h,#:&%", "10.0.0.2", uint16(1), uint8(15), true)
	f.Add("ü s", "\x00\xff ", "10.0.0.1", uint16(0), uint8(3), true)
	f.Fuzz(func(t *testing.T, user, password, host string, port uint16, db uint8, tls bool) {
		if u, err := url.Parse("//" + host); host == "" || err != nil || u.Hostname() != host || u.Port() != "" || strings.Contains(host, ",") {
			host = "redis.shop"
		}
		u := url.URL{Scheme: "redis", Host: host + ":" + strconv.Itoa(int(port)), Path: "/" + strconv.Itoa(int(db))}
		if tls {
			u.Scheme = "rediss"
		}
		if user+password != "" {
			u.User = url.UserPassword(user, password)
		}
		raw := strings.ReplaceAll(u.String(), ",", "%2C") // a comma parts addresses
		want := redis.Read{Addrs: []string{u.Host}, User: user, Password: password, DB: int(db), TLS: tls}
		got, err := redis.ParseURL(raw)
		if err != nil || !slices.Equal(got.Addrs, want.Addrs) || got.User != want.User || got.Password != want.Password || got.DB != want.DB || got.TLS != want.TLS {
			t.Errorf("%q: got %+v, %v, want %+v", raw, got, err, want)
		}
	})
}

// What is wrong with a URL is told without anything of it that may be a password: that is in
// a log.
func FuzzURLErrors(f *testing.F) {
	const hush = "hush-77"
	for _, raw := range []string{
		"redis://u:*@a:1", "redis://u:12?*@a:1", "redis://u:12?x=*&*=x@a:1", "redis://u:%zz*@a:1", "redis://a:1/*", "redis://a:*",
		"rediss://a:1?ca_file=x&*", "redis://a:1?db=*", "redis://a:1,*@b", "*", "http://*", "redis://u:#*@a:1", "redis://a:1?protocol=*", "redis://a:1?%*",
	} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		raw = strings.ReplaceAll(raw, "*", hush)
		if strings.Contains(raw, "ca_file") { // it names a file, which may be named in turn
			return
		}
		if _, err := redis.ParseURL(raw); err != nil && strings.Contains(err.Error(), hush) {
			t.Errorf("%q: got %q, which gives the password away", raw, err)
		}
	})
}

// Whatever stands where a lease should be: as long as it has a life nobody else gets it, and
// who does not have it changes nothing. Without one it is no lease, and is taken.
func FuzzLease(f *testing.F) {
	for _, stands := range []string{"me", "another", "", "me\x00", "\xff", "0", "1", "nil"} {
		f.Add(stands, "me", true)
		f.Add(stands, "me", false)
	}
	f.Fuzz(func(t *testing.T, stands, owner string, mortal bool) {
		c, _ := connect(t, "embedded", patient)
		ctx, key := t.Context(), "lease"
		if err := c.Set(ctx, key, stands, time.Minute); err != nil {
			t.Fatal(err)
		}
		if !mortal {
			if _, err := c.Eval(ctx, redis.NewScript(`return redis.call('PERSIST', KEYS[1])`), key); err != nil {
				t.Fatal(err)
			}
		}
		mine := stands == owner
		if had, err := c.Renew(ctx, key, owner, time.Minute); err != nil || had != mine {
			t.Errorf("%q stands: got %t, %v from renewing as %q, want %t", stands, had, err, owner, mine)
		}
		if !mine {
			if err := c.Release(ctx, key, owner); err != nil {
				t.Error(err)
			}
			if got, _, err := c.Get(ctx, key); err != nil || got != stands {
				t.Errorf("got %q, %v where %q stood and was another's", got, err, stands)
			}
		}
		if got, err := c.Acquire(ctx, key, owner, time.Minute); err != nil || got != (mine || !mortal) {
			t.Errorf("%q stands, mortal %t: got %t, %v from asking for it as %q", stands, mortal, got, err, owner)
		}
	})
}
