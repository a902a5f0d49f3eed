// Package deploy_test checks the Kubernetes manifests without a cluster: both forms are
// rendered as their own tools would, decoded strictly into the types of the API server,
// and compared with each other.
//
// It is a module of its own, because those types are none of the sidecar's business.
package deploy_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// manifests are what one rendering gives, decoded.
type manifests struct {
	deployment *apps.Deployment
	config     *core.ConfigMap
	secret     *core.Secret // Helm makes none
	monitor    *monitoring.PodMonitor
	policy     *networking.NetworkPolicy // of the Kustomize example only
}

// decode reads a stream of documents; a field that the API server does not know is an error.
func decode(t *testing.T, stream string) manifests {
	t.Helper()
	var m manifests
	for document := range strings.SplitSeq(stream, "\n---\n") {
		var head struct{ Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		var into any
		switch head.Kind {
		case "":
			continue // nothing but comments
		case "Deployment":
			m.deployment = new(apps.Deployment)
			into = m.deployment
		case "ConfigMap":
			m.config = new(core.ConfigMap)
			into = m.config
		case "Secret":
			m.secret = new(core.Secret)
			into = m.secret
		case "PodMonitor":
			m.monitor = new(monitoring.PodMonitor)
			into = m.monitor
		case "NetworkPolicy":
			m.policy = new(networking.NetworkPolicy)
			into = m.policy
		default:
			t.Fatalf("got a %s, want only what decode knows", head.Kind)
		}
		// As the API server does: names are told apart by case, too.
		plain, err := yaml.YAMLToJSONStrict([]byte(document))
		if err != nil {
			t.Fatalf("%s: %v", head.Kind, err)
		}
		strict, err := json.UnmarshalStrict(plain, into)
		if err := errors.Join(append(strict, err)...); err != nil {
			t.Errorf("%s: %v", head.Kind, err)
		}
	}
	if m.deployment == nil || m.config == nil || m.monitor == nil {
		t.Fatalf("got %+v, want a Deployment, a ConfigMap and a PodMonitor in\n%s", m, stream)
	}
	return m
}

// sidecar returns the container, which must be the first of the init containers, so that
// the shop's own init containers can use it.
func (m manifests) sidecar(t *testing.T) core.Container {
	t.Helper()
	all := m.deployment.Spec.Template.Spec.InitContainers
	if len(all) == 0 || all[0].Name != "vitrine" {
		t.Fatalf("got init containers %v, want vitrine first", all)
	}
	return all[0]
}

// kustomize renders the example with further components beside its own.
func kustomize(t *testing.T, components ...string) manifests {
	t.Helper()
	root, err := filepath.Abs("../kustomize")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	to := func(name string) string {
		// Kustomize wants relative paths, and none through a symbolic link.
		from, err := filepath.EvalSymlinks(dir)
		if err != nil {
			t.Fatal(err)
		}
		path, err := filepath.Rel(from, filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	var k strings.Builder
	fmt.Fprintf(&k, "resources: [%s]\ncomponents:\n", to("example"))
	for _, c := range components {
		fmt.Fprintf(&k, "- %s\n", to(c))
	}
	if len(components) == 0 {
		k.Reset()
		fmt.Fprintf(&k, "resources: [%s]\n", to("example"))
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(k.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatalf("kustomize: %v", err)
	}
	stream, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, string(stream))
}

// helm renders the example chart with values over its own.
func helm(t *testing.T, values string) manifests {
	t.Helper()
	shop, err := loader.Load("../helm/example")
	if err != nil {
		t.Fatal(err)
	}
	library, err := loader.Load("../helm/vitrine")
	if err != nil {
		t.Fatal(err)
	}
	shop.AddDependency(library) // what `helm dependency update` does on disk
	given := chartutil.Values{}
	if err := yaml.UnmarshalStrict([]byte(values), &given); err != nil {
		t.Fatal(err)
	}
	if err := chartutil.ProcessDependencies(shop, given); err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(shop, given, chartutil.ReleaseOptions{Name: "shop", Namespace: "default"}, chartutil.DefaultCapabilities)
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Engine{Strict: true}.Render(shop, all)
	if err != nil {
		t.Fatalf("helm: %v", err)
	}
	var stream bytes.Buffer
	for name, content := range files {
		if strings.HasSuffix(name, ".yaml") {
			fmt.Fprintf(&stream, "%s\n---\n", content)
		}
	}
	return decode(t, stream.String())
}
