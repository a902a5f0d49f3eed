package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
)

// rehearsal is one life of a pod, and what it stands on.
type rehearsal struct {
	world

	opt     options
	out     io.Writer
	m       manifest
	limit   int64 // of memory
	redis   *rig.Redis
	api     *process
	control string // of the API
	pod     *pod
	shop    *shop
}

// promised is how long the sidecar says it takes to end, at most.
const promised = 10 * time.Second

// patience bounds waits for what must come.
const patience = 30 * time.Second

func rehearse(ctx context.Context, o options, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "vitrine-rehearsal-")
	if err != nil {
		return err //nolint:wrapcheck // it names the folder
	}
	r := &rehearsal{opt: o, out: out, world: world{dir: dir, binary: o.binary}}
	defer func() { err = errors.Join(err, r.clear()) }()
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"the manifest", r.prepare},
		{"the sidecar starts; there is neither Redis nor API", r.startPod},
		{"the shop starts; there is neither Redis nor API", r.startShop},
		{"Redis and the API come", r.startBacking},
		{"the bench's steady load", r.load},
		{"the API goes; the shop is told to end, then the sidecar", r.endPod},
		{"another pod takes over; the API comes back", r.takeOver},
	} {
		fmt.Fprintf(out, "== %s\n", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	fmt.Fprintln(out, "== passed")
	return nil
}

func (r *rehearsal) say(format string, args ...any) { fmt.Fprintf(r.out, "   "+format+"\n", args...) }

// clear ends whatever still runs.
func (r *rehearsal) clear() error {
	if r.pod != nil {
		r.pod.process.kill()
		r.pod.group.remove()
	}
	if r.api != nil {
		r.api.kill()
	}
	if r.redis != nil && r.redis.Running() {
		_ = r.redis.Close() // nothing is kept
	}
	return os.RemoveAll(r.dir) //nolint:wrapcheck // it names the folder
}

// prepare renders the manifest and finds addresses for what it names.
func (r *rehearsal) prepare(ctx context.Context) error {
	stream, err := render(ctx, r.opt.manifest)
	if err != nil {
		return err
	}
	if r.m, err = readManifest(stream); err != nil {
		return err
	}
	if r.limit, err = r.m.memory(); err != nil {
		return err
	}
	if err := os.Chmod(r.dir, 0o755); err != nil { //nolint:gosec // the sidecar runs as another user
		return err //nolint:wrapcheck // it names the folder
	}
	if r.binary == "" {
		if r.binary, err = build(ctx, r.dir); err != nil {
			return err
		}
	}
	if r.redis, err = rig.StartRedis(ctx); err != nil { // for its address
		return err //nolint:wrapcheck // it says what it starts
	}
	if err := r.redis.Kill(); err != nil {
		return err //nolint:wrapcheck // it says what it ends
	}
	api, err := freeAddress()
	if err != nil {
		return err
	}
	if r.control, err = freeAddress(); err != nil {
		return err
	}
	r.redisURL, r.apiURL = r.redis.URL(), "http://"+api
	network, user := "processes of this network", "as we are"
	if ownNetwork() {
		network = "processes in a network namespace of their own"
	}
	if userOf(r.m.SecurityContext.RunAsUser) != nil {
		user = fmt.Sprint("as user ", r.m.SecurityContext.RunAsUser)
	}
	r.say("rendered: vitrine %s, %d variables, %d volumes, at most %d MiB", strings.Join(r.m.Args, " "), len(r.m.Env), len(r.m.VolumeMounts), r.limit>>20)
	r.say("run as: %s, the sidecar %s; Redis is %s, the API %s", network, user, r.redisURL, r.apiURL)
	return nil
}

func (r *rehearsal) startPod(ctx context.Context) error {
	g, err := newGroup(r.limit)
	if err != nil {
		r.say("%v: the limit is watched, not enforced", err)
	}
	if r.pod, err = r.start(r.m, "pod-1", g); err != nil {
		return err
	}
	tries, err := r.pod.started(ctx)
	if err != nil {
		return err
	}
	r.say("startup probe: passed at try %d of %d", tries, r.m.StartupProbe.FailureThreshold)
	return nil
}

func (r *rehearsal) startShop(ctx context.Context) error {
	r.shop = newShop(r.pod.data, r.opt.rate)
	return r.business(ctx, time.Second, 1)
}

// business is the shop's for a while, in which no answer may fail.
func (r *rehearsal) business(ctx context.Context, length time.Duration, seed uint64) error {
	r.shop.open(ctx, r.opt.rate, length, seed)
	r.say("%d answers so far, %v; the longest wait %v, %d later than %v", r.shop.answers.Load(), r.shop.sources, r.shop.waits.Max().Round(time.Millisecond), r.shop.late, requestTimeout)
	return errors.Join(append(r.shop.failed, ctx.Err())...)
}

func (r *rehearsal) startBacking(ctx context.Context) error {
	if err := r.redis.Start(ctx); err != nil {
		return err //nolint:wrapcheck // it says what it starts
	}
	self, err := os.Executable()
	if err != nil {
		return err //nolint:wrapcheck // it says enough
	}
	command := exec.Command(self, apiCommand, strings.TrimPrefix(r.apiURL, "http://"), r.control, r.token()) //nolint:gosec,noctx // ourselves; ended by clear
	command.SysProcAttr = childAttr(nil)
	if r.api, err = startProcess(command); err != nil {
		return err
	}
	return r.until(ctx, "every event is delivered", func() (bool, error) {
		pending, err := r.pod.metric(ctx, "vitrine_events_pending")
		return pending == 0, err
	})
}

// token is the one in the manifest's Secret.
func (r *rehearsal) token() string {
	for _, files := range r.m.files {
		if token := files["token"]; token != "" {
			return strings.TrimSpace(token)
		}
	}
	return ""
}

// until waits for what must come.
func (r *rehearsal) until(ctx context.Context, what string, holds func() (bool, error)) error {
	began := time.Now()
	for {
		done, err := holds()
		switch {
		case done && err == nil:
			r.say("%s after %v", what, time.Since(began).Round(100*time.Millisecond))
			return nil
		case time.Since(began) > patience:
			return errors.Join(fmt.Errorf("waited in vain until %s", what), err, errors.New(r.pod.process.log.String()))
		case ctx.Err() != nil:
			return ctx.Err()
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// load offers the steady load, asks the liveness probe as the kubelet does, and watches the memory.
func (r *rehearsal) load(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	watched := make(chan error, 1)
	var peak int64
	go func() { // awaited below
		alive := time.NewTicker(r.m.LivenessProbe.period())
		defer alive.Stop()
		look := time.NewTicker(100 * time.Millisecond)
		defer look.Stop()
		failures := 0
		for {
			select {
			case <-ctx.Done():
				watched <- nil
				return
			case <-look.C:
				peak = max(peak, resident(r.pod.process.command.Process.Pid))
			case <-alive.C:
				if failures++; r.pod.probe(ctx, r.m.LivenessProbe) == nil {
					failures = 0
				}
				if failures >= r.m.LivenessProbe.FailureThreshold {
					watched <- errors.New("the liveness probe failed until the kubelet would restart the sidecar")
					return
				}
			}
		}
	}()
	err := r.business(ctx, r.opt.length, 2)
	cancel()
	err = errors.Join(err, <-watched)
	figure := fmt.Sprintf("%.0f req/s for %v: at most %.1f MiB resident", r.opt.rate, r.opt.length, mib(peak))
	if most := r.pod.group.most(); most > 0 {
		figure += fmt.Sprintf(", %.1f MiB by its cgroup, which holds it to", mib(most))
	} else {
		figure += ", of"
	}
	r.say("%s %d MiB", figure, r.limit>>20)
	if peak > r.limit {
		err = errors.Join(err, errors.New("that is more than the manifest allows"))
	}
	return err
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// endPod does what a node does: the shop first, the sidecar when the shop has ended.
func (r *rehearsal) endPod(ctx context.Context) error {
	if err := r.play(ctx, fakeapi.Refuse); err != nil {
		return err
	}
	if err := r.business(ctx, 2*time.Second, 3); err != nil {
		return err
	}
	r.shop.close()
	took, err := r.pod.process.stop(min(r.m.grace, promised))
	if err != nil {
		return err
	}
	for line := range strings.Lines(r.pod.process.log.String()) {
		if strings.Contains(line, "parked") || strings.Contains(line, "left in the outbox") {
			r.say("log: %s", strings.TrimSpace(line))
		}
	}
	r.say("the sidecar ended after %v", took.Round(10*time.Millisecond))
	return nil
}

// takeOver starts the pod's successor, which knows of nothing but Redis.
func (r *rehearsal) takeOver(ctx context.Context) error {
	r.pod.group.remove()
	var err error
	if r.pod, err = r.start(r.m, "pod-2", group{}); err != nil {
		return err
	}
	if _, err := r.pod.started(ctx); err != nil {
		return err
	}
	if err := r.play(ctx, ""); err != nil {
		return err
	}
	accepted := 0
	err = r.until(ctx, "the API has every event", func() (bool, error) {
		had, err := r.had(ctx)
		var missing int
		missing, accepted = r.shop.missing(had)
		return missing == 0, err
	})
	if err != nil {
		return err
	}
	r.say("%d events accepted, 0 lost", accepted)
	_, err = r.pod.process.stop(min(r.m.grace, promised))
	return err
}

// play makes the API well, or ill.
func (r *rehearsal) play(ctx context.Context, answer fakeapi.Answer) error {
	script := "phases: [{faults: [{answer: " + string(answer) + "}]}]"
	if answer == "" {
		script = "phases: []"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.control+"/_control/script", strings.NewReader(script))
	if err != nil {
		return err //nolint:wrapcheck // it says enough
	}
	response, err := client.Do(request)
	if err != nil {
		return err //nolint:wrapcheck // it names the address
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		return fmt.Errorf("telling the API: %s", response.Status)
	}
	return nil
}

// had counts the events that the API has answered with success.
func (r *rehearsal) had(ctx context.Context) (map[event]int, error) {
	text, err := get(ctx, "http://"+r.control+"/_control/ledger")
	if err != nil {
		return nil, err
	}
	var page fakeapi.LedgerPage
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		return nil, fmt.Errorf("reading the ledger: %w", err)
	}
	had := make(map[event]int, len(page.Entries))
	for _, e := range page.Entries {
		if e.Status == http.StatusOK {
			had[event{e.Session, e.Type, e.ID}]++
		}
	}
	return had, nil
}
