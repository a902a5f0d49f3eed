// Package baseline has what the sidecar is measured against: servers and clients that
// do the least anybody could do in its place.
package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// Answer is what a bare handler gives to one request body.
type Answer struct {
	Request string      `json:"request"` // the body asked
	Headers [][2]string `json:"headers"` // beside those fasthttp writes itself
	Body    string      `json:"body"`
}

// Bare is a fasthttp handler that answers from a plain map by the request's body, or,
// if it has one answer only, with that whatever is asked.
func Bare(answers []Answer) fasthttp.RequestHandler {
	type ready struct {
		headers [][2][]byte
		body    []byte
	}
	known := make(map[string]*ready, len(answers))
	var one *ready
	for _, a := range answers {
		r := &ready{body: []byte(a.Body)}
		for _, h := range a.Headers {
			r.headers = append(r.headers, [2][]byte{[]byte(h[0]), []byte(h[1])})
		}
		known[a.Request], one = r, r
	}
	constant := len(known) == 1
	return func(rc *fasthttp.RequestCtx) {
		r := one
		if !constant {
			r = known[string(rc.PostBody())]
		}
		if r == nil {
			rc.SetStatusCode(fasthttp.StatusNotFound)
			return
		}
		rc.SetContentType("application/json")
		for _, h := range r.headers {
			rc.Response.Header.SetBytesKV(h[0], h[1])
		}
		rc.Response.SetBodyRaw(r.body)
	}
}

// ServeBare serves a bare handler with the answers in a file on an address, host:port or
// unix:PATH, until ctx ends, each answer after a delay, 0 for none. It writes the address
// to w once it listens.
func ServeBare(ctx context.Context, addr, file string, delay time.Duration, w io.Writer) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var answers []Answer
	if err := json.Unmarshal(text, &answers); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if len(answers) == 0 {
		return errors.New("nothing to answer with")
	}
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if network == "tcp" {
		addr = l.Addr().String()
	}
	fmt.Fprintf(w, "listening %s\n", addr)
	handler := Bare(answers)
	if delay > 0 {
		prompt := handler
		handler = func(rc *fasthttp.RequestCtx) {
			time.Sleep(delay)
			prompt(rc)
		}
	}
	srv := &fasthttp.Server{Handler: handler, NoDefaultServerHeader: true, MaxRequestBodySize: 1 << 20}
	err = srv.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
