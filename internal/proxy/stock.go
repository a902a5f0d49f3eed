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
	p.opt.Stock(ctx, levels)
	rc.SetStatusCode(fasthttp.StatusNoContent)
}
