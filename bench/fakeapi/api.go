package fakeapi

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// maxBody bounds the body of a call; a longer one is answered with 413.
const maxBody = 1 << 20

// API is the stand-in without its listeners: an http.Handler, a ledger and the
// faults. Most callers want Start, which serves it on addresses of its own.
type API struct {
	opts     Options
	mux      *http.ServeMux
	ledger   *ledger
	director *director
	sessions *sessions
	people   *people
	lines    *lines
	bulk     bulk
	tokens   atomic.Pointer[[]string] // accepted

	onScript func() // told after a script was set; a Server replaces it before it listens
}

// New returns the API that the options describe. It listens nowhere and starts nothing.
func New(opts Options) (*API, error) {
	if err := opts.Validate(); err != nil {
		return nil, err
	}
	opts = opts.withDefaults()
	a := &API{
		opts:     opts,
		mux:      http.NewServeMux(),
		ledger:   newLedger(opts.MaxLedger),
		director: newDirector(opts.Seed),
		sessions: &sessions{},
		people:   newPeople(opts.People),
		onScript: func() {},
	}
	a.lines, a.bulk = newLines(a.director), newBulk()
	a.Accept(opts.Token)
	const products, crm = "/api/v1/products/protected/", "/api/v1/crm/protected/"
	a.mux.Handle("POST "+products+"recommendation", a.handler(Recommendation, a.recommendation))
	a.mux.Handle("GET "+crm+"profile/{kind}/{value}", a.handler(Profile, a.profile))
	a.mux.Handle("POST "+products+"similar", a.handler(Lists, a.similar))
	a.mux.Handle("GET "+products+"sales-ranking", a.handler(Lists, a.salesRanking))
	a.mux.Handle("GET /api/v1/merchandising-collections/protected/{id}", a.handler(Lists, a.collection))
	a.mux.Handle("POST "+products+"search", a.handler(Lists, a.search))
	a.mux.Handle("/", a.handler(unknownEndpoint, func(c call) reply {
		return notFound("Cannot " + c.Method + " " + c.URL.Path)
	}))
	return a, nil
}

// ServeHTTP answers one call to the API.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// Attach makes srv serve the API and keep count of its connections. Without it
// connections have no numbers, and faults that close them do nothing.
func (a *API) Attach(srv *http.Server) {
	srv.Handler = a
	srv.ConnContext = a.lines.context
	srv.ConnState = a.lines.state
}

// Ranking returns the list that this API gives as its answer, once the session is
// not cold any more.
func (a *API) Ranking(session, user, eventType, id string) []string {
	return a.opts.Rankings.Ranking(session, user, eventType, id)
}

// Rankings returns what computes the lists, the catalogue filled in.
func (a *API) Rankings() Rankings { return a.opts.Rankings }

// Token returns the token the API demands at its start.
func (a *API) Token() string { return a.opts.Token }

// Accept makes these the tokens that are accepted from the next call on, and no others: two
// for the overlap of a rotation, one after it.
func (a *API) Accept(tokens ...string) {
	tokens = slices.Clone(tokens)
	a.tokens.Store(&tokens)
}

// Set lets the faults loose until they are replaced, and returns when they hold. It
// reports faults that make no sense, and then changes nothing.
func (a *API) Set(faults ...Fault) error {
	return a.Play(Script{Phases: []Phase{{Faults: faults}}})
}

// Clear makes the API well again.
func (a *API) Clear() { a.play(Script{}) }

// Play starts a script, in place of what went on before. It reports a script that
// makes no sense, and then changes nothing.
func (a *API) Play(s Script) error {
	if err := s.Validate(); err != nil {
		return err
	}
	if s.usesTLS() && !a.opts.TLS {
		return errors.New("a fault shows a certificate, but this API does not speak TLS")
	}
	a.play(s)
	return nil
}

func (a *API) play(s Script) {
	a.director.play(s)
	a.lines.rearm()
	a.onScript()
}

// Ledger returns the events that arrived, oldest first, as far as MaxLedger goes.
func (a *API) Ledger() []Entry { return a.ledger.since(0) }

// LedgerSince returns the entries whose Seq is greater.
func (a *API) LedgerSince(seq uint64) []Entry { return a.ledger.since(seq) }

// Stats returns the counts.
func (a *API) Stats() Stats {
	s := a.ledger.snapshot()
	s.Connections, s.OpenConnections = a.lines.count()
	s.Phase = a.director.phase()
	return s
}

// Reset empties the ledger and the counts, makes all sessions new and the API well.
// Calls under way are answered, but leave no trace.
func (a *API) Reset() {
	a.ledger.reset()
	a.sessions.reset()
	a.lines.reset()
	a.Clear()
}

// call is a request that was read whole.
type call struct {
	*http.Request
	event    event
	problems []string // what is wrong with the event
}

// handler serves one endpoint: it reads, records, and answers as the faults allow.
func (a *API) handler(e Endpoint, honest func(call) reply) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn := lineOf(r.Context())
		number := conn.begin()
		defer conn.end()
		a.ledger.begin(e)
		defer a.ledger.end(e)

		v := a.director.judge(e, a.usual(e))
		if v.fault.Answer == ResetBefore {
			a.countUnread(e)
			abort(w, conn)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			a.countUnread(e)
			a.respond(w, r, verdict{}, failure(http.StatusRequestEntityTooLarge, "request entity too large"))
			return
		}
		c := call{Request: r}
		switch {
		case e == Recommendation:
			c.event, c.problems = parseEvent(body)
			entry := c.entry(v)
			entry.Conn, entry.Call = conn.number(), number
			t := a.ledger.record(entry)
			a.ledger.settle(t, a.respond(w, r, v, a.decide(c, v, honest)))
			return
		case r.Method == http.MethodPost:
			c.event, c.problems = parseSimilar(body)
		}
		a.respond(w, r, v, a.decide(c, v, honest))
	}
}

// decide returns the answer before a fault spoils it on its way.
func (a *API) decide(c call, v verdict, honest func(call) reply) reply {
	if v.fault.Status != 0 {
		rep := failure(v.fault.Status, http.StatusText(v.fault.Status))
		rep.retryAfter = v.fault.retryAfter(time.Now())
		return rep
	}
	if !slices.Contains(*a.tokens.Load(), c.Header.Get(TokenHeader)) {
		return failure(http.StatusUnauthorized, "Invalid or missing token")
	}
	if kind, _, err := mime.ParseMediaType(c.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return failure(http.StatusUnsupportedMediaType, "Content-Type must be application/json")
	}
	return a.spoil(c, v.fault.Answer, honest(c))
}

// recommendation answers an event, and learns of it.
func (a *API) recommendation(c call) reply {
	if len(c.problems) > 0 {
		return badRequest(c.problems)
	}
	if a.opts.ColdEvents > 0 && a.sessions.count(c.event.session) <= a.opts.ColdEvents {
		return products(nil)
	}
	e := c.event
	return products(a.Ranking(e.session, e.user, e.eventType, e.id))
}

func (a *API) usual(e Endpoint) Latency {
	switch e {
	case Profile:
		return a.opts.ProfileLatency
	case Recommendation, Lists:
		return a.opts.Latency
	default:
		return Latency{}
	}
}

func (a *API) countUnread(e Endpoint) {
	if e == Recommendation {
		a.ledger.unread()
	}
}

// entry returns what the ledger keeps of a call. Strings are clipped, far beyond
// what a valid event may hold, so that entries are bounded in bytes too.
func (c call) entry(v verdict) Entry {
	clip := func(s string) string { return strings.Clone(s[:min(len(s), 512)]) }
	entry := Entry{
		Session:     clip(c.event.session),
		User:        clip(c.event.user),
		Type:        clip(c.event.eventType),
		ID:          clip(c.event.id),
		Traceparent: clip(c.Header.Get("Traceparent")),
		Phase:       v.phase,
	}
	if v.fault.hitsCalls() {
		entry.Fault = v.fault.label()
	}
	return entry
}
