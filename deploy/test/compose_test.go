package deploy_test

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// project loads the compose file as compose itself does: interpolated, checked against the
// specification's schema, and its references resolved.
func project(t *testing.T, environment ...string) (*types.Project, error) {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../compose.yaml"}, cli.WithEnv(environment), cli.WithConsistency(true))
	if err != nil {
		t.Fatal(err)
	}
	return options.LoadProject(t.Context())
}

// The sidecar of the compose file is that of the manifests, as far as compose can say it.
func TestCompose(t *testing.T) {
	t.Parallel()
	p, err := project(t, "SHOP_IMAGE=registry.example/shop:v1")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(p.Services)), []string{"redis", "shop", "vitrine"}; !slices.Equal(got, want) {
		t.Fatalf("got the services %q, want %q", got, want)
	}
	manifest := kustomize(t).sidecar(t)
	v := p.Services["vitrine"]
	if want := manifest.Resources.Limits.Memory().Value(); int64(v.MemLimit) != want {
		t.Errorf("got %d bytes of memory, want %d", v.MemLimit, want)
	}
	for _, e := range manifest.Env {
		if got := v.Environment[e.Name]; e.Name == "GOMEMLIMIT" && (got == nil || *got != e.Value) {
			t.Errorf("got %s, want %s as in the manifests", *got, e.Value)
		}
	}
	if !v.ReadOnly || v.User != "65532:65532" || !slices.Equal(v.CapDrop, []string{"ALL"}) || !slices.Contains(v.SecurityOpt, "no-new-privileges:true") {
		t.Errorf("got read-only %t, user %q, dropped %q, %q, want it confined", v.ReadOnly, v.User, v.CapDrop, v.SecurityOpt)
	}
	const ends = 10 * time.Second // the sidecar's promise
	if grace := v.StopGracePeriod; grace == nil || time.Duration(*grace) <= ends {
		t.Errorf("got a grace of %v, want more than %v", grace, ends)
	}
	if len(v.Ports) > 0 || len(v.Volumes) != 1 || v.Volumes[0].Target != "/var/lib/vitrine" || len(v.Secrets) != 1 {
		t.Errorf("got ports %v, volumes %v and secrets %v, want none, the outbox and the token", v.Ports, v.Volumes, v.Secrets)
	}
	if token := p.Secrets[v.Secrets[0].Source].File; filepath.Base(token) != "token" {
		t.Errorf("got the token from %q, want deploy/token", token)
	}
	for _, port := range p.Services["shop"].Ports {
		if port.Target == 8378 && port.HostIP != "127.0.0.1" {
			t.Errorf("got the probes on %q, want them on loopback", port.HostIP)
		}
	}
}

// Without the shop's image the file says what is missing.
func TestComposeNeedsTheShop(t *testing.T) {
	t.Parallel()
	if p, err := project(t); err == nil {
		t.Errorf("got %v, want an error that names SHOP_IMAGE", p.Services)
	}
}
