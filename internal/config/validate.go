package config

import (
	"fmt"
	"net"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Validate reports everything that is wrong with the configuration, as an *InvalidError.
// It looks at the values alone, not at the files and addresses they name.
func (c Config) Validate() error {
	v := validator{Config: &c}
	values := map[string]any{} // by path
	for _, k := range keys(&c) {
		value := reflect.ValueOf(k.place).Elem().Interface()
		values[k.path] = value
		// An inherited value is reported once, where it comes from.
		if general := k.general(); general == "" || value != values[general] {
			v.report(k.path, k.outOfRange())
		}
	}
	v.listeners()
	v.upstream()
	v.platform()
	v.catalog()
	v.security()
	v.report("redis.url", redisProblem(c.Redis.URL))
	v.rules()
	v.check(c.Outbox.Dir != "", "outbox.dir", "is empty: name a folder, or memory")
	if len(v.mistakes) > 0 {
		return &InvalidError{v.mistakes}
	}
	return nil
}

// warnings are about what is allowed and seldom meant.
func (c Config) warnings() []string {
	var warnings []string
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !loopback(host) {
		warnings = append(warnings,
			"admin.listen is not a loopback address: whoever reaches it can erase data and override breakers")
	}
	if c.Redis.URL == "embedded" {
		warnings = append(warnings, "redis.url is embedded: for one machine and for development, nothing is parked in it")
	}
	return warnings
}

// outOfRange says how the value breaks the key's own tags, "" if it does not.
func (k key) outOfRange() string {
	value := reflect.ValueOf(k.place).Elem()
	if words := k.words(); len(words) > 0 && !slices.Contains(words, value.String()) {
		return fmt.Sprintf("got %q, want one of %s", value.String(), strings.Join(words, ", "))
	}
	if !value.CanInt() && !value.CanFloat() {
		return ""
	}
	least, ok := k.tag.Lookup("min")
	if !ok {
		least = "0"
	}
	if below(value, k.limit(least)) {
		return fmt.Sprintf("got %v, want at least %s", shown(k.place), least)
	}
	if most, ok := k.tag.Lookup("max"); ok && below(k.limit(most), value) {
		return fmt.Sprintf("got %v, want at most %s", shown(k.place), most)
	}
	return ""
}

// limit reads a bound in the key's own notation.
func (k key) limit(text string) reflect.Value {
	limit := reflect.New(reflect.TypeOf(k.place).Elem())
	if err := set(limit.Interface(), text); err != nil {
		panic(fmt.Sprintf("config: the bound of %s: %v", k.path, err)) // a tag of ours
	}
	return limit.Elem()
}

func below(a, b reflect.Value) bool {
	if a.CanFloat() {
		return a.Float() < b.Float()
	}
	return a.Int() < b.Int()
}

type validator struct {
	*Config
	mistakes []Mistake
}

// report adds a problem, if there is one.
func (v *validator) report(path, problem string) {
	if problem != "" {
		v.mistakes = append(v.mistakes, Mistake{Key: path, Problem: problem})
	}
}

func (v *validator) check(fine bool, path, problem string) {
	if !fine {
		v.report(path, problem)
	}
}

func (v *validator) listeners() {
	if path, unix := strings.CutPrefix(v.Listen, "unix:"); unix {
		v.check(strings.HasPrefix(path, "/"), "listen", "the path of a unix socket must be absolute: unix:/path/to.sock")
	} else {
		v.report("listen", listenProblem(v.Listen))
	}
	v.report("probe.listen", listenProblem(v.Probe.Listen))
	v.report("admin.listen", listenProblem(v.Admin.Listen))
	v.check(!sameListener(v.Probe.Listen, v.Listen), "probe.listen", "is the address of listen")
	v.check(!sameListener(v.Admin.Listen, v.Listen), "admin.listen", "is the address of listen")
	v.check(!sameListener(v.Admin.Listen, v.Probe.Listen), "admin.listen", "is the address of probe.listen")
}

// listenProblem says what keeps an address from being listened on; port 0 is any free one.
func listenProblem(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Sprintf("got %q, want host:port or :port", address)
	}
	return ""
}

func sameListener(a, b string) bool { return a == b && !strings.HasSuffix(a, ":0") }

func (v *validator) upstream() {
	u := v.Upstream
	problem := urlProblem(u.URL)
	v.report("upstream.url", problem)
	if problem == "" {
		parsed, _ := url.Parse(string(u.URL)) // it has none
		v.check(parsed.User == nil && parsed.RawQuery == "", "upstream.url", "must have neither credentials nor a query")
		v.check(parsed.Scheme == "https" || u.Insecure || loopback(parsed.Hostname()), "upstream.url",
			"is plain http to an address other than loopback: use https, or set upstream.insecure")
	}
	token := u.Token.Reveal()
	switch {
	case token == "" && u.TokenFile == "":
		v.report("upstream.token", "set it or upstream.token_file: one is required")
	case token != "" && u.TokenFile != "":
		v.report("upstream.token", "is set, and so is upstream.token_file: only one may be")
	}
	v.check(!strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }), "upstream.token",
		"must be printable ASCII without spaces")
}

// platform leaves it to the platform's own package what each kind needs.
func (v *validator) platform() {
	p := v.Platform
	for _, list := range []struct {
		path string
		Source
	}{{"platform.url", p.Source}, {"platform.similar.url", p.Similar}, {"platform.shelf.url", p.Shelf}} {
		if list.URL != "" {
			v.report(list.path, urlProblem(list.URL))
			v.check(p.Kind != "none", list.path, "is set, but platform.kind is none")
		}
	}
}

func (v *validator) catalog() {
	if v.Catalog.URL == "" {
		return
	}
	v.report("catalog.url", urlProblem(v.Catalog.URL))
	v.check(v.Catalog.File == "", "catalog.url", "is set, and so is catalog.file: only one may be")
}

func (v *validator) rules() {
	for _, list := range []struct {
		path string
		Rule
	}{
		{"rules.product", v.Rules.Product},
		{"rules.category", v.Rules.Category},
		{"rules.look", v.Rules.Look},
		{"rules.shelf", v.Rules.Shelf},
	} {
		v.check(list.PriceAbove == 0 || list.PriceMin == 0 && list.PriceMax == 0, list.path+".price_above",
			"excludes price_min and price_max")
		v.check(list.PriceMax == 0 || list.PriceMin <= list.PriceMax, list.path+".price_max", "is below price_min")
	}
}

func (v *validator) security() {
	for _, origin := range v.Security.AllowedOrigins {
		u, err := url.Parse(origin)
		v.check(err == nil && u.Host != "" && u.Scheme+"://"+u.Host == origin, "security.allowed_origins",
			fmt.Sprintf("got %q, want scheme://host or scheme://host:port, as browsers send it", origin))
	}
	for _, host := range v.Security.AllowedHosts {
		u, err := url.Parse("http://" + host)
		v.check(err == nil && u.Host == host && host != "", "security.allowed_hosts",
			fmt.Sprintf("got %q, want a host, with or without a port", host))
	}
}

// urlProblem says what keeps an address from being one http or https URL. It quotes
// nothing, for the address may hold credentials; so may url.Parse's errors.
func urlProblem(address Address) string {
	u, err := url.Parse(string(address))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" ||
		strings.ContainsFunc(string(address), unicode.IsSpace):
		return "must be a URL such as https://host/path; special characters in credentials are percent-encoded"
	case u.Fragment != "":
		return "must have no fragment (#)"
	case strays(string(address), u.User != nil):
		return "an @ behind the host is written %40"
	}
	return ""
}

// strays reports whether the address has an @ that does not end its credentials. What is
// masked depends on there being none.
func strays(address string, credentials bool) bool {
	at := strings.Count(address, "@")
	return at > 1 || at == 1 && !credentials
}

// redisProblem says what is wrong with the shape of redis.url; its options are understood
// by the Redis client. It quotes nothing, as urlProblem does.
func redisProblem(address Address) string {
	if address == "" || address == "embedded" {
		return ""
	}
	scheme, _, found := strings.Cut(string(address), "://")
	if !found || scheme != "redis" && scheme != "rediss" {
		return "must be empty, embedded, or start with redis:// or rediss://"
	}
	hosts, options, _ := strings.Cut(string(address), "?")
	for i, host := range strings.Split(hosts, ",") {
		host, own := strings.CutPrefix(host, scheme+"://")
		u, err := url.Parse(scheme + "://" + host)
		switch {
		case err != nil || u.Hostname() == "" || strings.ContainsFunc(host, unicode.IsSpace):
			return fmt.Sprintf("address %d must be host:port; special characters in credentials are percent-encoded", i+1)
		case u.User != nil && !own, strays(host, u.User != nil):
			return fmt.Sprintf("address %d: credentials stand behind redis://, and an @ in them is written %%40", i+1)
		}
	}
	if strings.Contains(options, "@") {
		return "an @ in the options is written %40"
	}
	return ""
}

// loopback reports whether a host is this machine itself.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
