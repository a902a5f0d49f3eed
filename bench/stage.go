package main

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
	"vitrine/bench/shopdata"
	"vitrine/bench/wire"
)

// stage is everything a run needs on this machine: the stand-in API, Redis and the
// sidecars. Whoever sets it up closes it.
type stage struct {
	dir       string
	catalogue *shopdata.Catalogue
	api       *fakeapi.Server
	redis     *rig.Redis // nil if there is no single one of our own
	relay     *rig.Relay // in front of it, or nil
	sentinels *rig.Sentinels
	cluster   *rig.Cluster
	names     *rig.NameServer
	pods      []*pod
	affinity  bool
	metrics   *targets
}

// pod is one sidecar and the way to it, which change when it is restarted.
type pod struct {
	fresh   bool
	metrics *targets

	mu      sync.Mutex
	sidecar *rig.Sidecar
	client  *wire.Client
	away    bool       // requests go elsewhere meanwhile
	past    rig.Events // counts of its former processes
	opened  int64      // connections to them
	kills   int64      // of them
}

// setUp starts everything. On an error nothing is left behind.
func setUp(ctx context.Context, o *options) (*stage, error) {
	dir, err := os.MkdirTemp("", "vitrine-bench-")
	if err != nil {
		return nil, err
	}
	s := &stage{dir: dir, affinity: o.affinity, metrics: o.metrics, catalogue: shopdata.New(1, o.items, o.categories)}
	if err := s.start(ctx, o); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *stage) start(ctx context.Context, o *options) (err error) {
	api := fakeapi.Options{
		Rankings: fakeapi.Rankings{Catalogue: s.catalogue, Seed: o.model.Seed},
		Seed:     o.model.Seed, ColdEvents: o.cold, Latency: o.latency, MaxLedger: 1 << 20, TLS: o.tls,
	}
	if s.api, err = fakeapi.Start(api); err != nil {
		return fmt.Errorf("starting the stand-in API: %w", err)
	}
	sidecar, err := s.wanted(ctx, o)
	if err != nil {
		return err
	}
	for range o.pods {
		p := &pod{fresh: o.fresh, metrics: s.metrics}
		if p.sidecar, err = rig.StartSidecar(ctx, sidecar); err != nil {
			return err
		}
		p.client = wire.NewClient(p.sidecar.Addr(), o.fresh)
		s.pods = append(s.pods, p)
		if err := s.metrics.replace("", p.sidecar.Probes()); err != nil {
			return err
		}
	}
	return nil
}

// Close ends everything, sidecars first so that they find Redis and the API.
func (s *stage) Close() error {
	ended := make([]error, len(s.pods))
	var group sync.WaitGroup
	for i, p := range s.pods {
		group.Go(func() {
			p.client.Close()
			ended[i] = errors.Join(s.metrics.replace(p.current().Probes(), ""), p.current().Close())
		})
	}
	group.Wait()
	errs := []error{errors.Join(ended...)}
	if s.relay != nil {
		errs = append(errs, s.relay.Close())
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	if s.sentinels != nil {
		errs = append(errs, s.sentinels.Close())
	}
	if s.cluster != nil {
		errs = append(errs, s.cluster.Close())
	}
	if s.names != nil {
		errs = append(errs, s.names.Close())
	}
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

// route returns the client for a session's next request: its own sidecar's with
// affinity, any other one's without, as the dice fall; never one that is about to go.
func (s *stage) route(session string, dice *rand.Rand) *wire.Client {
	start := dice.IntN(len(s.pods))
	if s.affinity {
		h := fnv.New32a()
		_, _ = h.Write([]byte(session))
		start = int(h.Sum32() % uint32(len(s.pods)))
	}
	for i := range s.pods {
		if client, ok := s.pods[(start+i)%len(s.pods)].ready(); ok {
			return client
		}
	}
	client, _ := s.pods[start].ready()
	return client
}

// ended returns an error with the last of its log if a sidecar has ended by itself.
func (s *stage) ended() error {
	for _, p := range s.pods {
		if sidecar := p.current(); !sidecar.Running() {
			return fmt.Errorf("the sidecar has ended by itself:\n%s", sidecar.Log())
		}
	}
	return nil
}

// current is the pod's process now.
func (p *pod) current() *rig.Sidecar {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sidecar
}

func (p *pod) ready() (*wire.Client, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.client, !p.away
}

// restart takes the pod out, lets requests under way end, and replaces its process.
func (p *pod) restart(ctx context.Context) error {
	p.setAway(true)
	if !sleep(ctx, 500*time.Millisecond) {
		return nil
	}
	p.bury(ctx)
	if err := p.current().Stop(); err != nil {
		return err
	}
	return p.revive(ctx)
}

// kill ends the pod's process at once, without taking it out first.
func (p *pod) kill(ctx context.Context) {
	p.bury(ctx)
	p.kills++
	p.current().Kill()
}

// bulkhead is the default of upstream.max_in_flight, and a probe.
const bulkhead = 64 + 1

// cutOff is how many calls may have been under way when processes were killed.
func (s *stage) cutOff() (n int64) {
	for _, p := range s.pods {
		n += p.kills * bulkhead
	}
	return n
}

// bury keeps what only the process knows.
func (p *pod) bury(ctx context.Context) {
	if m, err := p.current().Metrics(ctx); err == nil {
		p.past = p.past.Add(m.Events())
	}
}

// revive starts the process anew with the same journal.
func (p *pod) revive(ctx context.Context) error {
	successor, err := p.current().Restart(ctx)
	if err != nil {
		return err
	}
	told := p.metrics.replace(p.current().Probes(), successor.Probes())
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sidecar = successor
	p.opened += p.client.Opened()
	p.client.Close()
	p.client, p.away = wire.NewClient(p.sidecar.Addr(), p.fresh), false
	return told
}

func (p *pod) setAway(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// connections is how many were opened to the sidecars.
func (s *stage) connections() (n int64) {
	for _, p := range s.pods {
		client, _ := p.ready()
		n += p.opened + client.Opened()
	}
	return n
}

// usage is what the sidecars use, added up.
func (s *stage) usage() (sum rig.Usage) {
	for _, p := range s.pods {
		u := p.current().Usage()
		sum.CPU += u.CPU
		sum.Resident += u.Resident
		sum.Files += u.Files
	}
	return sum
}
