package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// container is what is used of the sidecar's container.
type container struct {
	Name  string
	Args  []string
	Env   []struct{ Name, Value string }
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	RestartPolicy   string `yaml:"restartPolicy"`
	StartupProbe    probe  `yaml:"startupProbe"`
	LivenessProbe   probe  `yaml:"livenessProbe"`
	SecurityContext struct {
		RunAsUser int `yaml:"runAsUser"`
	} `yaml:"securityContext"`
	Resources struct {
		Limits struct{ Memory string }
	}
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

// probe is an HTTP probe of the kubelet. Zero stands for the kubelet's own default.
type probe struct {
	HTTPGet struct {
		Path string
		Port string
	} `yaml:"httpGet"`
	PeriodSeconds    int `yaml:"periodSeconds"`
	TimeoutSeconds   int `yaml:"timeoutSeconds"`
	FailureThreshold int `yaml:"failureThreshold"`
}

func (p probe) timeout() time.Duration { return time.Duration(max(p.TimeoutSeconds, 1)) * time.Second }

func (p probe) period() time.Duration { return time.Duration(max(p.PeriodSeconds, 1)) * time.Second }

// document is any of the rendered ones.
type document struct {
	Kind     string
	Metadata struct{ Name string }
	Data     map[string]string
	Spec     struct {
		Template struct {
			Spec struct {
				InitContainers                []container `yaml:"initContainers"`
				TerminationGracePeriodSeconds int         `yaml:"terminationGracePeriodSeconds"`
				Volumes                       []struct {
					Name      string
					ConfigMap struct{ Name string } `yaml:"configMap"`
					Secret    struct {
						SecretName string `yaml:"secretName"`
					}
				}
			}
		}
	}
}

// manifest is the sidecar as the cluster would run it.
type manifest struct {
	container

	grace time.Duration                // to end in, shop and sidecar together
	files map[string]map[string]string // by mount path; of an emptyDir, none
}

// render returns the manifests of a folder as kubectl makes them.
func render(ctx context.Context, dir string) ([]byte, error) {
	for _, tool := range [][]string{{"kubectl", "kustomize", dir}, {"kustomize", "build", dir}} {
		path, err := exec.LookPath(tool[0])
		if err != nil {
			continue
		}
		var problems bytes.Buffer
		command := exec.CommandContext(ctx, path, tool[1:]...) //nolint:gosec // one of the two
		command.Stderr = &problems
		out, err := command.Output()
		if err != nil {
			return nil, fmt.Errorf("rendering %s: %w\n%s", dir, err, problems.Bytes())
		}
		return out, nil
	}
	return nil, errNoRenderer
}

var errNoRenderer = errors.New("neither kubectl nor kustomize is here: install one of them")

// readManifest finds the sidecar, and what its volumes hold, in a stream of documents.
func readManifest(stream []byte) (manifest, error) {
	var pod document
	files := make(map[string]map[string]string) // by name of the ConfigMap or Secret
	for text := range bytes.SplitSeq(stream, []byte("\n---\n")) {
		var d document
		if err := yaml.Unmarshal(text, &d); err != nil {
			return manifest{}, fmt.Errorf("reading the manifest: %w", err)
		}
		switch d.Kind {
		case "Deployment":
			pod = d
		case "ConfigMap":
			files[d.Metadata.Name] = d.Data
		case "Secret":
			if err := decode(d.Data); err != nil {
				return manifest{}, err
			}
			files[d.Metadata.Name] = d.Data
		}
	}
	spec := pod.Spec.Template.Spec
	if len(spec.InitContainers) == 0 || spec.InitContainers[0].Name != "vitrine" || spec.InitContainers[0].RestartPolicy != "Always" {
		return manifest{}, errors.New("the first init container is not vitrine with restartPolicy Always")
	}
	const graceByDefault = 30 // seconds; the API server's
	grace := spec.TerminationGracePeriodSeconds
	if grace == 0 {
		grace = graceByDefault
	}
	m := manifest{
		container: spec.InitContainers[0],
		grace:     time.Duration(grace) * time.Second,
		files:     make(map[string]map[string]string),
	}
	for _, mount := range m.VolumeMounts {
		for _, v := range spec.Volumes {
			if v.Name == mount.Name {
				m.files[mount.MountPath] = files[v.ConfigMap.Name+v.Secret.SecretName] // a volume has one of them
			}
		}
	}
	return m, nil
}

// decode replaces a Secret's values by what they stand for.
func decode(data map[string]string) error {
	for name, value := range data {
		plain, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return fmt.Errorf("reading the secret %s: %w", name, err)
		}
		data[name] = string(plain)
	}
	return nil
}

// mount writes the volumes below root. Of the example's, the empty one is the outbox, which
// belongs to the user.
func (m manifest) mount(root string, uid int) error {
	for path, files := range m.files {
		dir := filepath.Join(root, path)
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // read by another user
			return fmt.Errorf("mounting: %w", err)
		}
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(m.below(root, content)), 0o644); err != nil { //nolint:gosec // read by another user
				return fmt.Errorf("mounting: %w", err)
			}
		}
		if files == nil && userOf(uid) != nil {
			if err := os.Chown(dir, uid, uid); err != nil {
				return fmt.Errorf("mounting: %w", err)
			}
		}
	}
	return nil
}

// below moves the paths of the volumes that a text names below root.
func (m manifest) below(root, text string) string {
	for path := range m.files {
		text = strings.ReplaceAll(text, path, root+path)
	}
	return text
}

// memory is the limit in bytes, 0 without one.
func (m manifest) memory() (int64, error) {
	text := m.Resources.Limits.Memory
	if text == "" {
		return 0, nil
	}
	for suffix, unit := range map[string]int64{"Mi": 1 << 20, "Gi": 1 << 30} {
		if number, found := strings.CutSuffix(text, suffix); found {
			n, err := strconv.ParseInt(number, 10, 64)
			return n * unit, err //nolint:wrapcheck // it quotes the number
		}
	}
	return 0, fmt.Errorf("got a memory limit of %s, want Mi or Gi", text)
}

// port is the number that a named port of the container has.
func (m manifest) port(name string) (int, error) {
	for _, p := range m.Ports {
		if p.Name == name {
			return p.ContainerPort, nil
		}
	}
	return 0, fmt.Errorf("a probe asks the port %q, which the container does not have", name)
}
