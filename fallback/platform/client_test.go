package platform_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/fallback/platform"
)

// answering is a Transport that needs no network, so that it works in a bubble.
type answering func(*http.Request) (*http.Response, error)

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func answer(status int, body string) answering {
	return func(*http.Request) (*http.Response, error) { return respond(status, body), nil }
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body))}
}

// custom is a platform of kind http.
func custom(transport http.RoundTripper) platform.Options {
	return platform.Options{
		Kind: "http", URL: "https://shop.test/native?category={id}", IDs: "items.#.productId",
		Transport: transport,
	}
}

func newClient(t *testing.T, o platform.Options) *platform.Client {
	t.Helper()
	client, err := platform.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func category(t *testing.T, o platform.Options, id string) (platform.Result, error) {
	t.Helper()
	return newClient(t, o).Fetch(t.Context(), platform.Query{List: platform.Category, ID: id})
}

func TestAnswersThatAreLists(t *testing.T) {
	f := func(ids, body string, want ...string) {
		t.Helper()
		o := custom(answer(http.StatusOK, body))
		o.IDs = ids
		got, err := category(t, o, "1")
		if err != nil || !slices.Equal(got.IDs, want) {
			t.Errorf("%s of %s: got %q, %v, want %q", ids, body, got.IDs, err, want)
		}
	}
	f("items.#.productId", `{"items":[{"productId":"a"},{"productId":7},{"productId":"a"},{"productId":""}]}`, "a", "7")
	f("items.#.productId", `{"items":[]}`)
	f("items.#.productId", `{"errors":[],"items":[{"productId":"a"}]}`, "a")
	f("items.#.productId", `{"errors":null,"items":[{"productId":"a"}]}`, "a")
	f("#.id", `[{"id":9007199254740993}]`, "9007199254740993") // beyond what a float holds
	f("#.product.id", `[{"product":{"id":"a"}},{"product":{"id":"b"}}]`, "a", "b")
	f("products", `{"products":["a","b"]}`, "a", "b")
	f("@this", `["a"]`, "a")
	f(`items.#(stock>0)#.id`, `{"items":[{"id":"a","stock":1},{"id":"b","stock":0}]}`, "a")
}

func TestAnswersThatAreNot(t *testing.T) {
	f := func(body string) {
		t.Helper()
		got, err := category(t, custom(answer(http.StatusOK, body)), "1")
		if platform.KindOf(err) != platform.BadAnswer {
			t.Errorf("%.80s: got %q, %v, want a bad answer", body, got.IDs, err)
		}
	}
	for _, body := range []string{
		``, `null`, `{}`, `[]`, `<html>`, `{"items":null}`, `{"items":{}}`, `{"items":"a"}`, `{"item":[]}`,
		`{"items":[{"productId":"a"}`, `{"items":[{"productId":"a"}]}x`,
		`{"items":[{"productId":"a"},{"id":"b"}]}`,
		`{"items":[{"productId":null}]}`, `{"items":[{"productId":true}]}`, `{"items":[{"productId":1.5}]}`,
		`{"items":[{"productId":1e3}]}`, `{"items":[{"productId":["a"]}]}`, `{"items":["a"]}`,
		`{"items":[{"productId":"` + strings.Repeat("x", 257) + `"}]}`,
		"{\"items\":[{\"productId\":\"\xff\"}]}", `{"items":[{"productId":"\ud800"}]}`,
		`{"items":[{"productId":"a"}],"errors":[{"message":"no"}]}`,
		`{"items":[{"productId":"a"}],"errors":"no"}`, `{"items":[{"productId":"a"}],"errors":{"a":1}}`,
		`{"items":[{"productId":"a"}],"errors":true}`,
		strings.Repeat("[", 3<<20),
		// gjson would go down as deep as it is told to, until the stack is exhausted.
		`{"items":[{"productId":"a"}],"x":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`,
	} {
		f(body)
	}
}

func TestStatus(t *testing.T) {
	f := func(status int, want platform.Kind) {
		t.Helper()
		_, err := category(t, custom(answer(status, `{"items":[{"productId":"a"}]}`)), "1")
		e, ok := errors.AsType[*platform.Error](err)
		if !ok || e.Kind != want || e.Status != status {
			t.Errorf("%d: got %v, want kind %v", status, err, want)
		}
	}
	f(http.StatusNotFound, platform.NotFound)
	f(http.StatusGone, platform.NotFound)
	f(http.StatusUnauthorized, platform.Refused)
	f(http.StatusForbidden, platform.Refused)
	f(http.StatusTooManyRequests, platform.Throttled)
	f(http.StatusFound, platform.Status)
	f(http.StatusNotModified, platform.Status) // we had not asked whether it was
	f(http.StatusServiceUnavailable, platform.Status)
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := func(header string, want time.Duration) {
			t.Helper()
			client := newClient(t, custom(answering(func(*http.Request) (*http.Response, error) {
				r := respond(http.StatusTooManyRequests, "")
				r.Header.Set("Retry-After", header)
				return r, nil
			})))
			_, err := client.Fetch(t.Context(), platform.Query{List: platform.Category, ID: "1"})
			if e, ok := errors.AsType[*platform.Error](err); !ok || e.Pause != want {
				t.Errorf("%q: got %v, want a pause of %v", header, err, want)
			}
			if got := client.Quota().Wait; got != want {
				t.Errorf("%q: got a wait of %v, want %v", header, got, want)
			}
		}
		f("3", 3*time.Second)
		f(time.Now().Add(5*time.Second).UTC().Format(http.TimeFormat), 5*time.Second)
		f("", 2*time.Second)
		f("soon", 2*time.Second)
		f("-1", 100*time.Millisecond)
		f("86400", 10*time.Minute)
		f("99999999999999999999", 2*time.Second)

		client := newClient(t, custom(answer(http.StatusOK, `{"errors":[{"extensions":{"code":"THROTTLED"}}]}`)))
		_, err := client.Fetch(t.Context(), platform.Query{List: platform.Category, ID: "1"})
		if got := client.Quota().Wait; platform.KindOf(err) != platform.Throttled || got != 2*time.Second {
			t.Errorf("got %v and a wait of %v, want 2s", err, got)
		}
	})
}

func TestSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		_, err := category(t, custom(answering(func(r *http.Request) (*http.Response, error) {
			response := respond(http.StatusOK, "")
			response.Body = io.NopCloser(dripping(r.Context().Err))
			return response, nil
		})), "1")
		if platform.KindOf(err) != platform.Timeout {
			t.Errorf("got %v, want a time-out", err)
		}
		if took := time.Since(began); took > 2050*time.Millisecond {
			t.Errorf("took %v, want 2s", took)
		}
	})
}

// dripping gives a byte every 50 ms, as a connection does, until its request has ended.
type dripping func() error

func (ended dripping) Read(b []byte) (int, error) {
	time.Sleep(50 * time.Millisecond)
	b[0] = ' '
	return 1, ended()
}

func TestLargeAnswer(t *testing.T) {
	o := custom(answer(http.StatusOK, `{"items":[]}`+strings.Repeat(" ", 100)))
	o.MaxBody = 50
	if _, err := category(t, o, "1"); platform.KindOf(err) != platform.BadAnswer {
		t.Errorf("got %v, want a bad answer", err)
	}
	o.MaxBody = 112
	if _, err := category(t, o, "1"); err != nil {
		t.Errorf("got %v for an answer of just that size", err)
	}
}

func TestUnreachable(t *testing.T) {
	server := httptest.NewServer(nil)
	server.Close()
	o := custom(nil)
	o.URL = server.URL + "/{id}?token=secret"
	_, err := category(t, o, "1")
	if platform.KindOf(err) != platform.Unreachable {
		t.Errorf("got %v, want unreachable", err)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the error tells the address: %v", err)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	client := newClient(t, custom(answering(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})))
	if _, err := client.Fetch(ctx, platform.Query{List: platform.Category, ID: "1"}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want one that says we gave up", err)
	}
}

func TestIDsAreEncoded(t *testing.T) {
	f := func(id, want string) {
		t.Helper()
		o := custom(answering(func(r *http.Request) (*http.Response, error) {
			if got := r.URL.RequestURI(); got != want {
				t.Errorf("%q: got %s, want %s", id, got, want)
			}
			return respond(http.StatusOK, `{"items":[]}`), nil
		}))
		o.URL = "https://shop.test/c/{id}?all={id}"
		if _, err := category(t, o, id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
	f("27", "/c/27?all=27")
	f("a-b._~", "/c/a-b._~?all=a-b._~")
	f("../admin?x=1#y", "/c/..%2Fadmin%3Fx%3D1%23y?all=..%2Fadmin%3Fx%3D1%23y")
	f("ção {id}%", "/c/%C3%A7%C3%A3o%20%7Bid%7D%25?all=%C3%A7%C3%A3o%20%7Bid%7D%25")
	f("\r\nHost: x", "/c/%0D%0AHost%3A%20x?all=%0D%0AHost%3A%20x")
	for _, id := range []string{".", ".."} {
		if _, err := category(t, custom(answer(http.StatusOK, `{"items":[]}`)), id); platform.KindOf(err) != platform.NotFound {
			t.Errorf("%q: got %v, want not found, unasked", id, err)
		}
	}
}

// Whatever a storefront sends as an id arrives as that id, and nowhere else in the address.
func FuzzIDsArrive(f *testing.F) {
	for _, id := range []string{"27", "../x", "a&b=c", "%2e%2e", "\x00", "é", "{size}"} {
		f.Add(id)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if id == "." || id == ".." {
			return
		}
		o := custom(answering(func(r *http.Request) (*http.Response, error) {
			if got := r.URL.Query().Get("category"); got != id || len(r.URL.Query()) != 1 {
				t.Errorf("got %q of %s, want %q", got, r.URL, id)
			}
			if got := strings.TrimPrefix(r.URL.Path, "/c/"); got != id || strings.Count(r.URL.EscapedPath(), "/") != 2 {
				t.Errorf("got path %q, want /c/%q", r.URL.EscapedPath(), id)
			}
			return respond(http.StatusOK, `{"items":[]}`), nil
		}))
		o.URL = "https://shop.test/c/{id}?category={id}"
		if _, err := category(t, o, id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	})
}

func TestPages(t *testing.T) {
	var asked []string
	o := platform.Options{
		Kind: "woocommerce", Vars: map[string]string{"base": "https://shop.test/"}, Pages: 5,
		Transport: answering(func(r *http.Request) (*http.Response, error) {
			page := r.URL.Query().Get("page")
			asked = append(asked, page)
			if page == "3" {
				return respond(http.StatusNotFound, ""), nil // some platforms say so beyond the end
			}
			var ids []string
			for i := range 100 {
				ids = append(ids, fmt.Sprintf(`{"id":%s%02d}`, page, i))
			}
			return respond(http.StatusOK, "["+strings.Join(ids, ",")+"]"), nil
		}),
	}
	got, err := category(t, o, "1")
	if err != nil || len(got.IDs) != 200 || got.IDs[100] != "200" {
		t.Errorf("got %d ids, %v, want both pages", len(got.IDs), err)
	}
	if want := []string{"1", "2", "3"}; !slices.Equal(asked, want) {
		t.Errorf("got pages %v, want %v", asked, want)
	}
	asked, o.Pages = nil, 1
	if got, err = category(t, o, "1"); err != nil || len(got.IDs) != 100 || len(asked) != 1 {
		t.Errorf("got %d ids from pages %v, %v, want one page", len(got.IDs), asked, err)
	}
}

// The first page's validators say nothing about the second.
func TestAListOfPagesHasNoValidators(t *testing.T) {
	o := platform.Options{
		Kind: "vtex", Vars: map[string]string{"account": "loja"},
		Transport: answering(func(r *http.Request) (*http.Response, error) {
			body := "[" + strings.Repeat(`{"productId":"1"},`, 49) + `{"productId":"2"}]`
			if r.URL.Query().Get("_from") != "0" {
				body = `[]`
			}
			response := respond(http.StatusPartialContent, body)
			response.Header.Set("ETag", `"v1"`)
			return response, nil
		}),
	}
	got, err := category(t, o, "1")
	if err != nil || len(got.IDs) != 2 || got.Validators != (platform.Validators{}) {
		t.Errorf("got %+v, %v, want two ids without validators", got, err)
	}
}

func TestAPageThatFailsFailsTheList(t *testing.T) {
	o := platform.Options{
		Kind: "vtex", Vars: map[string]string{"account": "loja"},
		Transport: answering(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("_from") != "0" {
				return respond(http.StatusBadGateway, ""), nil
			}
			return respond(http.StatusPartialContent, "["+strings.Repeat(`{"productId":"1"},`, 49)+`{"productId":"2"}]`), nil
		}),
	}
	if _, err := category(t, o, "1"); platform.KindOf(err) != platform.Status {
		t.Errorf("got %v, want the second page's error", err)
	}
}

func TestConditionalRequest(t *testing.T) {
	const modified = "Sat, 21 Nov 2026 20:00:00 GMT"
	o := custom(answering(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") == modified {
			return respond(http.StatusNotModified, ""), nil
		}
		response := respond(http.StatusOK, `{"items":[{"productId":"a"}]}`)
		response.Header.Set("ETag", `"v1"`)
		response.Header.Set("Last-Modified", modified)
		return response, nil
	}))
	client := newClient(t, o)
	q := platform.Query{List: platform.Category, ID: "1"}
	first, err := client.Fetch(t.Context(), q)
	if want := (platform.Validators{ETag: `"v1"`, LastModified: modified}); err != nil || first.Validators != want {
		t.Fatalf("got %+v, %v, want validators %+v", first, err, want)
	}
	q.Seen = first.Validators
	again, err := client.Fetch(t.Context(), q)
	if err != nil || !again.NotModified || again.Validators != q.Seen {
		t.Errorf("got %+v, %v, want not modified", again, err)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var header, query string
	client := newClient(t, platform.Options{
		Kind: "tray", Vars: map[string]string{"base": "https://shop.test", "token": "file:" + name},
		Headers: map[string]string{"X-Token": "file:" + name}, Rate: 1e9,
		Transport: answering(func(r *http.Request) (*http.Response, error) {
			header, query = r.Header.Get("X-Token"), r.URL.Query().Get("access_token")
			return respond(http.StatusOK, `{"Products":[]}`), nil
		}),
	})
	fetch := func() error {
		_, err := client.Fetch(t.Context(), platform.Query{List: platform.Category, ID: "1"})
		return err
	}
	for _, want := range []string{"first", "second"} {
		write(want + "\n")
		if err := fetch(); err != nil || header != want || query != want {
			t.Errorf("got %q and %q, %v, want %q", header, query, err, want)
		}
	}
	write("two\nlines")
	if err := fetch(); platform.KindOf(err) != platform.Refused {
		t.Errorf("got %v for a token of two lines, want refused", err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if err := fetch(); platform.KindOf(err) != platform.Refused {
		t.Errorf("got %v without the file, want refused", err)
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("our headers went to another host")
	}))
	defer elsewhere.Close()
	server := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	o := custom(nil)
	o.URL, o.Headers = server.URL+"/{id}", map[string]string{"X-Token": "secret"}
	if _, err := category(t, o, "1"); platform.KindOf(err) != platform.Status {
		t.Errorf("got %v, want the redirect's status", err)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		o := custom(answering(func(*http.Request) (*http.Response, error) {
			at = append(at, time.Since(began))
			return respond(http.StatusOK, `{"items":[]}`), nil
		}))
		o.Rate = 2
		client := newClient(t, o)
		for range 3 {
			if _, err := client.Fetch(t.Context(), platform.Query{List: platform.Category, ID: "1"}); err != nil {
				t.Fatal(err)
			}
		}
		if want := []time.Duration{0, 500 * time.Millisecond, time.Second}; !slices.Equal(at, want) {
			t.Errorf("got requests at %v, want %v", at, want)
		}
		if got := client.Quota(); got.Wait != 500*time.Millisecond || got.Left != -1 {
			t.Errorf("got %+v, want a wait of 500ms, and no daily limit", got)
		}
	})
}

func TestDailyQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // begins at midnight UTC
		o := custom(answer(http.StatusOK, `{"items":[]}`))
		o.Daily = 2
		client := newClient(t, o)
		fetch := func() error {
			_, err := client.Fetch(t.Context(), platform.Query{List: platform.Category, ID: "1"})
			return err
		}
		time.Sleep(22 * time.Hour)
		if err := errors.Join(fetch(), fetch()); err != nil {
			t.Fatal(err)
		}
		if err := fetch(); platform.KindOf(err) != platform.Exhausted {
			t.Errorf("got %v, want exhausted", err)
		}
		if got, want := client.Quota(), (platform.Quota{Wait: 2 * time.Hour}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		// Other options change nothing about what was asked today.
		other, err := client.Replace(o)
		if err != nil || other.Quota() != client.Quota() {
			t.Errorf("got %v and %+v after Replace, want the same quota", err, other.Quota())
		}
		if _, err := client.Replace(platform.Options{}); err == nil {
			t.Error("got no error for options that make no sense")
		}
		time.Sleep(2 * time.Hour)
		if err := fetch(); err != nil || client.Quota().Left != 1 {
			t.Errorf("got %v and %+v on the next day", err, client.Quota())
		}
	})
}

func TestTheListIsBounded(t *testing.T) {
	var body strings.Builder
	for i := range 10_001 {
		fmt.Fprintf(&body, `,{"productId":%d}`, i)
	}
	got, err := category(t, custom(answer(http.StatusOK, `{"items":[`+body.String()[1:]+`]}`)), "1")
	if err != nil || len(got.IDs) != 10_000 {
		t.Errorf("got %d ids, %v, want the first 10000", len(got.IDs), err)
	}
}
