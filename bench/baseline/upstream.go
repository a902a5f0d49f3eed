package baseline

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/valyala/fasthttp"
)

// Upstream is an API that costs next to nothing: it waits and answers every question
// with a list of the session's own. Package fakeapi's keeps books and knows faults,
// and pays for them with CPU that a comparison has no use for.
type Upstream struct {
	ids    int
	delay  atomic.Int64
	events atomic.Int64
	l      net.Listener
	done   chan struct{}
}

// EventsPath is where it tells how many events it has received.
const EventsPath = "/events"

// StartUpstream serves lists of so many ids, of 22 letters each as shops with long
// product numbers have.
func StartUpstream(ctx context.Context, ids int) (*Upstream, error) {
	return startUpstream(ctx, "127.0.0.1:0", ids)
}

func startUpstream(ctx context.Context, addr string, ids int) (*Upstream, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("starting the upstream: %w", err)
	}
	u := &Upstream{ids: ids, l: l, done: make(chan struct{})}
	go func() { // ends with the listener; Close awaits it
		defer close(u.done)
		_ = (&fasthttp.Server{Handler: u.serve}).Serve(l)
	}()
	return u, nil
}

// URL is where it is.
func (u *Upstream) URL() string { return "http://" + u.l.Addr().String() }

// Addr is its host:port.
func (u *Upstream) Addr() string { return u.l.Addr().String() }

// Delay sets how long an answer takes from now on.
func (u *Upstream) Delay(d time.Duration) { u.delay.Store(int64(d)) }

// Events is how many calls came.
func (u *Upstream) Events() int64 { return u.events.Load() }

// Close stops it.
func (u *Upstream) Close() error {
	err := u.l.Close()
	<-u.done
	return err
}

// ServeUpstream serves one on an address, every answer taking delay, until ctx ends. It
// writes the address to w once it listens.
func ServeUpstream(ctx context.Context, addr string, ids int, delay time.Duration, w io.Writer) error {
	u, err := startUpstream(ctx, addr, ids)
	if err != nil {
		return err
	}
	u.Delay(delay)
	fmt.Fprintf(w, "listening %s\n", u.Addr())
	<-ctx.Done()
	return u.Close()
}

func (u *Upstream) serve(rc *fasthttp.RequestCtx) {
	if rc.IsGet() && string(rc.Path()) == EventsPath {
		rc.SetBodyString(strconv.FormatInt(u.Events(), 10))
		return
	}
	u.events.Add(1)
	time.Sleep(time.Duration(u.delay.Load()))
	rc.SetContentType("application/json")
	rc.SetBody(List(session(rc.PostBody()), u.ids))
}

// session finds the sessionId in an event. No event of ours holds an escape.
func session(body []byte) string {
	_, rest, _ := bytes.Cut(body, []byte(`"sessionId":"`))
	id, _, _ := bytes.Cut(rest, []byte(`"`))
	return string(id)
}

// List is the answer to a session: {"products":[…]}.
func List(session string, ids int) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(session))
	prefix := strconv.FormatUint(h.Sum64()|1<<63, 16) // 16 letters
	dst := append(make([]byte, 0, 16+25*ids), `{"products":[`...)
	for i := range ids {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(append(dst, '"'), prefix...)
		dst = append(strconv.AppendInt(dst, int64(100_000+i), 10), '"')
	}
	return append(dst, ']', '}')
}
