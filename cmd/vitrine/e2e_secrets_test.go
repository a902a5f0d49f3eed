package main_test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vitrine/bench/fakeapi"
	"vitrine/internal/redistest"
)

// Nothing that must stay secret is in what the program writes for others to read.
func TestE2ESecrets(t *testing.T) {
	t.Parallel()
	const (
		session = "session-of-ana@example.com"
		user    = "52998224725"
		item    = "item-nobody-must-see"
		app     = "the-app-token"
		shop    = "the-shop-token"
	)
	api, redis, platform := newAPI(t), redistest.Start(t), newShop(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(fakeapi.DefaultToken), 0o600); err != nil {
		t.Fatal(err)
	}
	flags := append(append(withRedis(redis), platformOf(platform)...), "--platform.headers=X-Shop-Token: "+shop)
	s := start(t, api.URL(), flags...)
	guarded := start(t, api.URL(), "--upstream.token=", "--upstream.token_file="+file)

	as := `"userId":"` + user + `"`
	for _, sidecar := range []*sidecar{s, guarded} {
		for _, f := range []fakeapi.Fault{
			{}, {Status: 401}, {Status: 503}, {Status: 422}, {Answer: fakeapi.HTML}, {Answer: fakeapi.ResetAfter}, {Answer: fakeapi.EmptyList},
		} {
			sick(t, api, f)
			for _, id := range []string{item, item + "-2"} {
				sidecar.ask(productView(session, id+fmt.Sprint(f.Status, f.Answer), as))
				sidecar.ask(question(fakeapi.CategoryView, session, id, as))
			}
		}
		for _, bad := range []string{
			`{"sessionId":"` + session + `","eventType":"` + user + `","data":{"id":"` + item + `"}}`,
			`{"sessionId":"` + session + `","eventType":"productView","data":{"` + item + `":1,"` + item + `":2}}`,
			`{"sessionId":"` + session, session,
		} {
			sidecar.call(http.MethodPost, sidecar.data+recommendation, bad)
		}
		exchange(t, sidecar.addr, "POST /"+session+" HTTP/1.1\r\nHost: "+session+"\r\nVitrine-Token: "+app+"\r\n\r\n")
		exchange(t, sidecar.addr, session+" "+user+"\r\n\r\n")
		sidecar.call(http.MethodGet, sidecar.data+"/api/v1/crm/protected/profile/email/ana@example.com", "")
	}
	api.Clear()
	s.call(http.MethodDelete, s.admin+"/sessions/"+url.PathEscape(session), "")
	s.ask(productView(session, item, as))

	var seen strings.Builder
	for _, sidecar := range []*sidecar{s, guarded} {
		for _, address := range []string{
			sidecar.probes + "/metrics", sidecar.probes + "/readyz", sidecar.admin + "/", sidecar.admin + "/status.json",
			sidecar.admin + "/outbox",
		} {
			_, body := sidecar.call(http.MethodGet, address, "")
			fmt.Fprintf(&seen, "%s\n%s\n", address, body)
		}
		fmt.Fprintf(&seen, "log\n%s\n", sidecar.log)
	}
	eventually(t, "Redis holds something", func() bool { return redis.Do("DBSIZE") != "0" })
	fmt.Fprintf(&seen, "redis\n%s\n", redis.Do("EVAL", `local all = {}
		for _, key in ipairs(redis.call('KEYS', '*')) do
			all[#all + 1] = key
			local kind = redis.call('TYPE', key).ok
			if kind == 'hash' then for _, v in ipairs(redis.call('HGETALL', key)) do all[#all + 1] = v end end
			if kind == 'string' then all[#all + 1] = redis.call('GET', key) end
		end
		return table.concat(all, '\n')`, "0"))
	for _, secret := range []string{fakeapi.DefaultToken, session, "ana@example.com", user, app, shop, item} {
		if at := strings.Index(seen.String(), secret); at >= 0 {
			text := seen.String()
			t.Errorf("got %q in %q", secret, text[max(0, at-300):min(len(text), at+100)])
		}
	}
}
