package proxy

import (
	"context"
	"strings"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/reco"
)

// stockTimeout bounds telling other pods of a stock update.
const stockTimeout = 2 * time.Second

// stock answers POST /v1/stock: what it says holds from the next answer on.
func (p *Proxy) stock(rc *fasthttp.RequestCtx) {
	body, refused := jsonBody(rc)
	if refused != nil {
		p.refuse(rc, refused)
		return
	}
	levels, err := reco.ParseStock(body)
	if err != nil {
		p.refuse(rc, malformed(err))
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), stockTimeout)
	defer cancel()
	if err := p.opt.Stock(ctx, levels); err != nil {
		p.refuse(rc, &problem{status: fasthttp.StatusServiceUnavailable, detail: err.Error(), retryAfter: time.Second})
		return
	}
	rc.SetStatusCode(fasthttp.StatusNoContent)
}

// profile answers the profile path, of which rest is what follows its prefix.
func (p *Proxy) profile(rc *fasthttp.RequestCtx, rest string) {
	if !rc.IsGet() {
		p.refuse(rc, &problem{status: fasthttp.StatusMethodNotAllowed, detail: "only GET is answered here", allow: "GET"})
		return
	}
	kind, value, _ := strings.Cut(rest, "/")
	reply := p.opt.Profile(kind, value, strings.Contains(string(rc.Request.Header.Peek("Cache-Control")), "no-cache"))
	rc.SetStatusCode(reply.Status)
	rc.Response.Header.SetContentType(reply.ContentType)
	rc.Response.Header.Set("Cache-Control", "private, no-store")
	for _, header := range reply.Headers {
		rc.Response.Header.Set(header[0], header[1])
	}
	rc.SetBody(reply.Body)
}
