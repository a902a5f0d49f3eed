package deploy_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// patience bounds waiting for the program to start.
const patience = 30 * time.Second

const (
	recommendation = "/api/v1/products/protected/recommendation"
	profile        = "/api/v1/crm/protected/profile/{kind}/{value}"
	similar        = "/api/v1/products/protected/similar"
	sales          = "/api/v1/products/protected/sales-ranking"
	collection     = "/api/v1/merchandising-collections/protected/{id}"
	search         = "/api/v1/products/protected/search"
	view           = `{"sessionId":"s1","eventType":"productView","data":{"id":"p1"}}`
	shelf          = `{"sessionId":"s1","eventType":"customShelf","data":{"id":""}}`
)

// call is one request, and the response of the description that its answer must match.
type call struct {
	path   string // as in the description
	method string
	at     string // the path asked for, if it has parameters
	body   string
	header http.Header
	status int
	away   bool // ask the sidecar whose Redis is away, and whose configuration has gone bad
}

func calls() []call {
	foreign := http.Header{"Sec-Fetch-Site": {"cross-site"}}
	rebound := http.Header{"Host": {"shop.example"}}
	text := http.Header{"Content-Type": {"text/plain"}}
	huge := strings.Repeat(" ", 129<<10)
	var all []call
	add := func(path, method string, of ...call) {
		for _, c := range of {
			c.path, c.method = path, method
			all = append(all, c)
		}
	}
	const post, get, del = http.MethodPost, http.MethodGet, http.MethodDelete
	add(recommendation, post,
		call{body: view, status: 200},
		call{body: view, status: 200}, // fresh in the cache
		call{body: `{"sessionId":"s1","eventType":"productView","data":{"id":"p1"},"vitrine":{"native":["a","b"],"bot":true}}`, status: 200},
		call{body: `{"sessionId":"s1"}`, status: 400},
		call{body: view, header: foreign, status: 403},
		call{body: huge, status: 413},
		call{body: view, header: text, status: 415})
	add("/v1/page", post,
		call{body: `{"events":[` + view + `,` + shelf + `],"budgetMs":500}`, status: 200},
		call{body: `{"events":[]}`, status: 400},
		call{body: `{"events":[]}`, header: foreign, status: 403},
		call{body: huge, status: 413},
		call{body: `{"events":[]}`, header: text, status: 415})
	add("/v1/stock", post,
		call{body: `[{"id":"p1","quantity":0}]`, status: 204},
		call{body: `{}`, status: 400},
		call{body: `[]`, header: foreign, status: 403},
		call{body: huge, status: 413},
		call{body: `[]`, header: text, status: 415})
	const at = "/api/v1/crm/protected/profile/email/"
	add(profile, get,
		call{at: at + "known@shop.example", status: 200},
		call{at: at + "nobody@shop.example", status: 404},
		call{at: "/api/v1/crm/protected/profile/shoe-size/42", status: 404},
		call{at: at + "known@shop.example", header: foreign, status: 403},
		call{at: at + "broken@shop.example", status: 503})

	const alike = `{"data":{"id":"p1"}}`
	add(similar, post,
		call{body: alike, status: 200},
		call{body: `{}`, status: 400},
		call{body: alike, header: foreign, status: 403},
		call{body: `{"data":{"id":"unknown"}}`, status: 404},
		call{body: huge, status: 413},
		call{body: alike, header: text, status: 415},
		call{body: `{"data":{"id":"broken"}}`, status: 503})
	add(sales, get,
		call{status: 200},
		call{at: sales + "?categoryId=%00", status: 400},
		call{header: foreign, status: 403},
		call{at: sales + "?categoryId=unknown", status: 404},
		call{at: sales + "?categoryId=broken", status: 503})
	const of = "/api/v1/merchandising-collections/protected/"
	add(collection, get,
		call{at: of + "summer", status: 200},
		call{at: of + "a%2Fb", status: 400},
		call{at: of + "summer", header: foreign, status: 403},
		call{at: of + "unknown", status: 404},
		call{at: of + "broken", status: 503})
	add(search, post,
		call{status: 200},
		call{at: search + "?page=0", status: 400},
		call{header: foreign, status: 403},
		call{at: search + "?query=unknown", status: 404},
		call{at: search + "?query=broken", status: 503})

	add("/status.json", get, call{status: 200}, call{header: rebound, status: 403})
	add("/openapi.yaml", get, call{status: 200})
	add("/explain", post,
		call{body: view, status: 200},
		call{body: `{}`, status: 400},
		call{body: view, header: foreign, status: 403},
		call{body: huge, status: 413})
	add("/-/reload", post, call{status: 200}, call{header: foreign, status: 403}, call{status: 422, away: true})
	add("/outbox", get, call{status: 200}, call{header: rebound, status: 403})
	add("/outbox/redrive", post, call{status: 200}, call{header: foreign, status: 403})
	add("/breaker/{name}", post,
		call{at: "/breaker/platform", body: `{"state":"open","for":"1m"}`, status: 200},
		call{at: "/breaker/platform", body: `{"state":"auto"}`, status: 200},
		call{at: "/breaker/platform", body: `{"state":"ajar"}`, status: 400},
		call{at: "/breaker/platform", body: `{"state":"auto"}`, header: foreign, status: 403},
		call{at: "/breaker/door", body: `{"state":"open"}`, status: 404},
		call{at: "/breaker/platform", body: huge, status: 413})
	add("/sessions/{id}", del,
		call{at: "/sessions/s1", status: 200},
		call{at: "/sessions/" + strings.Repeat("s", 300), status: 400},
		call{at: "/sessions/s1", header: foreign, status: 403},
		call{at: "/sessions/s1", status: 503, away: true})
	add("/profiles/{kind}/{value}", del,
		call{at: "/profiles/email/known@shop.example", status: 200},
		call{at: "/profiles/email/" + strings.Repeat("s", 300), status: 400},
		call{at: "/profiles/email/a@b.example", header: foreign, status: 403},
		call{at: "/profiles/shoe-size/42", status: 404},
		call{at: "/profiles/email/a@b.example", status: 503, away: true})
	return all
}

// Every path and every status of the description is exercised, and every answer of the
// program is as described there.
func TestAnswersAreAsDescribed(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("../../internal/ops/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Fatal(err)
	}
	program := build(t)
	api := standInAPI(t)
	file := filepath.Join(t.TempDir(), "vitrine.yaml")
	configure(t, file, "log: {level: info}")
	well, away := start(t, program, api), start(t, program, api, "--redis.url=redis://127.0.0.1:1", "--config="+file)
	configure(t, file, "log: {level: loud}")

	exercised := map[string]bool{}
	for _, c := range calls() {
		item := doc.Paths.Find(c.path)
		if item == nil || item.GetOperation(c.method) == nil {
			t.Fatalf("got no %s %s in the description", c.method, c.path)
		}
		of := well
		if c.away {
			of = away
		}
		name := c.method + " " + c.path + " " + strconv.Itoa(c.status)
		t.Run(name, func(t *testing.T) {
			operation := item.GetOperation(c.method)
			answer, body := c.send(t, of.base(item))
			if answer.StatusCode != c.status {
				t.Fatalf("got %d, want %d: %s", answer.StatusCode, c.status, body)
			}
			response := operation.Responses.Status(c.status)
			if response == nil {
				t.Fatalf("got %d, which is not in the description: %s", c.status, body)
			}
			if len(response.Value.Content) == 0 && len(body) > 0 {
				t.Errorf("got a body, want none: %s", body)
			}
			err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
				RequestValidationInput: &openapi3filter.RequestValidationInput{
					Request: answer.Request,
					Route:   &routers.Route{Spec: doc, Path: c.path, PathItem: item, Method: c.method, Operation: operation},
				},
				Status: c.status, Header: answer.Header, Body: io.NopCloser(bytes.NewReader(body)),
				Options: &openapi3filter.Options{IncludeResponseStatus: true},
			})
			if err != nil {
				t.Errorf("%v\nin %s", err, body)
			}
		})
		exercised[name] = true
	}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			for status := range operation.Responses.Map() {
				if status != "default" && !exercised[method+" "+path+" "+status] {
					t.Errorf("got no call of %s %s that is answered %s", method, path, status)
				}
			}
		}
	}
}

func (c call) send(t *testing.T, base string) (*http.Response, []byte) {
	t.Helper()
	at := c.path
	if c.at != "" {
		at = c.at
	}
	request, err := http.NewRequestWithContext(t.Context(), c.method, base+at, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	maps.Copy(request.Header, c.header)
	if host := c.header.Get("Host"); host != "" {
		request.Host = host
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, body
}

// standInAPI is the vendor's, as far as these calls need it.
func standInAPI(t *testing.T) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+recommendation, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"products":["p1","p2","p3"]}`)
	})
	mux.HandleFunc("GET "+profile, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.PathValue("value") {
		case "known@shop.example":
			_, _ = io.WriteString(w, `{"userProfileId":"u1","profile":{"perfil_cliente":{},"ocasioes_relevantes":[],"briefing_marketing":{},"ganchos_conteudo":[],"momento_compra_atual":{}}}`)
		case "broken@shop.example":
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"message":"not found"}`)
		}
	})
	for _, list := range []string{"POST " + similar, "GET " + sales, "GET " + collection, "POST " + search} {
		mux.HandleFunc(list, standInList)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// standInList is any of the vendor's lists, or none if what is asked for is unknown or broken.
func standInList(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // a part of it says as little
	asked := r.URL.String() + string(body)
	w.Header().Set("Content-Type", "application/json")
	switch {
	case strings.Contains(asked, "broken"):
		w.WriteHeader(http.StatusServiceUnavailable)
	case strings.Contains(asked, "unknown"):
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"message":"not found"}`)
	case strings.Contains(asked, "collections"):
		_, _ = io.WriteString(w, `{"products":[{"productId":"p1","position":1,"active":true}],"endsAt":null}`)
	default:
		_, _ = io.WriteString(w, `{"products":["p1"],"items":[{"id":"p1"}]}`)
	}
}

// sidecar is where a running program listens.
type sidecar struct{ data, admin string }

func (s sidecar) base(item *openapi3.PathItem) string {
	if len(item.Servers) > 0 && strings.HasSuffix(item.Servers[0].URL, ":8379") {
		return "http://" + s.admin
	}
	return "http://" + s.data
}

func configure(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "vitrine")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/vitrine")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return program
}

// start runs the program in front of an API until the test ends.
func start(t *testing.T, program, api string, flags ...string) sidecar {
	t.Helper()
	free := net.JoinHostPort("127.0.0.1", "0")
	serve := exec.CommandContext(t.Context(), program, append([]string{
		"serve", "--listen=" + free, "--probe.listen=" + free, "--admin.listen=" + free, "--upstream.url=" + api, "--upstream.token=t",
		"--outbox.dir=" + filepath.Join(t.TempDir(), "outbox"), "--rules.category.low_stock=1", "--budget=10s", "--log.format=json",
		"--lists.similar.enabled=true", "--lists.sales_ranking.enabled=true", "--lists.collections.enabled=true", "--lists.search.enabled=true",
	}, flags...)...)
	serve.Env = []string{"HOME=" + t.TempDir()}
	log, err := serve.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	giveUp := time.AfterFunc(patience, func() { _ = serve.Process.Kill() })
	defer giveUp.Stop()
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var line struct{ Msg, Data, Admin string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
			go func() { _, _ = io.Copy(io.Discard, log) }() // ends with the process
			return sidecar{data: line.Data, admin: line.Admin}
		}
	}
	t.Fatal("the program ended before it was ready")
	return sidecar{}
}
