package proxy

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unsafe"

	"github.com/valyala/fasthttp"

	"vitrine/internal/reco"
)

// isJSON reports whether a Content-Type is application/json, with any parameters.
func isJSON(contentType []byte) bool {
	const want = "application/json"
	if string(contentType) == want {
		return true
	}
	media, _, _ := bytes.Cut(contentType, []byte{';'})
	return strings.EqualFold(string(bytes.TrimSpace(media)), want)
}

// writeAnswer writes a list and the headers that say what it is.
func writeAnswer(rc *fasthttp.RequestCtx, v *visit) {
	a := &v.answer
	var room [128]byte
	h := &rc.Response.Header
	h.SetContentType("application/json")
	set(h, "Cache-Control", "private, no-store")
	set(h, "Vitrine-Source", a.Source.String())
	if a.Reason != reco.NoReason {
		set(h, "Vitrine-Reason", string(a.Reason))
	}
	set(h, "Cache-Status", appendCacheStatus(room[:0], a))
	if a.Source == reco.FromCache || a.Source == reco.FromStale {
		set(h, "Age", strconv.AppendInt(room[:0], int64(a.Age/time.Second), 10))
	}
	if v.ticket.Accepted() {
		set(h, "Vitrine-Event", v.ticket.ID.AppendTo(room[:0]))
	}
	json := a.Ranking.JSON()
	rc.Response.SetBodyRaw(unsafe.Slice(unsafe.StringData(json), len(json))) //nolint:gosec // a raw body is only ever read, as a string must be
}

// set sets a header whose name is written as fasthttp would write it, which is then
// spared the trouble.
func set[V string | []byte](h *fasthttp.ResponseHeader, name string, value V) {
	h.SetCanonical([]byte(name), []byte(value))
}

// appendCacheStatus appends the value of Cache-Status (RFC 9211).
func appendCacheStatus(dst []byte, a *reco.Answer) []byte {
	switch a.Source {
	case reco.FromCache:
		return append(appendTTL(append(dst, "vitrine; hit; ttl="...), a.TTL), "; detail="+a.Tier.String()...)
	case reco.FromStale:
		return append(appendTTL(append(dst, "vitrine; hit; ttl="...), a.TTL), "; detail=stale"...)
	case reco.FromAPI:
		dst = append(dst, "vitrine; fwd=miss"...)
		if a.Collapsed {
			return append(dst, "; collapsed"...)
		}
		dst = appendStatus(dst, a.Status)
		if a.Stored {
			dst = append(dst, "; stored"...)
		}
		return dst
	case reco.FromNative, reco.FromNone:
		if a.Reason == reco.Bot || a.Reason == reco.Holdout {
			return append(dst, "vitrine; fwd=bypass; detail="+a.Source.String()...)
		}
		dst = appendStatus(append(dst, "vitrine; fwd=miss"...), a.Status)
		return append(dst, "; detail="+a.Source.String()...)
	default:
		return dst
	}
}

// appendTTL appends whole seconds, rounded down: what is stale is never fresh again by rounding.
func appendTTL(dst []byte, ttl time.Duration) []byte {
	seconds := int64(ttl / time.Second)
	if ttl < 0 && ttl%time.Second != 0 {
		seconds--
	}
	return strconv.AppendInt(dst, seconds, 10)
}

func appendStatus(dst []byte, status int) []byte {
	if status == 0 {
		return dst
	}
	return strconv.AppendInt(append(dst, "; fwd-status="...), int64(status), 10)
}
