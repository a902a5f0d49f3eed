package platform

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Options say which platform to ask, and how. A field left zero takes the preset's
// value, or the default in its brackets.
type Options struct {
	// Kind is a preset's name, one of [Kinds], or "http" for a platform that is described here in full.
	Kind string
	// URL is the template of a category's address, and IDs the gjson path of the ids in its answer.
	URL string
	IDs string
	// Similar and Shelf are the same for the products similar to one, and for the
	// default shelf. With kind http, a list without a URL is not asked for.
	Similar Place
	Shelf   Place
	// Headers are sent with every request. A value "file:/path" is read from that
	// file, and again when the file changes.
	Headers map[string]string
	// Vars are the preset's variables by name, with kind http any that the addresses
	// use as {name}. Their values may name files, too.
	Vars map[string]string

	// Timeout is the longest one request may take, its answer included (2 s).
	Timeout time.Duration
	// Rate is how many requests may start in a second, Daily how many in a day, by
	// UTC (the preset's, else unlimited).
	Rate  float64
	Daily int
	// Pages is how many pages of a list are asked for, where lists have pages (the preset's).
	Pages int
	// MaxBody bounds an answer, decompressed, in bytes (4 MiB).
	MaxBody int
	// Insecure allows headers, and variables that may be secret, to travel over plain
	// http to another machine.
	Insecure bool

	// Transport makes the requests (a pool of our own).
	Transport http.RoundTripper
}

// Place is where a list is.
type Place struct {
	URL string // template; {id} is the product or category
	IDs string // gjson path
}

const (
	defaultTimeout = 2 * time.Second
	defaultMaxBody = 4 << 20
	customKind     = "http"
)

// Validate returns everything that is wrong with o, by the configuration's names, joined; or nil.
func (o Options) Validate() error {
	_, err := o.resolve()
	return err
}

// resolve makes the recipes of o: the preset's, with what o says itself on top.
func (o Options) resolve() (Preset, error) {
	c := &checker{}
	preset, known := presets()[o.Kind]
	if !known && o.Kind != customKind {
		c.add("platform.kind", "%q is none of %s", o.Kind, strings.Join(Kinds(), ", "))
		return Preset{}, c.join()
	}
	if !known {
		preset.Lists = make(map[List]Recipe)
		for _, name := range slices.Sorted(maps.Keys(o.Vars)) {
			preset.Vars = append(preset.Vars, Var{Name: name, Secret: true})
		}
	}
	for _, list := range Lists() {
		place, key := o.place(list)
		recipe, have := preset.Lists[list]
		if place.URL != "" || place.IDs != "" {
			recipe, have = override(recipe, place), true
			preset.Lists[list] = recipe
		}
		if have {
			c.recipe(o, preset, key, recipe, list)
		}
	}
	if len(preset.Lists) == 0 {
		c.add("platform.url", "is required with kind http, unless platform.similar.url or platform.shelf.url is set")
	}
	c.vars(o, preset)
	c.headers(o, preset)
	c.bounds(o)
	if o.Rate > 0 {
		preset.Rate = o.Rate
	}
	if o.Daily > 0 {
		preset.Daily = o.Daily
	}
	return preset, c.join()
}

func (o Options) place(list List) (place Place, key string) {
	switch list {
	case Similar:
		return o.Similar, "platform.similar."
	case Shelf:
		return o.Shelf, "platform.shelf."
	default:
		return Place{URL: o.URL, IDs: o.IDs}, "platform."
	}
}

// override puts a place of the configuration over a preset's recipe. An address of
// one's own is a plain GET of one page; a path alone keeps the preset's request.
func override(preset Recipe, place Place) Recipe {
	if place.URL != "" {
		preset = Recipe{URL: place.URL, IDs: preset.IDs, Prefix: preset.Prefix}
	}
	if place.IDs != "" {
		preset.IDs = place.IDs
	}
	return preset
}

// checker collects what is wrong.
type checker struct{ wrong []error }

func (c *checker) add(key, format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
}

func (c *checker) join() error { return errors.Join(c.wrong...) }

func (c *checker) vars(o Options, p Preset) {
	names := make([]string, 0, len(p.Vars))
	for _, v := range p.Vars {
		names = append(names, v.Name)
		if v.Default == "" && o.Vars[v.Name] == "" && needed(o, p, v.Name) {
			c.add("platform.vars."+v.Name, "is required with kind %s", o.Kind)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Vars)) {
		if !slices.Contains(names, name) {
			c.add("platform.vars."+name, "kind %s has no such variable; it has: %s", o.Kind, strings.Join(names, ", "))
		}
	}
}

// needed reports whether an address, or the default of another variable, uses one.
func needed(o Options, p Preset, name string) bool {
	use := "{" + name + "}"
	for _, v := range p.Vars {
		if o.Vars[v.Name] == "" && strings.Contains(v.Default, use) {
			return true
		}
	}
	for _, r := range p.Lists {
		if strings.Contains(r.URL, use) {
			return true
		}
	}
	return false
}

func (c *checker) recipe(o Options, p Preset, key string, r Recipe, list List) {
	if r.URL == "" {
		c.add(key+"url", "is required where %sids is set", key)
		return
	}
	if r.IDs == "" {
		c.add(key+"ids", "is required where %surl is set", key)
	}
	filled, err := scope{id: probeID, vars: o.values(p)}.address(r.URL)
	if err != nil {
		c.add(key+"url", "%v", err)
		return
	}
	u, err := url.Parse(filled)
	switch {
	case err != nil:
		c.add(key+"url", "is not an address") // without err, which would repeat a secret variable
	case u.Scheme != "http" && u.Scheme != "https":
		c.add(key+"url", "must begin with http:// or https://")
	case u.Host == "":
		c.add(key+"url", "names no host")
	case u.User != nil:
		c.add(key+"url", "must hold no password; use platform.headers")
	case strings.Contains(u.Host, probeID):
		c.add(key+"url", "{id} must come after the host: it is the shopper's")
	case list == Shelf && strings.Contains(r.URL, "{id}"):
		c.add(key+"url", "the default shelf has no {id}")
	case list == Category && r.Query == "" && !strings.Contains(r.URL, "{id}"):
		c.add(key+"url", "lacks {id}: every category would get the same list")
	case u.Scheme == "http" && !o.Insecure && o.hasSecrets(p) && !loopback(u.Hostname()):
		c.add(key+"url", "would send secrets over plain http; use https, or set platform.insecure")
	}
}

// probeID is an id that shows where in an address ids go.
const probeID = "id-goes-here"

func (o Options) hasSecrets(p Preset) bool {
	secret := func(v Var) bool { return v.Secret && o.Vars[v.Name] != "" }
	return len(o.Headers) > 0 || slices.ContainsFunc(p.Vars, secret)
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (c *checker) headers(o Options, p Preset) {
	for _, name := range slices.Sorted(maps.Keys(o.Headers)) {
		if !isToken(name) {
			c.add("platform.headers", "%q is not a header's name", name)
		}
		if strings.ContainsFunc(o.Headers[name], func(r rune) bool { return r < ' ' || r == 0x7f }) {
			c.add("platform.headers."+name, "holds a control character")
		}
	}
	for _, need := range p.Needs {
		given := func(name string) bool { return strings.EqualFold(name, need) && o.Headers[name] != "" }
		if !slices.ContainsFunc(slices.Collect(maps.Keys(o.Headers)), given) {
			c.add("platform.headers."+need, "is required with kind %s", o.Kind)
		}
	}
}

// isToken reports whether s may be a header's name (RFC 9110).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !alphanumeric(c) && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

func (c *checker) bounds(o Options) {
	negative := func(key string, is bool) {
		if is {
			c.add(key, "must not be negative")
		}
	}
	negative("platform.timeout", o.Timeout < 0)
	negative("platform.rate", o.Rate < 0)
	negative("platform.daily", o.Daily < 0)
	negative("platform.pages", o.Pages < 0)
	negative("MaxBody", o.MaxBody < 0)
}
