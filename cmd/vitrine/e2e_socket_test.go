package main_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestE2EUnixSocket(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	path := filepath.Join(t.TempDir(), "v.sock")
	s := start(t, api.URL(), "--listen=unix:"+path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o660 {
		t.Errorf("got mode %o, want 660", got)
	}
	for _, host := range []string{"localhost", "shop.example", "v.sock", "10.0.0.1:80"} {
		if resp, body := exchange(t, path, withHost("Host: "+host)); resp.StatusCode != http.StatusOK {
			t.Errorf("Host %s: got %d %s, want 200", host, resp.StatusCode, body)
		}
	}
	if resp, _ := exchange(t, path, post(good, "Origin: https://shop.example")); resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %d for a browser, want 403 over a socket too", resp.StatusCode)
	}
	if status, body := s.call(http.MethodGet, s.probes+"/livez", ""); status != http.StatusOK {
		t.Errorf("/livez: got %d %s, want 200", status, body)
	}

	second := launch(t, api.URL(), "--listen=unix:"+path)
	if code := second.ends(); code != 1 || !strings.Contains(second.log.String(), path) {
		t.Errorf("a socket in use: got exit code %d and %s, want 1 and an error that names it", code, second.log)
	}
	if resp, _ := exchange(t, path, post(good)); resp.StatusCode != http.StatusOK {
		t.Errorf("got %d after another process has tried, want 200", resp.StatusCode)
	}

	s.kill() // leaves its file behind
	start(t, api.URL(), "--listen=unix:"+path)
	if resp, _ := exchange(t, path, post(good)); resp.StatusCode != http.StatusOK {
		t.Errorf("a dead socket: got %d, want it replaced", resp.StatusCode)
	}
}

// What is no socket is nobody's to remove, and an address in use is an error, not a wait.
func TestE2EAddressInUse(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, flag := range []string{
		"--listen=unix:" + file, "--listen=" + taken.Addr().String(), "--probe.listen=" + taken.Addr().String(), "--admin.listen=" + taken.Addr().String(),
	} {
		s := launch(t, api.URL(), flag)
		if code := s.ends(); code != 1 {
			t.Errorf("%s: got exit code %d, want 1", flag, code)
		}
		_, address, _ := strings.Cut(flag, "=")
		if log := s.log.String(); !strings.Contains(log, strings.TrimPrefix(address, "unix:")) {
			t.Errorf("%s: got %s, want an error that names it", flag, log)
		}
	}
	if content, err := os.ReadFile(file); err != nil || string(content) != "precious" {
		t.Errorf("got %q, %v, want the file left alone", content, err)
	}
}

// With an app token every request must carry it; the probes' self-call does.
func TestE2EAppToken(t *testing.T) {
	t.Parallel()
	api := newAPI(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("open sesame\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := start(t, api.URL(), "--security.app_token_file="+file, "--security.allowed_origins=https://shop.example",
		"--security.allowed_hosts=vitrine.shop,shop:8377", "--security.allow_forwarded=true")
	for request, want := range map[string]int{
		post(good):                               http.StatusForbidden,
		post(good, "Vitrine-Token: open sesam"):  http.StatusForbidden,
		post(good, "Vitrine-Token: open sesame"): http.StatusOK,
		post(good, "Vitrine-Token: open sesame", "Origin: https://shop.example"):                              http.StatusOK,
		post(good, "Vitrine-Token: open sesame", "Origin: https://shop.example.evil"):                         http.StatusForbidden,
		post(good, "Vitrine-Token: open sesame", "X-Forwarded-For: 10.1.1.1"):                                 http.StatusOK,
		post(good, "Vitrine-Token: open sesame", "Forwarded: for=10.1.1.1"):                                   http.StatusOK,
		withHost("Host: vitrine.shop", "Vitrine-Token: open sesame"):                                          http.StatusOK,
		withHost("Host: VITRINE.shop:1", "Vitrine-Token: open sesame"):                                        http.StatusOK,
		withHost("Host: shop:8377", "Vitrine-Token: open sesame"):                                             http.StatusOK,
		withHost("Host: shop:8378", "Vitrine-Token: open sesame"):                                             http.StatusForbidden,
		post(good, "Vitrine-Token: open sesame", "Origin: https://shop.example", "Sec-Fetch-Site: same-site"): http.StatusOK,
	} {
		if resp, body := exchange(t, s.addr, request); resp.StatusCode != want {
			t.Errorf("%s: got %d %s, want %d", request, resp.StatusCode, body, want)
		}
	}
	if status, body := s.call(http.MethodGet, s.probes+"/livez", ""); status != http.StatusOK {
		t.Errorf("/livez: got %d %s, want 200", status, body)
	}
}
