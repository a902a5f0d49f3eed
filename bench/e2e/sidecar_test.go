package e2e_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vitrine/bench/fakeapi"
)

// The whole of it: the built sidecar between an API that knows nothing of the
// shopper yet and a real shop.
func TestSidecarAnswersInTheShopsOrder(t *testing.T) {
	s := startShop(t)
	api, err := fakeapi.Start(fakeapi.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	if err := api.Set(fakeapi.Fault{Answer: fakeapi.EmptyList}); err != nil {
		t.Fatal(err)
	}
	address := startSidecar(t, "--upstream.url="+api.URL(), "--upstream.token="+fakeapi.DefaultToken,
		"--platform.kind=vendure", "--platform.vars=base: "+s.base, "--platform.refresh=1s")

	dresses := s.order("dresses")
	got, source, reason := ask(t, address, "first", "dresses")
	if !slices.Equal(got, dresses) || source != "native" || reason != "empty" {
		t.Errorf("got %q from %s (%s), want the shop's own order %q from native (empty)", got, source, reason, dresses)
	}

	gone := dresses[3]
	s.disable(gone)
	want := without(dresses, gone)
	eventually(t, "the disabled product to go", func() bool {
		got, _, _ := ask(t, address, "second", "dresses")
		return slices.Equal(got, want)
	})

	s.stop()
	time.Sleep(2 * time.Second) // let a refresh fail
	if got, source, _ := ask(t, address, "third", "dresses"); !slices.Equal(got, want) || source != "native" {
		t.Errorf("got %q from %s without the shop, want its last order %q", got, source, want)
	}
	if events := len(api.Ledger()); events < 3 {
		t.Errorf("got %d events at the API, want every question to have reached it", events)
	}
}

// startSidecar builds and runs the sidecar, and returns the address of its data
// listener. It ends with the test.
func startSidecar(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "vitrine")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "vitrine/cmd/vitrine").CombinedOutput(); err != nil {
		t.Fatalf("building the sidecar: %v\n%s", err, out)
	}
	flags = append([]string{
		"serve", "--listen=127.0.0.1:0", "--probe.listen=127.0.0.1:0", "--admin.listen=127.0.0.1:0",
		"--outbox.dir=" + filepath.Join(t.TempDir(), "outbox"), "--budget=5s", "--log.format=json",
	}, flags...)
	command := exec.CommandContext(t.Context(), program, flags...)
	stderr, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	ready := make(chan string, 1)
	go func() { // ends with the process; the cleanup waits for it
		defer close(read)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Msg, Data string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == "ready" {
				ready <- line.Data
			} else {
				t.Log(lines.Text())
			}
		}
		close(ready)
	}()
	t.Cleanup(func() {
		command.Process.Kill() // it may have ended by itself
		<-read
		command.Wait() // killed
	})
	select {
	case address, ok := <-ready:
		if !ok {
			t.Fatal("the sidecar ended before it was ready")
		}
		return address
	case <-time.After(30 * time.Second):
		t.Fatal("the sidecar did not start")
		return ""
	}
}

// ask asks the sidecar for a category, as a session that nobody has seen before.
func ask(t *testing.T, address, session, category string) (products []string, source, reason string) {
	t.Helper()
	body := `{"sessionId":"` + session + `","eventType":"categoryView","data":{"id":"` + category + `"}}`
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
		"http://"+address+"/api/v1/products/protected/recommendation", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Products []string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	return answer.Products, response.Header.Get("Vitrine-Source"), response.Header.Get("Vitrine-Reason")
}
