package fakeapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// The sizes of the answers that are too big.
const (
	hugeBytes = 10 << 20
	bombBytes = 256 << 20
)

// reply is an answer before it is written.
type reply struct {
	status      int
	contentType string // empty means application/json
	encoding    string // Content-Encoding
	retryAfter  string
	body        []byte
	missing     int           // how many bytes fewer than its Content-Length are sent
	every       time.Duration // the time between two bytes; 0 sends all at once
	list        []string      // the products in body, for a list that is well
}

// ending is how a call ended, for the ledger.
type ending struct {
	outcome  Outcome
	status   int
	products int
}

// encode returns a 200 with v as JSON.
func encode(v any) reply {
	body, err := json.Marshal(v)
	if err != nil { // only our own maps, strings and numbers come here
		return failure(http.StatusInternalServerError, err.Error())
	}
	return reply{status: http.StatusOK, body: body}
}

// products returns a 200 with a list; none is an empty one, never null.
func products(list []string) reply {
	rep := encode(map[string][]string{"products": append([]string{}, list...)})
	rep.list = list
	return rep
}

// failure returns an error in the documented shape of its status: the short one for
// refused tokens, the long one for everything else.
func failure(status int, message any) reply {
	name := http.StatusText(status)
	rep := encode(map[string]any{"statusCode": status, "message": message, "error": name})
	if status == http.StatusUnauthorized || status == http.StatusForbidden {
		rep = encode(map[string]any{"error": name, "message": message})
	}
	rep.status = status
	return rep
}

func badRequest(problems []string) reply { return failure(http.StatusBadRequest, problems) }

func notFound(message string) reply { return failure(http.StatusNotFound, message) }

// spoil breaks a good answer in the way asked for. An error stays as it is.
func (a *API) spoil(c call, how Answer, rep reply) reply {
	if rep.status != http.StatusOK {
		return rep
	}
	page := func(contentType, body string) reply {
		return reply{status: http.StatusOK, contentType: contentType, body: []byte(body)}
	}
	switch how {
	case Drip:
		rep.every = dripEvery
	case Truncated:
		rep = page("", string(rep.body[:len(rep.body)/2]))
	case ShortBody:
		rep.missing = len(rep.body) - len(rep.body)/2
		rep.body, rep.list = rep.body[:len(rep.body)/2], nil
	case HTML:
		rep = page("text/html; charset=utf-8", "<!doctype html><title>Maintenance</title><p>We will be back soon.")
	case Null:
		rep = page("", "null")
	case EmptyObject:
		rep = page("", "{}")
	case WrongTypes:
		rep = page("", `{"products":[1.5,true,null,{"id":"p1"},["p2"]]}`)
	case EmptyList:
		rep = products(nil)
	case Huge:
		rep = page("", "")
		rep.body = a.bulk.huge()
	case GzipBomb:
		rep = page("", "")
		rep.encoding, rep.body = "gzip", a.bulk.bomb()
	case Dirty:
		if rep.list != nil {
			rep = products(dirty(rep.list, c.event.id))
		}
	case Hang, ResetBefore, ResetAfter, Refuse: // the answer is never sent
	}
	return rep
}

// respond waits for as long as the verdict says, then answers, or does not.
func (a *API) respond(w http.ResponseWriter, r *http.Request, v verdict, rep reply) ending {
	if !sleep(r.Context(), v.latency) {
		return ending{outcome: Gone}
	}
	switch v.fault.Answer {
	case Hang:
		<-r.Context().Done()
		return ending{outcome: Hung}
	case ResetAfter:
		abort(w, lineOf(r.Context()))
		return ending{outcome: Reset}
	default:
		return write(r.Context(), w, rep)
	}
}

// write sends an answer and tells how far it got.
func write(ctx context.Context, w http.ResponseWriter, rep reply) ending {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	if rep.contentType != "" {
		header.Set("Content-Type", rep.contentType)
	}
	if rep.encoding != "" {
		header.Set("Content-Encoding", rep.encoding)
	}
	if rep.retryAfter != "" {
		header.Set("Retry-After", rep.retryAfter)
	}
	header.Set("Content-Length", strconv.Itoa(len(rep.body)+rep.missing))
	w.WriteHeader(rep.status)

	end := ending{outcome: Cut, status: rep.status, products: len(rep.list)}
	if rep.every > 0 {
		if !drip(ctx, w, rep) {
			return end
		}
	} else if _, err := w.Write(rep.body); err != nil {
		return end
	}
	if rep.missing == 0 {
		end.outcome = Answered
	}
	return end
}

// drip sends the body byte by byte and reports whether it came to the end.
func drip(ctx context.Context, w http.ResponseWriter, rep reply) bool {
	flusher := http.NewResponseController(w)
	for i := range rep.body {
		if _, err := w.Write(rep.body[i : i+1]); err != nil {
			return false
		}
		if flusher.Flush() != nil || !sleep(ctx, rep.every) {
			return false
		}
	}
	return true
}

// bulk holds the big answers, each made when it is first wanted.
type bulk struct{ huge, bomb func() []byte }

func newBulk() bulk { return bulk{huge: sync.OnceValue(hugeList), bomb: sync.OnceValue(gzipBomb)} }

// hugeList returns a valid answer with so many different ids that it is too long.
func hugeList() []byte {
	body := make([]byte, 0, hugeBytes+32)
	body = append(body, `{"products":["p0"`...)
	for i := 1; len(body) < hugeBytes; i++ {
		body = append(body, `,"p`...)
		body = strconv.AppendInt(body, int64(i), 10)
		body = append(body, '"')
	}
	return append(body, `]}`...)
}

// gzipBomb returns an answer that is small until it is unpacked: a list with a
// single, endless id. Gzipped pieces put one after another unpack to their texts put
// one after another (RFC 1952, 2.2), so one mebibyte is packed and then repeated.
func gzipBomb() []byte {
	filler := gzipped(bytes.Repeat([]byte{'a'}, 1<<20))
	bomb := gzipped([]byte(`{"products":["`))
	for range bombBytes >> 20 {
		bomb = append(bomb, filler...)
	}
	return append(bomb, gzipped([]byte(`"]}`))...)
}

func gzipped(text []byte) []byte {
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	_, _ = zip.Write(text) // a bytes.Buffer takes everything
	_ = zip.Close()
	return packed.Bytes()
}
