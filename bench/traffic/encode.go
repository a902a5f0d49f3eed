package traffic

import (
	"encoding/json"
	"strconv"
)

// Path is where recommendation requests go.
const Path = "/api/v1/products/protected/recommendation"

// AppendBody appends the request as the sidecar's JSON.
func (r Request) AppendBody(dst []byte) []byte {
	dst = append(dst, '{')
	if r.User != "" {
		dst = append(appendString(append(dst, `"userId":`...), r.User), ',')
	}
	dst = appendString(append(dst, `"sessionId":`...), r.Session)
	dst = appendString(append(dst, `,"eventType":`...), r.Type)
	dst = append(appendString(append(dst, `,"data":{"id":`...), r.ID), '}')
	if len(r.Native) > 0 || r.Limit > 0 || r.Complete {
		dst = append(r.appendExtras(append(dst, `,"vitrine":{`...)), '}')
	}
	return append(dst, '}')
}

func (r Request) appendExtras(dst []byte) []byte {
	start := len(dst)
	next := func(name string) {
		if len(dst) > start {
			dst = append(dst, ',')
		}
		dst = append(dst, name...)
	}
	if r.Limit > 0 {
		next(`"limit":`)
		dst = strconv.AppendInt(dst, int64(r.Limit), 10)
	}
	if r.Complete {
		next(`"complete":true`)
	}
	if len(r.Native) > 0 {
		next(`"native":[`)
		for i, id := range r.Native {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, id)
		}
		dst = append(dst, ']')
	}
	return dst
}

// AppendHTTP appends the request as bytes on the wire.
func (r Request) AppendHTTP(dst []byte) []byte {
	return AppendPost(dst, Path, r.AppendBody(nil))
}

// AppendPost appends a POST of JSON as bytes on the wire.
func AppendPost(dst []byte, path string, body []byte) []byte {
	dst = append(append(append(dst, "POST "...), path...), " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	return append(append(dst, "\r\n\r\n"...), body...)
}

// appendString appends a JSON string. The ids of made-up shops need no escape; a
// trace's may.
func appendString(dst []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c > '~' {
			quoted, _ := json.Marshal(s) // a string always has a form
			return append(dst, quoted...)
		}
	}
	return append(append(append(dst, '"'), s...), '"')
}
