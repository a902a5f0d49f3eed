package proxy

import (
	"github.com/valyala/fasthttp"

	"vitrine/internal/lists"
	"vitrine/internal/profile"
)

// list answers at the path of one of the vendor's read-only lists.
func (p *Proxy) list(rc *fasthttp.RequestCtx, kind lists.Kind, method string) {
	if string(rc.Method()) != method {
		p.refuse(rc, &problem{status: fasthttp.StatusMethodNotAllowed, detail: "only " + method + " is answered here", allow: method})
		return
	}
	body := rc.PostBody()
	if len(body) > 0 {
		var refused *problem
		if body, refused = jsonBody(rc); refused != nil {
			p.refuse(rc, refused)
			return
		}
	}
	uri := rc.Request.URI()
	p.passOn(rc, profile.Answer(p.opt.Lists.Answer(kind, lists.Request{
		Path: string(uri.PathOriginal()), Query: string(uri.QueryString()), Body: body, Forced: wantsNoCache(rc),
	})))
}
