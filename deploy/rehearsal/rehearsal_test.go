package main

import (
	"bytes"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The rehearsal passes, with a short load, and says what it found.
func TestRehearsal(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(err)
	}
	if _, err := render(t.Context(), "../kustomize/example"); errors.Is(err, errNoRenderer) {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "rehearsal")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("building the rehearsal: %v\n%s", err, out)
	}
	out, err := exec.CommandContext(t.Context(), program, "-manifest=../kustomize/example", "-dur=2s").CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("got %v, want it to pass", err)
	}
	for _, want := range []string{"vitrine serve --config=/etc/vitrine/config/vitrine.yaml", "startup probe: passed", "MiB resident", "parked in Redis", " 0 lost", "== passed"} {
		if !bytes.Contains(out, []byte(want)) {
			t.Errorf("got no %q", want)
		}
	}
}

const rendered = `kind: ConfigMap
metadata: {name: vitrine-abc}
data: {vitrine.yaml: "outbox: {dir: /var/lib/vitrine}"}
---
kind: Secret
metadata: {name: vitrine-def}
data: {token: c2VjcmV0}
---
kind: Deployment
spec:
  template:
    spec:
      initContainers:
        - name: vitrine
          restartPolicy: Always
          args: [serve]
          ports: [{name: vitrine-probe, containerPort: 8378}]
          resources: {limits: {memory: 192Mi}}
          volumeMounts:
            - {name: config, mountPath: /etc/vitrine}
            - {name: secrets, mountPath: /run/secrets}
            - {name: outbox, mountPath: /var/lib/vitrine}
      volumes:
        - {name: config, configMap: {name: vitrine-abc}}
        - {name: secrets, secret: {secretName: vitrine-def}}
        - {name: outbox, emptyDir: {}}
`

func TestReadManifest(t *testing.T) {
	t.Parallel()
	m, err := readManifest([]byte(rendered))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.files["/run/secrets"]["token"]; got != "secret" {
		t.Errorf("got the token %q, want what the Secret holds", got)
	}
	if got, want := m.below("/root", m.files["/etc/vitrine"]["vitrine.yaml"]), "outbox: {dir: /root/var/lib/vitrine}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if limit, err := m.memory(); limit != 192<<20 || err != nil {
		t.Errorf("got a limit of %d, %v, want 192 MiB", limit, err)
	}
	if port, err := m.port("vitrine-probe"); port != 8378 || err != nil {
		t.Errorf("got the port %d, %v, want 8378", port, err)
	}
	if _, err := m.port("other"); err == nil {
		t.Error("got no error for a port that is not there")
	}
	if _, err := readManifest([]byte(strings.Replace(rendered, "restartPolicy: Always", "", 1))); err == nil {
		t.Error("got no error for an init container that the shop would wait for")
	}
}
