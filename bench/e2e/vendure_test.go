package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// shop is a Vendure with a catalogue of two collections, "dresses" and "shoes", of
// twelve products each.
type shop struct {
	t     *testing.T
	base  string
	token string // of the administrator, once logged in
	stop  func()
}

// startShop waits until the shop has indexed its catalogue. It ends with the test, or by stop.
func startShop(t *testing.T) *shop {
	t.Helper()
	if os.Getenv("VITRINE_E2E") == "" {
		t.Skip("VITRINE_E2E is not set")
	}
	command := exec.CommandContext(t.Context(), "node", "shop.js")
	command.Dir = "vendure"
	command.Env = append(os.Environ(), "VENDURE_DISABLE_TELEMETRY=true")
	stdin, err := command.StdinPipe() // its end is the shop's
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	command.Stderr = &complaints
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	s := &shop{t: t, stop: func() {
		if !ended {
			ended = true
			stdin.Close()          // it is killed next
			command.Process.Kill() // it may have ended by itself
			command.Wait()         // killed
		}
	}}
	t.Cleanup(s.stop)
	port, said := readyPort(stdout)
	if port == "" {
		s.stop()
		t.Fatalf("the shop did not start:\n%s\n%s", said, &complaints)
	}
	s.base = "http://127.0.0.1:" + port
	eventually(t, "the catalogue to be indexed", func() bool {
		return len(s.order("")) == 24 && len(s.order("dresses")) == 12 && len(s.order("shoes")) == 12
	})
	return s
}

// readyPort reads the shop's output up to the line that names its port, and lets
// the rest of it go by, so that the shop never blocks on it. Without such a line
// there is only what was said.
func readyPort(out io.Reader) (port, said string) {
	var log strings.Builder
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if port, ready := strings.CutPrefix(lines.Text(), "ready "); ready {
			go io.Copy(io.Discard, out) // ends with the process
			return port, ""
		}
		fmt.Fprintln(&log, lines.Text())
	}
	return "", log.String()
}

// order is the shop's own order of a collection, of everything if that is "",
// asked for in the plainest way.
func (s *shop) order(slug string) []string {
	s.t.Helper()
	filter := ""
	if slug != "" {
		filter = `collectionSlug: "` + slug + `", `
	}
	var answer struct {
		Search struct {
			Items []struct{ ProductID string }
		}
	}
	s.post("/shop-api", `{ search(input: {`+filter+`groupByProduct: true, take: 50}) { items { productId } } }`, &answer)
	var ids []string
	for _, item := range answer.Search.Items {
		ids = append(ids, item.ProductID)
	}
	return ids
}

// disable takes a product out of the shop, as its owner would.
func (s *shop) disable(id string) {
	s.t.Helper()
	var answer map[string]any
	s.post("/admin-api", `mutation { login(username: "superadmin", password: "superadmin") { __typename } }`, &answer)
	s.post("/admin-api", `mutation { updateProduct(input: {id: "`+id+`", enabled: false}) { id enabled } }`, &answer)
}

// post asks for query and reads its data. A session that the answer begins is kept.
func (s *shop) post(path, query string, data any) {
	s.t.Helper()
	body, err := json.Marshal(map[string]string{"query": query})
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if s.token != "" {
		request.Header.Set("Authorization", "Bearer "+s.token)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Data   json.RawMessage
		Errors []struct{ Message string }
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || len(answer.Errors) > 0 {
		s.t.Fatalf("%s: %v %v", query, err, answer.Errors)
	}
	if token := response.Header.Get("Vendure-Auth-Token"); token != "" {
		s.token = token
	}
	if err := json.Unmarshal(answer.Data, data); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// eventually polls until ok, for at most a minute.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func without(ids []string, id string) []string {
	return slices.DeleteFunc(slices.Clone(ids), func(have string) bool { return have == id })
}
