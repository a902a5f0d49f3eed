package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"vitrine/breaker"
	"vitrine/cache"
	"vitrine/fallback"
	"vitrine/fallback/catalog"
	"vitrine/fallback/platform"
	"vitrine/internal/config"
	"vitrine/internal/delivery"
	"vitrine/internal/fashionai"
	"vitrine/internal/journal"
	"vitrine/internal/lists"
	"vitrine/internal/logs"
	"vitrine/internal/ops"
	"vitrine/internal/profile"
	"vitrine/internal/proxy"
	"vitrine/internal/reco"
	"vitrine/internal/redis"
	"vitrine/internal/secret"
	"vitrine/internal/trace"
)

// sidecar is every part of the program and what each is given. newSidecar makes them
// from the ground up; serve.go starts and stops them.
type sidecar struct {
	conf   config.Config // as at the start
	origin *origin       // nil if it cannot be read again
	log    *slog.Logger
	seen   *logs.Handler

	metrics  *ops.Metrics
	tracer   *trace.Tracer // nil unless the environment names a collector
	token    *fashionai.Token
	api      *fashionai.Client
	breakers breakers
	hashKey  redis.HashKey
	redis    *redis.Client // nil without redis.url
	cache    *cache.Cache
	journal  *journal.Journal // nil if the events are kept in memory
	dead     *journal.Journal // nil with journal
	outbox   string           // where the events are, in words
	delivery *delivery.Delivery
	parking  *delivery.Parking // nil without a Redis that pods share
	catalog  *catalog.Catalog  // nil without catalogue and rules
	rules    *fallback.Rules   // nil with catalog
	natives  *fallback.Natives // nil without a platform
	shop     *platform.Client  // nil without platform.kind; replaced by a reload
	ladder   *fallback.Ladder
	profiles *profile.Profiles // nil without profile.enabled
	lists    *lists.Lists      // nil without any of lists.*
	proxy    *proxy.Proxy

	profileAPI *fashionai.Client // with profiles
	salesAPI   *fashionai.Client // with platform.sales_ranking
	listsAPI   *fashionai.Client // with lists

	base      []part // what runs below delivery
	aside     []part // what runs beside it, until it drains
	listeners []part // probes and admin

	data, probes, admins net.Listener
}

// breakers are one for each upstream.
type breakers struct {
	recommendation, platform, redis, profile, sales, lists *breaker.Breaker
}

// newSidecar makes every part and opens the listeners. Nothing runs yet, but the
// journal has been read. On an error it leaves nothing open. Without an origin the
// configuration cannot be read again.
func newSidecar(ctx context.Context, c config.Config, log *slog.Logger, seen *logs.Handler, from *origin) (*sidecar, error) {
	s := &sidecar{conf: c, log: log, seen: seen, origin: from}
	for _, step := range []func() error{
		s.makeMetrics,
		s.makeTracer,
		s.makeBreakers,
		s.makeAPI,
		s.makeHashKey,
		s.makeRedis,
		s.makeCache,
		s.makeJournal,
		s.makeDelivery,
		s.makeParking,
		s.makeFallback,
		s.makeProfiles,
		s.makeLists,
		s.makeProxy,
		s.recover, // before anything new can come in
		func() error { return s.listen(ctx) },
		s.makeOps,
	} {
		if err := step(); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *sidecar) makeMetrics() error {
	s.base = append(s.base, part{"garbage", paceCollector})
	version, commit := buildVersion()
	s.metrics = ops.NewMetrics(ops.MetricsOptions{
		Version: version, Commit: commit,
		RedisOps: words(redis.Ops()), RedisOutcomes: words(redis.Outcomes()),
	})
	return nil
}

// words turns a part's label values into plain ones.
func words[S ~string](of []S) []string {
	out := make([]string, len(of))
	for i, w := range of {
		out[i] = string(w)
	}
	return out
}

func (s *sidecar) makeBreakers() error {
	open := func(into **breaker.Breaker, o breaker.Options, then func()) error {
		o.OnChange = func(c breaker.Change) {
			s.log.Info("breaker changed", "breaker", c.Name, "from", c.From.String(), "to", c.To.String(), "reason", c.Reason)
			then()
		}
		var err error
		*into, err = breaker.New(o)
		return err //nolint:wrapcheck // it names the breaker
	}
	nothing := func() {}
	changed := func() {
		if s.delivery != nil { // it is not there yet only while nothing can change
			s.delivery.BreakerChanged()
		}
	}
	return errors.Join(
		open(&s.breakers.recommendation, breaker.Defaults("recommendation"), changed),
		open(&s.breakers.platform, breaker.Defaults("platform"), nothing),
		open(&s.breakers.profile, profile.BreakerOptions(s.conf.Profile.Timeout), nothing),
		open(&s.breakers.redis, redis.BreakerOptions(), nothing),
		open(&s.breakers.sales, breaker.Defaults("sales-ranking"), nothing),
		open(&s.breakers.lists, breaker.Defaults("lists"), nothing),
	)
}

func (s *sidecar) makeAPI() (err error) {
	if s.token, err = readToken(s.conf.Upstream); err != nil {
		return err
	}
	if s.api, err = fashionai.New(s.apiOptions(s.conf.Upstream.MaxInFlight+1, s.conf.Upstream.Timeout)); err != nil {
		return fmt.Errorf("upstream: %w", err)
	}
	s.base = append(s.base, part{"API connections", s.api.Run}, part{"token", s.watchToken})
	return nil
}

// apiOptions is how the API is reached, over so many connections at most, by calls that
// take so long at most.
func (s *sidecar) apiOptions(connections int, timeout time.Duration) fashionai.Options {
	version, _ := buildVersion()
	return fashionai.Options{
		URL:       string(s.conf.Upstream.URL),
		Token:     s.token,
		UserAgent: "vitrine/" + version,
		Timeout:   timeout,
		MaxConns:  connections,
	}
}

func readToken(u config.Upstream) (*fashionai.Token, error) {
	if u.TokenFile == "" {
		return fashionai.NewToken(u.Token.Reveal()) //nolint:wrapcheck // it says it is the token
	}
	return fashionai.OpenToken(u.TokenFile) //nolint:wrapcheck // it says it is the token
}

func (s *sidecar) watchToken(ctx context.Context) error {
	return s.token.Run(ctx, func(err error) { //nolint:wrapcheck // it says it is the token
		s.log.Error("the token file cannot be read; the last token stays", "error", err)
	})
}

func (s *sidecar) makeCache() (err error) {
	o := cache.Options{Memory: int64(s.conf.Cache.Memory), HashKey: s.hashKey, RemoteBudget: s.conf.Redis.Budget}
	if s.redis != nil {
		o.Remote = s.redis
	}
	for _, t := range reco.EventTypes {
		life := s.conf.Events.Of(t).Cache
		o.Policies[t] = cache.Policy{Fresh: life.Fresh, Stale: life.Stale, Empty: life.Empty, FreshEvents: life.FreshEvents}
	}
	if s.cache, err = cache.New(o); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	s.base = append(s.base, part{"cache", s.cache.Run})
	return nil
}

const (
	inMemory       = "memory" // the value of outbox.dir that keeps nothing on disk
	maxDeadLetters = 16 << 20 // bytes of dead letters on disk
)

// makeJournal opens the outbox. A folder that cannot be written to costs the events'
// safety, not the shop: memory takes over.
func (s *sidecar) makeJournal() (err error) {
	o := s.conf.Outbox
	if s.outbox = o.Dir; o.Dir == inMemory {
		return nil
	}
	s.journal, err = journal.Open(journal.Options{
		Dir: o.Dir, MaxBytes: int64(o.MaxBytes), SyncAlways: o.Fsync == "always",
	})
	if err == nil {
		s.dead, err = journal.Open(journal.Options{Dir: filepath.Join(o.Dir, deadLetters), MaxBytes: maxDeadLetters})
	}
	switch {
	case errors.Is(err, journal.ErrUnwritable):
		s.log.Error("the outbox folder cannot be written to: events are kept in memory and do not survive this process", "error", err)
		s.outbox = inMemory
		return errors.Join(s.closeJournals())
	case err != nil:
		return fmt.Errorf("outbox.dir: %w", err)
	}
	s.base = append(s.base, part{"journal", s.journal.Run}, part{"dead letters", s.dead.Run})
	return nil
}

func (s *sidecar) makeDelivery() (err error) {
	u, o := s.conf.Upstream, s.conf.Outbox
	api, err := s.eventAPI()
	if err != nil {
		return err
	}
	options := delivery.Options{
		API: api, Breaker: s.breakers.recommendation, Rankings: s.cache, Log: s.log,
		MaxInFlight: u.MaxInFlight, Timeout: u.Timeout, Rate: u.Rate,
		MaxAge: o.MaxAge, MaxMemory: int64(o.MaxMemory),
		DuplicateWindow: make(map[reco.EventType]time.Duration),
	}
	if s.journal != nil {
		options.Journal, options.Dead = s.journal, s.dead
	}
	for _, t := range reco.EventTypes {
		options.DuplicateWindow[t] = s.conf.Events.Of(t).DuplicateWindow
	}
	s.delivery, err = delivery.New(options)
	return err //nolint:wrapcheck // it names the part
}

// makeParking makes the way to other pods. An embedded Redis ends with this process, so
// that nothing is parked there.
func (s *sidecar) makeParking() (err error) {
	if s.redis == nil || s.redis.Embedded() {
		return nil
	}
	s.parking, err = delivery.NewParking(delivery.ParkingOptions{
		Delivery: s.delivery, Redis: s.redis, Log: s.log,
		After: s.conf.Outbox.ParkAfter, MaxBytes: int64(s.conf.Outbox.ParkMaxBytes),
	})
	if err != nil {
		return err //nolint:wrapcheck // it names the part
	}
	s.aside = append(s.aside, part{"parking", s.parking.Run})
	return nil
}

// measured is the API with a stopwatch.
type measured struct {
	*fashionai.Client
	metrics *ops.Metrics
	log     *slog.Logger
}

// Recommend posts an event and counts the call. That the token is refused is a person's to
// mend, and no breaker opens for it: it is logged.
func (m measured) Recommend(c fashionai.Call) fashionai.Outcome {
	out := m.Client.Recommend(c)
	m.metrics.ObserveUpstream(out.Code(), out.Took)
	if out.Class == fashionai.Unauthorized {
		m.log.Warn("the API refuses the token", "status", out.Status)
	}
	return out
}

func (s *sidecar) makeProxy() (err error) {
	sec := s.conf.Security
	o := proxy.Options{
		Rankings: s.cache, Delivery: s.delivery, Ladder: s.ladder, Log: s.log,
		Observe: func(t reco.EventType, a *reco.Answer, took time.Duration) {
			s.metrics.ObserveRequest(t, a.Source, a.Reason, took)
		},
		Security: proxy.Security{
			AllowedOrigins: sec.AllowedOrigins, AllowedHosts: sec.AllowedHosts, AllowForwarded: sec.AllowForwarded,
		},
	}
	o.Budgets, o.PageBudget = budgets(s.conf)
	if s.tracer != nil {
		o.Tracer = s.tracer
	}
	if s.catalog != nil {
		o.Stock = s.pushStock
	}
	if s.profiles != nil {
		o.Profile = s.profiles.Answer
	}
	if s.lists != nil {
		o.Lists = s.lists
	}
	if sec.AppTokenFile != "" {
		token, err := secret.Read(sec.AppTokenFile)
		if err != nil {
			return fmt.Errorf("security.app_token_file: %w", err)
		}
		o.Security.AppToken = []byte(token)
	}
	s.proxy, err = proxy.New(o)
	return err //nolint:wrapcheck // it names the part
}

// budgets are the longest a shopper waits, by event type, and for a page.
func budgets(c config.Config) (events [reco.CustomShelf + 1]time.Duration, page time.Duration) {
	for _, t := range reco.EventTypes {
		events[t] = c.Events.Of(t).Budget
	}
	return events, c.Budget
}

func (s *sidecar) listen(ctx context.Context) (err error) {
	if s.data, err = proxy.Listen(ctx, s.conf.Listen); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	tcp := new(net.ListenConfig)
	if s.probes, err = tcp.Listen(ctx, "tcp", s.conf.Probe.Listen); err != nil {
		return fmt.Errorf("probe.listen: %w", err)
	}
	if s.admins, err = tcp.Listen(ctx, "tcp", s.conf.Admin.Listen); err != nil {
		return fmt.Errorf("admin.listen: %w", err)
	}
	return nil
}

// recover accepts what an earlier process left undelivered, before any new request.
func (s *sidecar) recover() error {
	if s.journal == nil {
		return nil
	}
	events := 0
	err := s.journal.Pending(func(at journal.Position, r journal.Record) bool {
		if err := s.delivery.Replay(at, r); err != nil {
			s.log.Error("an undelivered event in the outbox makes no sense, and stays there", "error", err)
			return true
		}
		events++
		return true
	})
	if err != nil {
		s.log.Error("a part of the outbox cannot be read; its events stay there", "error", err)
	}
	if events > 0 {
		s.log.Info("taken over from an earlier process", "events", events)
	}
	return nil
}

// close lets go of what newSidecar opened, as far as it got.
func (s *sidecar) close() {
	errs := []error{s.closeJournals()}
	for _, l := range []net.Listener{s.data, s.probes, s.admins} {
		if l != nil {
			_ = l.Close() // most are closed already, by who served them
		}
	}
	if s.redis != nil {
		errs = append(errs, s.redis.Close())
	}
	for _, api := range []*fashionai.Client{s.api, s.profileAPI, s.salesAPI, s.listsAPI} {
		if api != nil {
			api.Close()
		}
	}
	if err := errors.Join(errs...); err != nil {
		s.log.Error("closing", "error", err)
	}
}

func (s *sidecar) closeJournals() error {
	var errs []error
	for _, j := range []**journal.Journal{&s.journal, &s.dead} {
		if *j != nil {
			errs = append(errs, (*j).Close())
			*j = nil
		}
	}
	return errors.Join(errs...)
}
