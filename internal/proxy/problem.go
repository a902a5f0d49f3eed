package proxy

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/reco"
)

// problem is a refusal: RFC 9457's problem details.
type problem struct {
	status     int
	detail     string
	allow      string // for a 405
	retryAfter time.Duration
}

func badRequest(detail string) *problem {
	return &problem{status: fasthttp.StatusBadRequest, detail: detail}
}

func forbidden(detail string) *problem {
	return &problem{status: fasthttp.StatusForbidden, detail: detail}
}

// malformed refuses a body that could not be parsed; the error names the member.
func malformed(err error) *problem {
	if syntax := (*reco.SyntaxError)(nil); errors.As(err, &syntax) {
		return badRequest(syntax.Error())
	}
	return badRequest("the body is malformed")
}

// refuse answers with a problem. Nothing of the request has been or will be acted on.
func (p *Proxy) refuse(rc *fasthttp.RequestCtx, why *problem) {
	p.refusals.Add(1)
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", fasthttp.StatusMessage(why.status), why.status, why.detail})
	if err != nil {
		panic(err) // strings and a number always encode
	}
	h := &rc.Response.Header
	rc.SetStatusCode(why.status)
	h.SetContentType("application/problem+json")
	h.Set("Cache-Control", "private, no-store")
	if why.allow != "" {
		h.Set("Allow", why.allow)
	}
	if why.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((why.retryAfter+time.Second-1)/time.Second)))
	}
	rc.SetBody(body)
}

// unreadable answers a request that fasthttp could not read. The connection is closed.
func (p *Proxy) unreadable(rc *fasthttp.RequestCtx, err error) {
	var (
		small   *fasthttp.ErrSmallBuffer
		timeout net.Error
	)
	switch {
	case errors.As(err, &small):
		drain(rc, 100*time.Millisecond) // nothing tells how much more there is
		p.refuse(rc, &problem{status: fasthttp.StatusRequestHeaderFieldsTooLarge, detail: "the headers are larger than 16 KiB"})
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		drain(rc, 500*time.Millisecond)
		p.refuse(rc, &problem{status: fasthttp.StatusRequestEntityTooLarge, detail: "the body is larger than 128 KiB"})
	case errors.As(err, &timeout) && timeout.Timeout():
		p.refuse(rc, &problem{status: fasthttp.StatusRequestTimeout, detail: "the request did not arrive in time"})
	default:
		p.refuse(rc, badRequest("the request is not valid HTTP"))
	}
}

// drain reads on, for so long at most: closing a connection with unread bytes resets it,
// and the client would never see why it was refused.
func drain(rc *fasthttp.RequestCtx, longest time.Duration) {
	const most = 4 << 20 // bytes
	if rc.Conn().SetReadDeadline(time.Now().Add(longest)) != nil {
		return
	}
	left := int64(most)
	if n := rc.Request.Header.ContentLength(); n > 0 {
		left = min(left, int64(n)-maxHeaders) // that much at most was read already, ahead of the body
	}
	if left > 0 {
		_, _ = io.CopyN(io.Discard, rc.Conn(), left) // whatever comes is thrown away
	}
}

// jsonBody returns the request's body if it claims to be JSON.
func jsonBody(rc *fasthttp.RequestCtx) ([]byte, *problem) {
	h := &rc.Request.Header
	if !isJSON(h.ContentType()) {
		return nil, &problem{status: fasthttp.StatusUnsupportedMediaType, detail: "Content-Type must be application/json"}
	}
	if encoding := h.ContentEncoding(); len(encoding) > 0 && string(encoding) != "identity" {
		return nil, &problem{status: fasthttp.StatusUnsupportedMediaType, detail: "Content-Encoding must not be used"}
	}
	return rc.PostBody(), nil
}
