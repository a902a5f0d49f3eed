package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Options says which sidecar is wanted.
type Options struct {
	Binary   string            // path of a built vitrine
	Upstream string            // URL of the API
	Token    string            // for the API
	Redis    string            // redis.url; empty is none
	Outbox   string            // folder of the journal; empty is one that goes with the sidecar
	Unix     bool              // listen on a unix socket
	Env      map[string]string // further configuration: VITRINE_… names and values
	CPUs     string            // processors it may use, as taskset has it; empty is all

	Disk       int64  // bytes of a disk of its own for the journal, see CanMount; 0 is none
	Device     bool   // the disk is a device's, which BreakDisk can break, see CanMountDevice
	NameServer string // address of the one it asks, see CanReplaceResolver; empty is the machine's
}

// Sidecar is a running vitrine.
type Sidecar struct {
	opts   Options
	dir    string
	p      *process
	took   time.Duration
	data   string
	probes string
	admin  string
	http   *http.Client
}

// readyLine is the log line that tells the addresses.
type readyLine struct {
	Msg    string `json:"msg"`
	Data   string `json:"data"`
	Probes string `json:"probes"`
	Admin  string `json:"admin"`
}

// StartSidecar starts a sidecar on free ports and waits until it says it is ready.
func StartSidecar(ctx context.Context, o Options) (*Sidecar, error) {
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return nil, err
	}
	s := &Sidecar{opts: o, dir: dir, http: &http.Client{Timeout: 5 * time.Second}}
	if s.opts.Outbox == "" {
		s.opts.Outbox = filepath.Join(dir, "outbox")
	}
	if err := s.start(ctx); err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Sidecar) start(ctx context.Context) error {
	ready := make(chan readyLine, 1)
	watch := func(line string) {
		var l readyLine
		if strings.Contains(line, `"ready"`) && json.Unmarshal([]byte(line), &l) == nil && l.Msg == "ready" {
			select {
			case ready <- l:
			default:
			}
		}
	}
	mounts, err := s.mounts(ctx)
	if err != nil {
		return err
	}
	command := inWorld(mounts, []string{s.opts.Binary, "serve"})
	if s.opts.CPUs != "" {
		command = append([]string{"taskset", "-c", s.opts.CPUs}, command...)
	}
	cmd := exec.Command(command[0], command[1:]...) //nolint:noctx // ended by Close, with a grace
	cmd.Env, cmd.Dir = s.environ(), s.dir
	began := time.Now()
	p, err := startProcess(cmd, watch)
	if err != nil {
		return err
	}
	s.p = p
	select {
	case l := <-ready:
		s.took = time.Since(began)
		s.data, s.probes, s.admin = l.Data, l.Probes, l.Admin
		if s.opts.Unix {
			s.data = "unix:" + s.socket()
		}
		return nil
	case <-p.done:
		err = errors.New("the sidecar ended at once")
	case <-time.After(startGrace):
		err = errors.New("the sidecar does not get ready")
	case <-ctx.Done():
		err = ctx.Err()
	}
	_ = p.stop(0)
	return fmt.Errorf("%w:\n%s", err, p.log)
}

func (s *Sidecar) socket() string { return filepath.Join(s.dir, "data.sock") }

// environ is our own environment without its VITRINE_ names, and the options.
func (s *Sidecar) environ() []string {
	listen := "127.0.0.1:0"
	if s.opts.Unix {
		listen = "unix:" + s.socket()
	}
	set := map[string]string{
		"VITRINE_LISTEN":         listen,
		"VITRINE_PROBE_LISTEN":   "127.0.0.1:0",
		"VITRINE_ADMIN_LISTEN":   "127.0.0.1:0",
		"VITRINE_UPSTREAM_URL":   s.opts.Upstream,
		"VITRINE_UPSTREAM_TOKEN": s.opts.Token,
		"VITRINE_OUTBOX_DIR":     s.opts.Outbox,
		"VITRINE_LOG_FORMAT":     "json",
	}
	if s.opts.NameServer != "" {
		set["GODEBUG"] = "netdns=go" // which reads resolv.conf itself, whatever it was built with
	}
	if s.opts.Redis != "" {
		set["VITRINE_REDIS_URL"] = s.opts.Redis
	}
	maps.Copy(set, s.opts.Env)
	environ := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "VITRINE_") })
	for _, name := range slices.Sorted(maps.Keys(set)) {
		environ = append(environ, name+"="+set[name])
	}
	return environ
}

// Addr is its data listener: host:port or unix:PATH.
func (s *Sidecar) Addr() string { return s.data }

// Probes is the host:port of its probe listener.
func (s *Sidecar) Probes() string { return s.probes }

// Started is how long it took to be ready.
func (s *Sidecar) Started() time.Duration { return s.took }

// Outbox is the folder of its journal.
func (s *Sidecar) Outbox() string { return s.opts.Outbox }

// Log returns the last lines it logged.
func (s *Sidecar) Log() string { return s.p.log.String() }

// Running reports whether the process is there.
func (s *Sidecar) Running() bool { return s.p.running() }

// Usage is what it uses now.
func (s *Sidecar) Usage() Usage { return usageOf(s.p.cmd.Process.Pid) }

// Signal sends it a signal.
func (s *Sidecar) Signal(sig os.Signal) error { return s.p.signal(sig) }

// Kill ends it at once, with no chance to finish anything.
func (s *Sidecar) Kill() { _ = s.p.signal(syscall.SIGKILL); <-s.p.done }

// Stop tells it to end and waits; an error means that it took more than the ten
// seconds it promises, or ended otherwise than it should.
func (s *Sidecar) Stop() error {
	if err := s.p.stop(12 * time.Second); err != nil {
		return err
	}
	if s.p.err != nil {
		return fmt.Errorf("the sidecar ended badly: %w\n%s", s.p.err, s.p.log)
	}
	return nil
}

// Restart starts a sidecar in the place of this one, which has ended, with the same
// journal and other addresses. Only the new one is closed.
func (s *Sidecar) Restart(ctx context.Context) (*Sidecar, error) {
	successor := &Sidecar{opts: s.opts, dir: s.dir, http: s.http}
	if err := successor.start(ctx); err != nil {
		return nil, err
	}
	return successor, nil
}

// Close stops it if it runs, and removes its folder.
func (s *Sidecar) Close() error {
	var err error
	if s.Running() {
		err = s.Stop()
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// Live returns nil if /livez answers 200, else why not.
func (s *Sidecar) Live(ctx context.Context) error {
	status, body, err := s.get(ctx, "/livez")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/livez: %d %.200s", status, body)
	}
	return err
}

func (s *Sidecar) get(ctx context.Context, path string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.probes+path, http.NoBody)
	if err != nil {
		return 0, nil, err
	}
	response, err := s.http.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4<<20))
	return response.StatusCode, body, err
}

// Override sets a breaker by hand, as an operator does on the admin listener.
func (s *Sidecar) Override(ctx context.Context, name, state string, length time.Duration) error {
	body := fmt.Sprintf(`{"state":%q,"for":%q}`, state, length)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.admin+"/breaker/"+name, strings.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := s.http.Do(request)
	if err != nil {
		return fmt.Errorf("overriding the breaker: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<10))
		return fmt.Errorf("overriding the breaker: %s: %s", response.Status, text)
	}
	return nil
}
