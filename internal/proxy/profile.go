package proxy

import (
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/profile"
	"vitrine/internal/reco"
)

// profile answers the profile path, of which rest is what follows its prefix.
func (p *Proxy) profile(rc *fasthttp.RequestCtx, rest string) {
	if !rc.IsGet() {
		p.refuse(rc, &problem{status: fasthttp.StatusMethodNotAllowed, detail: "only GET is answered here", allow: "GET"})
		return
	}
	kind, value, _ := strings.Cut(rest, "/")
	p.passOn(rc, p.opt.Profile(kind, value, wantsNoCache(rc)))
}

// passOn writes what the vendor said, now or earlier, or why there is nothing.
func (p *Proxy) passOn(rc *fasthttp.RequestCtx, a profile.Answer) {
	if a.Detail != "" {
		p.refuse(rc, &problem{status: a.Status, detail: a.Detail, retryAfter: a.RetryAfter})
		return
	}
	h := &rc.Response.Header
	rc.SetStatusCode(a.Status)
	h.SetContentType("application/json")
	if !a.JSON { // whatever stands between the API and us has said something
		h.SetContentType("application/octet-stream")
	}
	h.Set("Cache-Control", "private, no-store")
	h.Set("Vitrine-Source", a.Source.String())
	if a.Reason != reco.NoReason {
		h.Set("Vitrine-Reason", string(a.Reason))
	}
	if a.Source == reco.FromCache || a.Source == reco.FromStale {
		h.Set("Age", strconv.Itoa(int(a.Age/time.Second)))
	}
	rc.Response.SetBodyRaw(a.Body) // only ever read
}

// wantsNoCache reports whether the caller said Cache-Control: no-cache.
func wantsNoCache(rc *fasthttp.RequestCtx) bool {
	for _, header := range rc.Request.Header.PeekAll("Cache-Control") {
		for directive := range strings.SplitSeq(string(header), ",") {
			if strings.EqualFold(strings.TrimSpace(directive), "no-cache") {
				return true
			}
		}
	}
	return false
}
