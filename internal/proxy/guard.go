package proxy

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"net"
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

// check returns why a request must not come in, or nil.
func (g *guard) check(rc *fasthttp.RequestCtx) *problem {
	h := &rc.Request.Header
	if why := ambiguous(h.RawHeaders()); why != "" {
		rc.SetConnectionClose()
		return badRequest(why)
	}
	if _, local := rc.Conn().(localConn); !local && (!g.knows(h.Host()) || !g.knows(rc.URI().Host())) {
		return forbidden("the Host is not a loopback one")
	}
	if refused := g.checkBrowser(h); refused != nil {
		return refused
	}
	if !g.forwarded && (len(h.PeekAll("X-Forwarded-For")) > 0 || len(h.PeekAll("Forwarded")) > 0) {
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
	switch string(host) { // as most clients write it
	case "127.0.0.1:8377", "localhost:8377":
		return true
	}
	name := string(host)
	if bare, _, err := net.SplitHostPort(name); err == nil {
		name = bare
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"))
	if name == "localhost" || name == "localhost." || slices.Contains(g.hosts, name) || slices.Contains(g.hosts, strings.ToLower(string(host))) {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback() && address.Zone() == ""
}

// ambiguous says what in a header leaves it open where the request ends, "" if nothing
// does. What one end takes for the body, or for a header of its own, the other may
// take for something else.
func ambiguous(raw []byte) string {
	length, encoding := false, false
	for len(raw) > 0 {
		line := raw
		if end := bytes.IndexByte(raw, '\n'); end >= 0 {
			line, raw = raw[:end], raw[end+1:]
		} else {
			raw = nil
		}
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case ' ', '\t':
			return "a header is folded over two lines"
		case 'c', 'C':
			length = length || named(line, "content-length")
		case 't', 'T':
			encoding = encoding || named(line, "transfer-encoding")
		}
	}
	if length && encoding {
		return "Content-Length and Transfer-Encoding exclude each other"
	}
	return ""
}

func named(line []byte, name string) bool {
	return len(line) > len(name) && line[len(name)] == ':' && strings.EqualFold(string(line[:len(name)]), name)
}

// localListener marks the connections of a unix socket, where the file's mode is the
// guard and any Host will do.
type localListener struct{ net.Listener }

type localConn struct{ net.Conn }

// Accept marks the next connection.
func (l localListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // fasthttp looks at net's own errors
	}
	return localConn{c}, nil
}
