package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	core "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// variant is one way to deploy the sidecar, in both forms.
type variant struct {
	name       string
	components []string // of Kustomize
	values     string   // of Helm
}

func variants() []variant {
	return []variant{
		{name: "plain"},
		{name: "unix socket", components: []string{"unix-socket"}, values: "vitrine: {unixSocket: true}"},
		{name: "guaranteed", components: []string{"guaranteed"}, values: `
vitrine:
  goMaxProcs: 1
  resources:
    requests: {cpu: 500m, memory: 192Mi}
    limits: {cpu: 500m, memory: 192Mi}`},
	}
}

// forms are the ways to render every variant.
func forms() map[string]func(*testing.T) manifests {
	all := map[string]func(*testing.T) manifests{}
	for _, v := range variants() {
		all["kustomize "+v.name] = func(t *testing.T) manifests { t.Helper(); return kustomize(t, v.components...) }
		all["helm "+v.name] = func(t *testing.T) manifests { t.Helper(); return helm(t, v.values) }
	}
	return all
}

func TestBothFormsRenderTheSameSidecar(t *testing.T) {
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			k, h := kustomize(t, v.components...), helm(t, v.values)
			if got, want := text(t, h.sidecar(t)), text(t, k.sidecar(t)); got != want {
				t.Errorf("got from Helm\n%s\nwant as from Kustomize\n%s", got, want)
			}
			if got, want := text(t, volumes(h)), text(t, volumes(k)); got != want {
				t.Errorf("got from Helm\n%s\nwant as from Kustomize\n%s", got, want)
			}
			if got, want := text(t, h.monitor.Spec.PodMetricsEndpoints), text(t, k.monitor.Spec.PodMetricsEndpoints); got != want {
				t.Errorf("got from Helm\n%s\nwant as from Kustomize\n%s", got, want)
			}
			var fromHelm, fromKustomize any
			if err := yaml.Unmarshal([]byte(h.config.Data["vitrine.yaml"]), &fromHelm); err != nil {
				t.Fatal(err)
			}
			if err := yaml.Unmarshal([]byte(k.config.Data["vitrine.yaml"]), &fromKustomize); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(fromHelm, fromKustomize) {
				t.Errorf("got the configuration %v, want %v", fromHelm, fromKustomize)
			}
		})
	}
}

// volumes are those of the sidecar, without the names, which the forms make in their own way.
func volumes(m manifests) []core.Volume {
	var ours []core.Volume
	for _, v := range m.deployment.Spec.Template.Spec.Volumes {
		if v.ConfigMap != nil {
			v.ConfigMap.Name = ""
		}
		if v.Secret != nil {
			v.Secret.SecretName = ""
		}
		ours = append(ours, v)
	}
	slices.SortFunc(ours, func(a, b core.Volume) int { return strings.Compare(a.Name, b.Name) })
	return ours
}

// text is a value as YAML, environment and mounts by name: their order means nothing.
func text(t *testing.T, v any) string {
	t.Helper()
	if c, ok := v.(core.Container); ok {
		slices.SortFunc(c.Env, func(a, b core.EnvVar) int { return strings.Compare(a.Name, b.Name) })
		slices.SortFunc(c.VolumeMounts, func(a, b core.VolumeMount) int { return strings.Compare(a.Name, b.Name) })
		v = c
	}
	out, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// A native sidecar that the kubelet starts first and no readiness of which can take the
// shop out of service.
func TestSidecarIsNative(t *testing.T) {
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			c := m.sidecar(t)
			if c.RestartPolicy == nil || *c.RestartPolicy != core.ContainerRestartPolicyAlways {
				t.Errorf("got restart policy %v, want Always", c.RestartPolicy)
			}
			if c.ReadinessProbe != nil {
				t.Error("got a readiness probe, want none: it would be the pod's")
			}
			if len(c.Ports) != 1 || c.Ports[0].ContainerPort != 8378 {
				t.Fatalf("got ports %v, want 8378 alone", c.Ports)
			}
			if errs := validation.IsValidPortName(c.Ports[0].Name); len(errs) > 0 {
				t.Errorf("port name %q: %v", c.Ports[0].Name, errs)
			}
			for path, probe := range map[string]*core.Probe{"/startupz": c.StartupProbe, "/livez": c.LivenessProbe} {
				if probe == nil || probe.HTTPGet == nil {
					t.Fatalf("got no probe of %s", path)
				}
				if probe.HTTPGet.Path != path || probe.HTTPGet.Port.StrVal != c.Ports[0].Name || probe.HTTPGet.Host != "" {
					t.Errorf("got %v, want %s at port %s of the pod's address", probe.HTTPGet, path, c.Ports[0].Name)
				}
			}
			if p := c.StartupProbe; p.PeriodSeconds != 1 || p.FailureThreshold != 30 {
				t.Errorf("got startup %d s × %d, want 1 s × 30", p.PeriodSeconds, p.FailureThreshold)
			}
			if p := c.LivenessProbe; p.PeriodSeconds != 10 || p.FailureThreshold != 6 {
				t.Errorf("got liveness %d s × %d, want 10 s × 6", p.PeriodSeconds, p.FailureThreshold)
			}
		})
	}
}

func TestSidecarIsConfined(t *testing.T) {
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			got := m.sidecar(t).SecurityContext
			yes, no, user := true, false, int64(65532)
			want := &core.SecurityContext{
				RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user,
				AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes,
				Capabilities:   &core.Capabilities{Drop: []core.Capability{"ALL"}},
				SeccompProfile: &core.SeccompProfile{Type: core.SeccompProfileTypeRuntimeDefault},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestSidecarHasItsResources(t *testing.T) {
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			c := m.sidecar(t)
			if c.Resources.Requests.Cpu().IsZero() || c.Resources.Requests.Memory().IsZero() {
				t.Errorf("got requests %v, want CPU and memory: an HPA counts them", c.Resources.Requests)
			}
			limit := c.Resources.Limits.Memory()
			soft, err := resource.ParseQuantity(strings.TrimSuffix(value(c.Env, "GOMEMLIMIT"), "B"))
			if err != nil {
				t.Fatalf("GOMEMLIMIT: %v", err)
			}
			if limit.IsZero() || soft.Value() > limit.Value()*5/6 {
				t.Errorf("got GOMEMLIMIT %s of a limit of %s, want at most five sixths", soft.String(), limit)
			}
			if value(c.Env, "GOMAXPROCS") == "" {
				t.Error("got no GOMAXPROCS, want one: without it Go counts the node's processors")
			}
		})
	}
}

func value(env []core.EnvVar, name string) string {
	for _, e := range env {
		if e.Name == name {
			return e.Value
		}
	}
	return ""
}

// Every mount has its volume, every volume its object, and the socket's group is the pod's.
func TestVolumesAreThere(t *testing.T) {
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			pod := m.deployment.Spec.Template.Spec
			volumes := map[string]core.Volume{}
			for _, v := range pod.Volumes {
				volumes[v.Name] = v
			}
			for _, mount := range m.sidecar(t).VolumeMounts {
				if _, ok := volumes[mount.Name]; !ok {
					t.Errorf("got no volume %s for %s", mount.Name, mount.MountPath)
				}
			}
			if got, want := volumes["vitrine-config"].ConfigMap.Name, m.config.Name; got != want {
				t.Errorf("got the configuration from %q, want from %q", got, want)
			}
			if m.secret != nil && volumes["vitrine-secrets"].Secret.SecretName != m.secret.Name {
				t.Errorf("got the token from %q, want from %q", volumes["vitrine-secrets"].Secret.SecretName, m.secret.Name)
			}
			if _, socket := volumes["vitrine-socket"]; socket &&
				(pod.SecurityContext == nil || pod.SecurityContext.FSGroup == nil || *pod.SecurityContext.FSGroup != 65532) {
				t.Error("got a socket without the pod's fsGroup, want 65532: the shop could not open it")
			}
		})
	}
}

func TestPodMonitorFindsThePods(t *testing.T) {
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			selector, err := meta.LabelSelectorAsSelector(&m.monitor.Spec.Selector)
			if err != nil {
				t.Fatal(err)
			}
			if !selector.Matches(labels.Set(m.deployment.Spec.Template.Labels)) {
				t.Errorf("got the selector %s, want one for %v", selector, m.deployment.Spec.Template.Labels)
			}
			if got, want := *m.monitor.Spec.PodMetricsEndpoints[0].Port, m.sidecar(t).Ports[0].Name; got != want {
				t.Errorf("got the port %q, want %q", got, want)
			}
		})
	}
}

// A changed configuration must roll the pods: most of it is read at their start only.
func TestChangedConfigurationRollsThePods(t *testing.T) {
	const annotation = "checksum/vitrine"
	before, after := helm(t, ""), helm(t, "vitrine: {config: {budget: 200ms}}")
	was, is := before.deployment.Spec.Template.Annotations[annotation], after.deployment.Spec.Template.Annotations[annotation]
	if was == "" || was == is {
		t.Errorf("got %s %q and %q, want two sums", annotation, was, is)
	}
	if name := kustomize(t).config.Name; !strings.HasPrefix(name, "vitrine-") {
		t.Errorf("got the ConfigMap %q, want a hash after vitrine-", name)
	}
}

// The program accepts the configuration that the manifests give it.
func TestConfigurationIsValid(t *testing.T) {
	program := build(t)
	for name, render := range forms() {
		t.Run(name, func(t *testing.T) {
			m := render(t)
			c := m.sidecar(t)
			file := filepath.Join(t.TempDir(), "vitrine.yaml")
			if err := os.WriteFile(file, []byte(m.config.Data["vitrine.yaml"]), 0o600); err != nil {
				t.Fatal(err)
			}
			if want := "--config=/etc/vitrine/config/vitrine.yaml"; c.Args[1] != want {
				t.Errorf("got %q, want %q", c.Args[1], want)
			}
			check := exec.Command(program, "check", "--config", file)
			for _, e := range c.Env {
				check.Env = append(check.Env, e.Name+"="+e.Value)
			}
			if out, err := check.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
