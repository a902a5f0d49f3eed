package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// pod is the sidecar's container, running.
type pod struct {
	manifest manifest
	root     string // its file system, as far as there is one
	data     string // host:port
	probes   string
	process  *process
	group    group
}

// world is what a pod is started into.
type world struct {
	dir, binary      string
	redisURL, apiURL string
}

// start starts the container of a manifest with an outbox of its own, as on a new pod.
func (w world) start(m manifest, name string, g group) (*pod, error) {
	p := &pod{manifest: m, root: filepath.Join(w.dir, name), group: g}
	if err := m.mount(p.root, m.SecurityContext.RunAsUser); err != nil {
		return nil, err
	}
	var args []string
	for _, a := range m.Args {
		args = append(args, m.below(p.root, a))
	}
	command := exec.Command(w.binary, args...) //nolint:gosec,noctx // ended by stop, with a grace
	for _, e := range m.Env {
		command.Env = append(command.Env, e.Name+"="+m.below(p.root, e.Value))
	}
	command.Env = append(command.Env, "VITRINE_REDIS_URL="+w.redisURL, "VITRINE_UPSTREAM_URL="+w.apiURL)
	if err := p.address(command); err != nil {
		return nil, err
	}
	command.Dir = p.root
	command.SysProcAttr = childAttr(userOf(m.SecurityContext.RunAsUser))
	var err error
	if p.process, err = startProcess(command); err != nil {
		return nil, err
	}
	if g.dir != "" {
		err = g.add(command.Process.Pid)
	}
	return p, err
}

// address finds out where the pod listens: on the manifest's ports if they are ours.
func (p *pod) address(command *exec.Cmd) error {
	port, err := p.manifest.port(p.manifest.StartupProbe.HTTPGet.Port)
	if err != nil {
		return err
	}
	p.data, p.probes = "127.0.0.1:8377", "127.0.0.1:"+strconv.Itoa(port)
	if ownNetwork() {
		return nil
	}
	var admin string
	for name, into := range map[string]*string{"LISTEN": &p.data, "PROBE_LISTEN": &p.probes, "ADMIN_LISTEN": &admin} {
		if *into, err = freeAddress(); err != nil {
			return err
		}
		command.Env = append(command.Env, "VITRINE_"+name+"="+*into)
	}
	return nil
}

// freeAddress returns an address that nobody listens on now.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // at once
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// probe asks as the kubelet does, and returns nil if the answer is a success.
func (p *pod) probe(ctx context.Context, k probe) error {
	ctx, cancel := context.WithTimeout(ctx, k.timeout())
	defer cancel()
	_, err := get(ctx, "http://"+p.probes+k.HTTPGet.Path)
	return err
}

// client asks whatever answers at once if it answers at all.
var client = &http.Client{Timeout: 5 * time.Second} //nolint:gochecknoglobals // it holds nothing but idle connections

func get(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", url, response.Status)
	}
	return string(body), err
}

// started waits as the kubelet does before it starts the shop, and says how often it asked.
func (p *pod) started(ctx context.Context) (tries int, err error) {
	k := p.manifest.StartupProbe
	for tries = 1; tries <= k.FailureThreshold; tries++ {
		if err = p.probe(ctx, k); err == nil {
			return tries, nil
		}
		select {
		case <-ctx.Done():
			return tries, ctx.Err()
		case <-p.process.ended:
			return tries, fmt.Errorf("the sidecar ended: %w\n%s", p.process.err, p.process.log)
		case <-time.After(k.period()):
		}
	}
	return tries, fmt.Errorf("the startup probe failed %d times, and the kubelet would restart the sidecar: %w\n%s", k.FailureThreshold, err, p.process.log)
}

// metric reads one series of the pod's.
func (p *pod) metric(ctx context.Context, series string) (float64, error) {
	text, err := get(ctx, "http://"+p.probes+"/metrics")
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(text, "\n"+series+" ")
	if !found {
		return 0, fmt.Errorf("no series %s", series)
	}
	line, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseFloat(line, 64) //nolint:wrapcheck // it quotes the number
}

// process is a child that is killed when we die.
type process struct {
	command *exec.Cmd
	log     *output
	ended   chan struct{} // closed when err is known
	err     error
}

func startProcess(command *exec.Cmd) (*process, error) {
	p := &process{command: command, log: new(output), ended: make(chan struct{})}
	command.Stdout, command.Stderr = p.log, p.log
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", command.Path, err)
	}
	go func() { // ends with the process, which stop awaits
		p.err = command.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop sends SIGTERM and returns how long the process took to end, which is an error if
// that was longer than grace or ended badly.
func (p *process) stop(grace time.Duration) (time.Duration, error) {
	began := time.Now()
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.ended:
		if p.err != nil {
			return time.Since(began), fmt.Errorf("ended badly: %w\n%s", p.err, p.log)
		}
		return time.Since(began), nil
	case <-time.After(grace):
		p.kill()
		return grace, fmt.Errorf("did not end within %v\n%s", grace, p.log)
	}
}

func (p *process) kill() {
	_ = p.command.Process.Signal(syscall.SIGKILL) // it may have ended
	<-p.ended
}

// output keeps what a process wrote, as far as it may be wanted.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

const mostOutput = 64 << 10

// Write takes a piece of the log; beyond 64 KiB it is dropped.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text.Len() < mostOutput {
		o.text.Write(b)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// build builds the sidecar of this module.
func build(ctx context.Context, dir string) (string, error) {
	path := filepath.Join(dir, "vitrine")
	command := exec.CommandContext(ctx, "go", "build", "-o", path, "vitrine/cmd/vitrine") //nolint:gosec // path is ours
	if out, err := command.CombinedOutput(); err != nil {
		return "", errors.Join(fmt.Errorf("building the sidecar: %w", err), errors.New(string(out)))
	}
	return path, nil
}
