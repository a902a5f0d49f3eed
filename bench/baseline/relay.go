package baseline

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/valyala/fasthttp"
)

// ServeRelay serves on an address, until ctx ends, the least that anybody could put between
// a shop and the API: a bare handler that passes each request on with a plain client. It
// writes the address to w once it listens.
func ServeRelay(ctx context.Context, addr, upstream string, w io.Writer) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	client := &fasthttp.HostClient{Addr: upstream, MaxConns: 1 << 10, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	fmt.Fprintf(w, "listening %s\n", l.Addr())
	srv := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(rc *fasthttp.RequestCtx) {
		if err := client.Do(&rc.Request, &rc.Response); err != nil {
			rc.Error(err.Error(), fasthttp.StatusBadGateway)
		}
	}}
	err = srv.Serve(l)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
