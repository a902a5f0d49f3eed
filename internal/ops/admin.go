package ops

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"slices"
	"strings"
	"time"

	"vitrine/internal/logs"
	"vitrine/internal/reco"
)

// AdminOptions are what an Admin shows and does. A nil function is something this
// sidecar does not have: its path answers 404. What functions return as any is shown
// as JSON, and must hold nothing personal.
type AdminOptions struct {
	// Metrics is what requests and calls are counted in, Sources what else there is to
	// see. Metrics is required.
	Metrics *Metrics
	Sources Sources

	// Version and Commit are those of the program.
	Version, Commit string

	// Ready are the configured dependencies, as for the probes.
	Ready []Dependency

	// LastErrors returns the last warnings and errors logged, oldest first.
	LastErrors func() []logs.Line

	// Configuration returns the effective configuration, without secrets.
	Configuration func() any

	// Explain returns the decision path of a request, and neither sends nor journals anything.
	Explain func(context.Context, reco.Request) (any, error)

	// EraseSession removes what is known of a session from both tiers of every pod, and
	// returns what was erased, to be shown. An error says that it may not be gone everywhere.
	EraseSession func(ctx context.Context, session string) (erased any, err error)

	// EraseProfile does the same for a person, known by an identifier of the given kind:
	// "email", "phone", "document" or "user-profile-id". A *profile.InvalidError says that
	// the value is no identifier.
	EraseProfile func(ctx context.Context, kind, value string) (erased any, err error)

	// Hash turns an identifier into what the log may say of it: a keyed hash. Required
	// beside EraseSession and EraseProfile.
	Hash func(identifier string) string

	// Outbox returns the state of the undelivered events and the dead letters.
	Outbox func(context.Context) (any, error)

	// Redrive gives the dead letters to delivery once more and returns their number.
	Redrive func(context.Context) (events int, err error)

	// Reload reads the configuration again, and says what it did. An error says why the old one stays.
	Reload func(context.Context) (any, error)

	// AllowedHosts are the values of Host, without a port, that are accepted besides loopback.
	AllowedHosts []string

	// Log is where every change is recorded, and the listener's errors. Required.
	Log *slog.Logger
}

// Validate reports everything that is missing.
func (o AdminOptions) Validate() error {
	var errs []error
	if o.Metrics == nil {
		errs = append(errs, errors.New("the admin listener needs the metrics"))
	}
	if o.Log == nil {
		errs = append(errs, errors.New("the admin listener needs a log"))
	}
	if o.Hash == nil && (o.EraseSession != nil || o.EraseProfile != nil) {
		errs = append(errs, errors.New("the admin listener needs a hash to record whom it erased"))
	}
	return errors.Join(errs...)
}

// Admin is the listener for whoever operates the sidecar. It listens on loopback, and
// asks for no password: it takes everybody who can reach it for the operator, except
// web pages, which reach it through the operator's browser.
type Admin struct {
	o      AdminOptions
	server *http.Server
	minute *minute
	began  time.Time
}

// NewAdmin returns an Admin, or what is wrong with the options.
func NewAdmin(o AdminOptions) (*Admin, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	a := &Admin{o: o, minute: newMinute(o.Metrics, o.Sources), began: time.Now()}
	mux := http.NewServeMux()
	mux.HandleFunc("/", notFound)
	mux.HandleFunc("/{$}", only("GET", a.index))
	mux.HandleFunc("/page.css", only("GET", asset("text/css; charset=utf-8", pageCSS)))
	mux.HandleFunc("/page.js", only("GET", asset("text/javascript; charset=utf-8", pageJS)))
	mux.HandleFunc("/status.json", only("GET", a.status))
	mux.HandleFunc("/openapi.yaml", only("GET", a.description))
	mux.HandleFunc("/docs", only("GET", a.docs))
	a.routeActions(mux)
	mux.HandleFunc("/debug/pprof/", only("GET", pprof.Index))
	mux.HandleFunc("/debug/pprof/cmdline", only("GET", pprof.Cmdline))
	mux.HandleFunc("/debug/pprof/profile", only("GET", pprof.Profile))
	mux.HandleFunc("/debug/pprof/symbol", only("GET, POST", pprof.Symbol))
	mux.HandleFunc("/debug/pprof/trace", only("GET", pprof.Trace))
	a.server = newServer(plainly(a.guard(mux)), o.Log)
	return a, nil
}

func (a *Admin) routeActions(mux *http.ServeMux) {
	route := func(path, method string, there bool, h http.HandlerFunc) {
		if there {
			mux.HandleFunc(path, only(method, h))
		}
	}
	route("/explain", "POST", a.o.Explain != nil, a.explain)
	route("/breaker/{name}", "POST", true, a.breaker)
	route("/sessions/{id}", "DELETE", a.o.EraseSession != nil, a.eraseSession)
	route("/profiles/{kind}/{value}", "DELETE", a.o.EraseProfile != nil, a.eraseProfile)
	route("/outbox", "GET", a.o.Outbox != nil, a.outbox)
	route("/outbox/redrive", "POST", a.o.Redrive != nil, a.redrive)
	route("/-/reload", "POST", a.o.Reload != nil, a.reload)
}

// Serve answers on l until ctx is done, and closes it. The error is nil if it was told to stop.
func (a *Admin) Serve(ctx context.Context, l net.Listener) error {
	watching, stop := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() { // awaited below
		defer close(watched)
		a.minute.run(watching)
	}()
	err := serve(ctx, a.server, l)
	stop()
	<-watched
	return err
}

// guard keeps web pages out. One that made its own name point to loopback (DNS
// rebinding) is known by Host, any other by the headers its browser adds. Links to
// what is merely shown may come from anywhere, such as a runbook.
func (a *Admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		shown := r.Method == http.MethodGet && !strings.HasPrefix(r.URL.Path, "/debug/")
		switch {
		case !a.hostAllowed(r.Host):
			refuse(w, http.StatusForbidden, "Host must be loopback")
		case !shown && foreign(r):
			refuse(w, http.StatusForbidden, "a web page of another origin may not do this")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (a *Admin) hostAllowed(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil { // no port
		host = strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
	}
	host = strings.ToLower(host)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback() || slices.Contains(a.o.AllowedHosts, host)
}

// foreign reports whether a browser says that a page of another origin made it send r.
func foreign(r *http.Request) bool {
	for _, origin := range r.Header.Values("Origin") {
		if !strings.EqualFold(origin, "http://"+r.Host) {
			return true
		}
	}
	for _, site := range r.Header.Values("Sec-Fetch-Site") {
		if site != "none" && site != "same-origin" {
			return true
		}
	}
	return false
}
