package proxy

import (
	"context"
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
