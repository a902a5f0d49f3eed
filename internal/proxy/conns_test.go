package proxy

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/valyala/fasthttp"
)

// echo is a server of what it is sent, behind conns with these bounds, 0 for the usual ones.
type echo struct {
	t     *testing.T
	conns *conns
	held  chan struct{} // a request to /held is answered when it is closed
	busy  atomic.Int32  // requests being answered
}

func newEcho(t *testing.T, most, maxSlow int) *echo {
	t.Helper()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveEcho(t, l, most, maxSlow)
}

func serveEcho(t *testing.T, l net.Listener, most, maxSlow int) *echo {
	t.Helper()
	e := &echo{t: t, held: make(chan struct{})}
	var err error
	if e.conns, err = newConns(l); err != nil {
		t.Fatal(err)
	}
	if most > 0 {
		e.conns.most = most
	}
	if maxSlow > 0 {
		e.conns.maxSlow, e.conns.grace = maxSlow, 0
	}
	server := &fasthttp.Server{
		Handler: func(rc *fasthttp.RequestCtx) {
			e.busy.Add(1)
			defer e.busy.Add(-1)
			if string(rc.Path()) == "/held" {
				<-e.held
			}
			rc.SetBody(rc.PostBody())
		},
		ErrorHandler:       func(rc *fasthttp.RequestCtx, err error) { rc.Error(err.Error(), fasthttp.StatusBadRequest) },
		ReadBufferSize:     maxHeaders,
		MaxRequestBodySize: 1 << 20,
		ConnState:          noteState,
		Logger:             quiet{},
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(e.conns) }() // awaited by the cleanup
	t.Cleanup(func() {
		_ = l.Close()
		if err := <-ended; err != nil {
			t.Errorf("Serve: got %v, want nil", err)
		}
	})
	return e
}

type caller struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (e *echo) dial() *caller {
	e.t.Helper()
	nc, err := net.Dial("tcp", e.conns.Addr().String())
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		e.t.Fatal(err)
	}
	return &caller{nc, e.t, bufio.NewReader(nc)}
}

func request(path, body string) string {
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body)
}

func (c *caller) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

func (c *caller) answered(status int, want string) {
	c.t.Helper()
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		c.t.Fatalf("got %v, want an answer", err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != status || !strings.Contains(string(body), want) {
		c.t.Fatalf("got %d %.100q (%v), want %d %.100q", resp.StatusCode, body, err, status, want)
	}
}

func (c *caller) asks(body string) {
	c.t.Helper()
	c.send(request("/", body))
	c.answered(http.StatusOK, body)
}

// closed waits until the server has closed the connection, without a word.
func (c *caller) closed() {
	c.t.Helper()
	if n, err := c.in.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Errorf("got %d bytes (%v), want the connection closed", n, err)
	}
}

// await polls until something holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// waiting is how many connections wait for a request.
func (e *echo) waiting() (n int) {
	e.conns.mu.Lock()
	defer e.conns.mu.Unlock()
	for c := range e.conns.open {
		if c.idle.Load() > 0 {
			n++
		}
	}
	return n
}

func (e *echo) slow() int {
	e.conns.mu.Lock()
	defer e.conns.mu.Unlock()
	return len(e.conns.slow)
}

func TestTheLongestIdleMakesRoom(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 4, 0)
	var clients []*caller
	for i := range 4 {
		c := e.dial()
		c.asks("first")
		await(t, "it waits", func() bool { return e.waiting() == i+1 })
		clients = append(clients, c)
	}
	clients[0].asks("again") // so that the next one has waited longest
	await(t, "all wait", func() bool { return e.waiting() == 4 })
	for _, longest := range []int{1, 2} {
		e.dial().asks("late")
		clients[longest].closed()
	}
	clients[0].asks("still there")
	clients[3].asks("still there")
	if got := e.conns.evicted.Load(); got != 2 {
		t.Errorf("got %d evicted, want 2", got)
	}
}

// Who is being answered is not sent away, and who comes meanwhile is answered too.
func TestTheBusyStay(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 2, 0)
	var clients []*caller
	for i := range 3 {
		c := e.dial()
		c.send(request("/held", fmt.Sprint("held ", i)))
		await(t, "it is being answered", func() bool { return int(e.busy.Load()) == i+1 })
		clients = append(clients, c)
	}
	e.dial().asks("late")
	close(e.held)
	for i, c := range clients {
		c.answered(http.StatusOK, fmt.Sprint("held ", i))
	}
	if got := e.conns.evicted.Load(); got != 0 {
		t.Errorf("got %d evicted, want none", got)
	}
}

func TestSlowRequestsAreBounded(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 0, 2)
	whole := request("/", "slow but there")
	var clients []*caller
	for i, sent := range []int{10, len(whole) - 3, 20} { // within the headers, the body, the headers
		c := e.dial()
		c.send(whole[:sent])
		await(t, "it is waited for", func() bool { return e.slow() == min(i+1, 2) && (i < 2 || e.conns.evicted.Load() == 1) })
		clients = append(clients, c)
	}
	clients[0].closed()
	clients[1].send(whole[len(whole)-3:])
	clients[1].answered(http.StatusOK, "slow but there")
	clients[2].send(whole[20:])
	clients[2].answered(http.StatusOK, "slow but there")
	await(t, "none is slow", func() bool { return e.slow() == 0 })
	for range 5 { // one after the other, it is not too many
		c := e.dial()
		c.send(whole[:10])
		await(t, "it is waited for", func() bool { return e.slow() == 1 })
		c.send(whole[10:])
		c.answered(http.StatusOK, "slow but there")
		await(t, "none is slow", func() bool { return e.slow() == 0 })
	}
	if got := e.conns.evicted.Load(); got != 1 {
		t.Errorf("got %d evicted, want 1", got)
	}
}

// A head whose body comes a moment later is no reason to send anybody away, up to a bound.
func TestABurstOfSlowRequestsIsBorne(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 0, 2)
	e.conns.grace = time.Hour
	whole := request("/", "a moment later")
	var clients []*caller
	for i := range slowBurst*2 + 1 {
		c := e.dial()
		c.send(whole[:len(whole)-5])
		await(t, "it is waited for", func() bool { return e.slow() == min(i+1, slowBurst*2) })
		clients = append(clients, c)
	}
	clients[0].closed() // one too many even so
	for _, c := range clients[1:] {
		c.send(whole[len(whole)-5:])
		c.answered(http.StatusOK, "a moment later")
	}
}

// However a stream of requests is cut into pieces, what is read is what was sent.
func TestPiecesArriveWhole(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 0, 0)
	var bodies []string
	var stream bytes.Buffer
	for i, size := range []int{0, 1, 100, maxHeaders - 90, maxHeaders, maxHeaders + 1, 200 << 10, 3, 5 * maxHeaders} {
		bodies = append(bodies, strings.Repeat(fmt.Sprint(i)+"\n", size/2)+strings.Repeat("x", size%2))
		stream.WriteString(request("/", bodies[i]))
	}
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"all at once":  func(r io.Reader) io.Reader { return r },
		"by halves":    iotest.HalfReader,
		"in pieces":    func(r io.Reader) io.Reader { return pieces{r} },
		"request-wise": nil,
	} {
		c := e.dial()
		if cut == nil {
			for _, body := range bodies {
				c.asks(body)
			}
			continue
		}
		sent := make(chan error, 1)
		go func() { // awaited below
			_, err := io.Copy(struct{ io.Writer }{c}, cut(bytes.NewReader(stream.Bytes())))
			sent <- err
		}()
		for _, body := range bodies {
			c.answered(http.StatusOK, body)
		}
		if err := <-sent; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// pieces reads a little at a time.
type pieces struct{ io.Reader }

func (r pieces) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 777)]) }

func TestBareLineFeedIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	e := newEcho(t, 0, 0)
	for _, text := range []string{
		"POST / HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n", "GET / HTTP/1.1\nHost: localhost\r\n\r\n", "GET /\n",
	} {
		c := e.dial()
		c.send(text)
		c.answered(http.StatusBadRequest, "")
		c.closed()
	}
	c := e.dial()
	c.send("\nGET / HTTP/1.1\r\n\r\n") // not even a line
	c.closed()
	c = e.dial()
	c.asks("one\ntwo\n\nthree") // in a body it is fine
	c.send("GET / HTTP/1.1\nHost: localhost\r\n\r\n")
	c.answered(http.StatusBadRequest, "")
	c.closed()
	if got := e.waiting(); got != 0 {
		t.Errorf("got %d connections waiting, want none", got)
	}
}

// poor is a listener that is out of descriptors for a while.
type poor struct {
	net.Listener
	left atomic.Int32
}

func (l *poor) Accept() (net.Conn, error) {
	if l.left.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestOutOfDescriptorsIsNotTheEnd(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &poor{Listener: l}
	e := serveEcho(t, p, 0, 0)
	first := e.dial()
	first.asks("first")
	await(t, "it waits", func() bool { return e.waiting() == 1 })
	p.left.Store(1)
	e.dial().asks("the one that was being accepted already")
	e.dial().asks("another")
	first.closed()
}

func TestRoom(t *testing.T) {
	for _, c := range []struct {
		files  uint64
		memory int64
		want   int
	}{
		{1 << 20, math.MaxInt64, maxConnections},
		{1024, math.MaxInt64, 768},
		{1 << 20, 64 << 20, 372},
		{1 << 20, 256 << 20, 1489},
	} {
		if got := room(c.files, c.memory); got != c.want {
			t.Errorf("%d files, %d bytes: got %d, want %d", c.files, c.memory, got, c.want)
		}
	}
}
