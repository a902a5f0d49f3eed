package proxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// guard keeps out what is no shop app on this machine: browsers that were talked into
// asking localhost, requests that somebody forwards, ambiguous framing.
type guard struct {
	origins   []string
	hosts     []string
	forwarded bool
	token     *[sha256.Size]byte // of Vitrine-Token, hashed so that comparing tells nothing of its length
}

func newGuard(s Security) guard {
	g := guard{origins: s.AllowedOrigins, forwarded: s.AllowForwarded}
	for _, host := range s.AllowedHosts {
		g.hosts = append(g.hosts, strings.ToLower(host))
	}
	if len(s.AppToken) > 0 {
		sum := sha256.Sum256(s.AppToken)
		g.token = &sum
	}
	return g
}

// check returns why a request must not come in, or nil, given what its header holds.
func (g *guard) check(rc *fasthttp.RequestCtx, seen surveyed) *problem {
	h := &rc.Request.Header
	if !h.IsHTTP11() && !bytes.HasPrefix(h.Protocol(), []byte("HTTP/1.")) {
		rc.SetConnectionClose()
		return &problem{status: fasthttp.StatusHTTPVersionNotSupported, detail: "only HTTP/1.1 and HTTP/1.0 are spoken here"}
	}
	if why := seen.ambiguous(); why != "" {
		rc.SetConnectionClose()
		return badRequest(why)
	}
	if !local(rc) && (!g.knows(h.Host()) || !g.knows(rc.URI().Host())) {
		return forbidden("the Host is not a loopback one")
	}
	if seen.browser {
		if refused := g.checkBrowser(h); refused != nil {
			return refused
		}
	}
	if seen.forwarded && !g.forwarded {
		return forbidden("the request was forwarded")
	}
	if g.token != nil {
		sum := sha256.Sum256(h.Peek("Vitrine-Token"))
		if subtle.ConstantTimeCompare(sum[:], g.token[:]) != 1 {
			return forbidden("Vitrine-Token is missing or wrong")
		}
	}
	return nil
}

// local reports whether a request came over a unix socket, where the file's mode is the
// guard and any Host will do.
func local(rc *fasthttp.RequestCtx) bool {
	c, ours := rc.Conn().(*conn)
	return ours && c.of.local
}

func (g *guard) checkBrowser(h *fasthttp.RequestHeader) *problem {
	listed := false
	for _, origin := range h.PeekAll("Origin") {
		if listed = slices.Contains(g.origins, string(origin)); !listed {
			return forbidden("the request comes from a browser (Origin)")
		}
	}
	for _, site := range h.PeekAll("Sec-Fetch-Site") {
		if string(site) != "none" && !listed {
			return forbidden("the request comes from a browser (Sec-Fetch-Site)")
		}
	}
	return nil
}

// knows reports whether a Host is of this machine's loopback, or listed.
func (g *guard) knows(host []byte) bool {
	if usual(host) {
		return true
	}
	text := strings.ToLower(string(host))
	name, ok := hostname(text)
	if !ok {
		return false
	}
	if name == "localhost" || name == "localhost." || slices.Contains(g.hosts, name) || slices.Contains(g.hosts, text) {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback() && address.Zone() == ""
}

// hostname returns the name in "name", "name:port", "[address]" or "[address]:port".
func hostname(host string) (name string, ok bool) {
	name, port, _ := strings.Cut(host, ":")
	if inside, bracketed := strings.CutPrefix(host, "["); bracketed {
		if name, port, ok = strings.Cut(inside, "]"); !ok || port != "" && port[0] != ':' {
			return "", false
		}
		port = strings.TrimPrefix(port, ":")
	}
	return name, strings.Trim(port, "0123456789") == ""
}

// usual reports whether a Host is loopback as most clients write it.
func usual(host []byte) bool {
	for _, name := range [...]string{"127.0.0.1", "localhost"} {
		if len(host) < len(name) || string(host[:len(name)]) != name {
			continue
		}
		port := host[len(name):]
		return len(port) == 0 || port[0] == ':' && allDigits(port[1:])
	}
	return false
}

func allDigits(text []byte) bool {
	for _, c := range text {
		if c-'0' > 9 {
			return false
		}
	}
	return true
}

// surveyed is what one look at the lines of a header has found, so that the many
// requests that have none of it pay for one look.
type surveyed struct {
	folded           bool // a line that goes on with the one before
	bare             bool // a line that ends without a carriage return
	length, encoding bool // Content-Length, Transfer-Encoding
	unknown          bool // the encoding is not "chunked", or not that alone
	browser          bool // Origin or Sec-Fetch-Site
	forwarded        bool // X-Forwarded-For or Forwarded
	traced           bool // traceparent
}

func survey(raw []byte) (s surveyed) {
	for len(raw) > 0 {
		line := raw
		if end := bytes.IndexByte(raw, '\n'); end >= 0 {
			line, raw = raw[:end], raw[end+1:]
			s.bare = s.bare || end == 0 || line[end-1] != '\r'
		} else {
			raw = nil
		}
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case ' ', '\t':
			s.folded = true
		case 'c', 'C':
			s.length = s.length || named(line, "content-length")
		case 't', 'T':
			if named(line, "transfer-encoding") {
				s.encoding = true
				s.unknown = s.unknown || !strings.EqualFold(strings.TrimSpace(string(line[len("transfer-encoding:"):])), "chunked")
			}
			s.traced = s.traced || named(line, "traceparent")
		case 'o', 'O':
			s.browser = s.browser || named(line, "origin")
		case 's', 'S':
			s.browser = s.browser || named(line, "sec-fetch-site")
		case 'x', 'X':
			s.forwarded = s.forwarded || named(line, "x-forwarded-for")
		case 'f', 'F':
			s.forwarded = s.forwarded || named(line, "forwarded")
		}
	}
	return s
}

// ambiguous says what leaves it open where the request ends, "" if nothing does. What
// one end takes for the body, or for a header of its own, the other may take for
// something else.
func (s surveyed) ambiguous() string {
	switch {
	case s.folded:
		return "a header is folded over two lines"
	case s.bare:
		return "a line ends without a carriage return"
	case s.unknown:
		return "no Transfer-Encoding but chunked is known here"
	case s.length && s.encoding:
		return "Content-Length and Transfer-Encoding exclude each other"
	default:
		return ""
	}
}

func named(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name)
}
