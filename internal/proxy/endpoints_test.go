package proxy_test

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/lists"
	"vitrine/internal/profile"
	"vitrine/internal/proxy"
	"vitrine/internal/reco"
)

// All shelves of a page wait side by side, under the page's one budget.
func TestPageBudgets(t *testing.T) {
	shelf := `{"sessionId":"s","eventType":"productView","data":{"id":"a"}}`
	short := `{"sessionId":"s","eventType":"productView","data":{"id":"b"},"vitrine":{"budgetMs":10}}`
	long := `{"sessionId":"s","eventType":"productView","data":{"id":"c"},"vitrine":{"budgetMs":5000}}`
	for body, want := range map[string]time.Duration{
		`{"events":[` + shelf + `,` + short + `]}`:                    300 * time.Millisecond,
		`{"events":[` + short + `]}`:                                  10 * time.Millisecond,
		`{"events":[` + long + `]}`:                                   300 * time.Millisecond,
		`{"events":[` + shelf + `,` + long + `],"budgetMs":40}`:       40 * time.Millisecond,
		`{"events":[` + shelf + `,` + short + `],"budgetMs":1000000}`: 1500 * time.Millisecond,
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.api.took = 5 * time.Second
			began := time.Now()
			got := r.send("POST", "/v1/page", body)
			if took := time.Since(began); got.status != 200 || took != want {
				t.Errorf("%s: got %d after %v, want 200 after %v", body, got.status, took, want)
			}
			if shelves := strings.Count(got.body, `"source":"none","reason":"timeout","event":"`); shelves != len(r.seen) || shelves == 0 {
				t.Errorf("%s: got %s, and %d shelves observed", body, got.body, len(r.seen))
			}
		})
	}
}

func TestStock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newRig(t).send("POST", "/v1/stock", `[]`).problem(t, 404)

		var told []reco.Stock
		r := newRig(t, func(_ *rig, o *proxy.Options) {
			o.Stock = func(ctx context.Context, levels []reco.Stock) {
				if _, bounded := ctx.Deadline(); !bounded {
					t.Error("got no deadline for telling of stock")
				}
				told = levels
			}
		})
		if got := r.send("POST", "/v1/stock", `[{"id":7,"quantity":0},{"id":"b","quantity":12,"x":1}]`); got.status != 204 || got.body != "" {
			t.Errorf("got %d %q, want 204", got.status, got.body)
		}
		if len(told) != 2 || told[0] != (reco.Stock{ID: "7"}) || told[1] != (reco.Stock{ID: "b", Quantity: 12}) {
			t.Errorf("got %+v told", told)
		}
		if got := r.send("POST", "/v1/stock", `[{"id":"b","quantity":-1}]`).problem(t, 400); !strings.HasPrefix(got, "[0].quantity") {
			t.Errorf("got %q, want the member named", got)
		}
	})
}

func TestProfile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path = "/api/v1/crm/protected/profile/"
		newRig(t).send("GET", path+"email/a@b.c", "").problem(t, 404)

		var asked []string
		answer := profile.Answer{Status: 404, Body: []byte(`{"message":"Profile not found"}`), JSON: true, Source: reco.FromStale, Reason: reco.Timeout, Age: 90 * time.Second}
		r := newRig(t, func(_ *rig, o *proxy.Options) {
			o.Profile = func(kind, value string, forced bool) profile.Answer {
				asked = []string{kind, value}
				if forced {
					asked = append(asked, "anew")
				}
				return answer
			}
		})
		for _, c := range []struct{ path, header, asked string }{
			{"email/ana%40b.c%2f", "x", "email ana%40b.c%2f"},
			{"phone/55/11", "no-cache", "phone 55/11 anew"},
			{"document", "max-age=0, No-Cache", "document  anew"},
			{"document/1", "no-cached", "document 1"},
		} {
			got := r.send("GET", path+c.path, "", "Cache-Control", c.header)
			if joined := strings.Join(asked, " "); joined != c.asked {
				t.Errorf("%s: got %q asked, want %q", c.path, joined, c.asked)
			}
			if got.status != 404 || got.body != string(answer.Body) || got.header("Content-Type") != "application/json" ||
				got.source() != "stale timeout" || got.header("Age") != "90" {
				t.Errorf("%s: got %d %s, %s, Age %s", c.path, got.status, got.body, got.source(), got.header("Age"))
			}
		}
		got := r.send("POST", path+"email/a@b.c", "")
		if got.problem(t, 405); got.header("Allow") != "GET" {
			t.Errorf("got Allow %q, want GET", got.header("Allow"))
		}
		r.send("GET", path, "").problem(t, 404)
		if got := r.Stats().Refused; got != 2 {
			t.Errorf("got %d refusals counted, want 2", got)
		}
		answer = profile.Answer{Status: 503, Detail: "nothing to serve", RetryAfter: 1500 * time.Millisecond}
		got = r.send("GET", path+"email/a@b.c", "")
		if detail := got.problem(t, 503); detail != "nothing to serve" || got.header("Retry-After") != "2" {
			t.Errorf("got %q, Retry-After %q, want it rounded up", detail, got.header("Retry-After"))
		}
	})
}

// shelf answers for one list, and says what it was asked.
type shelf struct{ asked string }

func (s *shelf) Serves(path string) (lists.Kind, string, bool) {
	return lists.Search, "POST", strings.HasPrefix(path, "/list/")
}

func (s *shelf) Answer(kind lists.Kind, r lists.Request) lists.Answer {
	s.asked = fmt.Sprint(kind, " ", r.Path, " ", r.Query, " ", string(r.Body), " ", r.Forced)
	if r.Query == "bad" {
		return lists.Answer{Status: 400, Detail: "limit: is bad"}
	}
	return lists.Answer{Status: 200, Body: []byte(`{ }`), JSON: true, Source: reco.FromStale, Reason: reco.Empty, Age: time.Minute}
}

func TestLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		newRig(t).send("POST", "/list/a", "").problem(t, 404)

		s := new(shelf)
		r := newRig(t, func(_ *rig, o *proxy.Options) { o.Lists = s })
		got := r.send("POST", "/list/a%2Fb?q=%20+&p", `{}`, "Cache-Control", "no-cache")
		if want := "search /list/a%2Fb q=%20+&p {} true"; s.asked != want {
			t.Errorf("got %q asked, want %q", s.asked, want)
		}
		if got.status != 200 || got.body != `{ }` || got.source() != "stale empty" || got.header("Age") != "60" || got.header("Content-Type") != "application/json" {
			t.Errorf("got %d %s, %s, Age %s", got.status, got.body, got.source(), got.header("Age"))
		}
		if detail := r.send("POST", "/list/a?bad", "").problem(t, 400); detail != "limit: is bad" {
			t.Errorf("got %q, want the member named", detail)
		}
		s.asked = ""
		r.send("POST", "/list/a", "{}", "Content-Type", "text/plain").problem(t, 415)
		got = r.send("GET", "/list/a", "")
		if got.problem(t, 405); got.header("Allow") != "POST" || s.asked != "" {
			t.Errorf("got Allow %q, want POST; asked %q, want nothing", got.header("Allow"), s.asked)
		}
		r.send("POST", "/list", "").problem(t, 404)
	})
}

// Whatever a Host holds, it passes only if another reader finds loopback in it too.
func FuzzHost(f *testing.F) {
	for _, host := range []string{
		"localhost", "localhost:1", "LocalHost.", "127.0.0.1", "127.1.2.3:80", "[::1]", "[::1]:80", "::1", "[::ffff:127.0.0.1]", "evil.example",
		"localhost.evil.example", "localhost@evil.example", "[::1", "::1]", "127.0.0.1:evil", "127.1", "0x7f.0.0.1", "[::1%25lo]", "localhost:80:80", " localhost",
	} {
		f.Add(host)
	}
	r := newRig(f)
	f.Fuzz(func(t *testing.T, host string) {
		if r.send("POST", "/nothing", "", "Host", host).status != 404 {
			return
		}
		u, err := url.Parse("http://" + strings.Trim(host, " \t\r\n"))
		if err != nil {
			t.Fatalf("got %q let in, which is no host: %v", host, err)
		}
		name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
		ip, err := netip.ParseAddr(name)
		if name != "localhost" && (err != nil || !ip.IsLoopback() && !ip.Unmap().IsLoopback()) {
			t.Errorf("got %q let in, want only loopback", host)
		}
	})
}
