package fashionai

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

// maxInterim bounds the 1xx answers before the real one.
const maxInterim = 8

var (
	errHeader  = errors.New("the answer's header cannot be read")
	errInterim = errors.New("the answer never came after all the interim ones")
	errEncoded = errors.New("the answer is encoded, which was not asked for")
)

// exchange is a request and its answer, over one connection or, after a stale one or with
// a new token, two.
type exchange struct {
	req      *fasthttp.Request
	resp     *fasthttp.Response
	start    time.Time
	deadline time.Time
	onSent   func()
	token    string

	sent     bool // whole, over any connection
	flushed  bool // whole, over the last one
	answered bool // the header has been read, the status is known
	complete bool // and the body
	timedOut bool // the deadline came first
	stale    int  // retries
	renewed  bool // sent again with a new token
	err      error
}

func (x *exchange) release() {
	fasthttp.ReleaseRequest(x.req)
	fasthttp.ReleaseResponse(x.resp)
}

// renew makes the exchange ready to be made again with another token.
func (x *exchange) renew(token string) {
	x.token, x.renewed = token, true
	x.req.Header.Set(tokenHeader, token)
	x.resp.Reset()
	x.answered, x.complete = false, false
}

// over makes the exchange over a connection.
func (x *exchange) over(c *conn, maxBody int) {
	x.flushed = false
	x.err = x.send(c)
	if x.err == nil {
		x.err = x.receive(c, maxBody)
	}
	x.timedOut = x.err != nil && c.timedOut()
}

func (x *exchange) send(c *conn) error {
	err := x.req.Write(c.w)
	if err == nil {
		err = c.w.Flush()
	}
	if err != nil {
		return fmt.Errorf("sending the request: %w", err)
	}
	x.flushed = true
	if !x.sent {
		x.sent = true
		if x.onSent != nil {
			x.onSent()
		}
	}
	return nil
}

// receive reads the answer. fasthttp's errors quote what was read, so they are not passed
// on.
func (x *exchange) receive(c *conn, maxBody int) error {
	if err := x.receiveHeader(c); err != nil {
		return err
	}
	x.answered = true
	if status := x.resp.StatusCode(); status != 204 && status != 304 {
		if err := x.resp.ReadBody(c.r, maxBody); err != nil {
			return bodyError(c, err)
		}
		if x.resp.Header.ContentLength() == -1 {
			if err := x.resp.Header.ReadTrailer(c.r); err != nil {
				return bodyError(c, err)
			}
		}
	}
	x.complete = true
	return nil
}

// receiveHeader reads the header of the final answer.
func (x *exchange) receiveHeader(c *conn) error {
	for range maxInterim {
		if err := x.resp.Header.Read(c.r); err != nil {
			if c.err != nil {
				return fmt.Errorf("waiting for the answer: %w", c.err)
			}
			return errHeader
		}
		if status := x.resp.StatusCode(); status >= 200 || status == 101 {
			return nil
		}
	}
	return errInterim
}

func bodyError(c *conn, err error) error {
	switch {
	case errors.Is(err, fasthttp.ErrBodyTooLarge):
		return errors.New("the answer's body is too large")
	case c.err != nil:
		return fmt.Errorf("reading the answer's body: %w", c.err)
	default:
		return errors.New("the answer's body cannot be read")
	}
}

// class returns the class of an answer with a status. A body that did not come whole
// matters only where it was to be the ranking.
func (x *exchange) class(status int) Class {
	encoding := x.resp.Header.ContentEncoding()
	switch {
	case status < 200 || status > 299:
		return classOf(status)
	case x.timedOut:
		return Timeout
	case x.err != nil:
		return BadAnswer
	case len(encoding) > 0 && string(encoding) != "identity":
		// We accept none, so that no answer is larger in memory than on the wire.
		x.err = errEncoded
		return BadAnswer
	default:
		return OK
	}
}

// reusable tells whether the connection is at the start of a next answer.
func (x *exchange) reusable(c *conn) bool {
	return x.complete && x.resp.StatusCode() != 101 && !x.resp.ConnectionClose() &&
		!closes(x.resp.Header.Peek("Connection")) && c.r.Buffered() == 0
}

// closes tells whether a Connection header lists "close". fasthttp knows only the exact
// value.
func closes(header []byte) bool {
	if len(header) == 0 {
		return false
	}
	for option := range strings.SplitSeq(string(header), ",") {
		if strings.EqualFold(strings.TrimSpace(option), "close") {
			return true
		}
	}
	return false
}
