package fashionai_test

import (
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"vitrine/internal/fashionai"
)

// api returns the address of a fast API that answers with 24 ids.
func api(b *testing.B) string {
	b.Helper()
	var ids []string
	for i := range 24 {
		ids = append(ids, `"product-`+strconv.Itoa(100000+i)+`"`)
	}
	body := `{"products":[` + strings.Join(ids, ",") + `]}`
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := &fasthttp.Server{Handler: func(rc *fasthttp.RequestCtx) { rc.SetBodyString(body) }, Logger: quiet{}}
	served := make(chan error)
	go func() { served <- s.Serve(l) }()
	b.Cleanup(func() { l.Close(); <-served })
	return l.Addr().String()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// BenchmarkRecommend is what a call costs, its ranking parsed; compare BenchmarkBare.
func BenchmarkRecommend(b *testing.B) {
	c := client(b, "http://"+api(b))
	body := []byte(event)
	b.ReportAllocs()
	for b.Loop() {
		if out := c.Recommend(fashionai.Call{Body: body}); out.Class != fashionai.OK {
			b.Fatalf("got %+v", out)
		}
	}
}

// BenchmarkFetch is the same without the parsing, but with a copy of the body.
func BenchmarkFetch(b *testing.B) {
	c := client(b, "http://"+api(b))
	b.ReportAllocs()
	for b.Loop() {
		if out := c.Fetch("/x", time.Time{}, ""); out.Class != fashionai.OK {
			b.Fatalf("got %+v", out)
		}
	}
}

// BenchmarkBare is the same request by fasthttp's own client, its answer not looked at.
func BenchmarkBare(b *testing.B) {
	address := api(b)
	c := &fasthttp.HostClient{Addr: address, ReadTimeout: 2 * time.Second, WriteTimeout: 2 * time.Second, MaxResponseBodySize: 2 << 20}
	b.Cleanup(c.CloseIdleConnections)
	body := []byte(event)
	b.ReportAllocs()
	for b.Loop() {
		req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
		req.Header.SetMethod(fasthttp.MethodPost)
		req.SetRequestURI("http://" + address + "/api/v1/products/protected/recommendation")
		req.Header.SetContentType("application/json")
		req.Header.Set("X-FashionAI-APP-Token", secret)
		req.SetBodyRaw(body)
		if err := c.Do(req, resp); err != nil {
			b.Fatal(err)
		}
		io.Discard.Write(resp.Body())
		fasthttp.ReleaseRequest(req)
		fasthttp.ReleaseResponse(resp)
	}
}
