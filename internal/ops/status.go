package ops

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"time"

	"vitrine/breaker"
	"vitrine/internal/logs"
	"vitrine/internal/reco"
)

// Status is everything there is to see at one moment: the body of GET /status.json.
type Status struct {
	// Verdict says in one sentence what is served, and what is wrong.
	Verdict string    `json:"verdict"`
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Commit  string    `json:"commit"`
	Go      string    `json:"go"`

	UptimeSeconds float64 `json:"uptimeSeconds"`

	LastMinute Minute             `json:"lastMinute"`
	History    []Moment           `json:"history"` // of the last five minutes, oldest first
	Breakers   []breaker.Snapshot `json:"breakers"`
	Events     Events             `json:"events"`
	Journal    Journal            `json:"journal"`
	Cache      Cache              `json:"cache"`
	Readiness  Readiness          `json:"readiness"`
	Memory     Memory             `json:"memory"`
	Figures    map[string]float64 `json:"figures"`
	LastErrors []logs.Line        `json:"lastErrors"`

	Configuration any `json:"configuration,omitempty"`
}

// Events is the ledger, with the age of the oldest pending event.
type Events struct {
	Ledger
	OldestPendingSeconds float64 `json:"oldestPendingSeconds"`
}

// Cache is the memory tier.
type Cache struct {
	Bytes   int64 `json:"bytes"`
	Entries int64 `json:"entries"`
}

// Memory is what the process holds, in bytes.
type Memory struct {
	Heap       uint64 `json:"heap"`  // live objects and those not yet collected
	Total      uint64 `json:"total"` // all that the runtime has from the system
	Limit      int64  `json:"limit,omitempty"`
	Goroutines int    `json:"goroutines"`
}

// read gathers the status.
func (a *Admin) read() Status {
	now := time.Now()
	from := a.o.Sources.read()
	s := Status{
		At: now.UTC(), Version: a.o.Version, Commit: a.o.Commit, Go: runtime.Version(),
		UptimeSeconds: now.Sub(a.began).Seconds(),
		LastMinute:    a.minute.last(),
		History:       a.minute.history(),
		Breakers:      make([]breaker.Snapshot, 0, len(a.o.Sources.Breakers)),
		Events:        Events{from.ledger, from.ledger.OldestPending.Seconds()},
		Journal:       from.journal,
		Cache:         Cache{from.cacheBytes, from.cacheEntries},
		Readiness:     readiness(a.o.Ready),
		Memory:        memory(),
		Figures:       make(map[string]float64, len(a.o.Sources.Figures)),
		LastErrors:    []logs.Line{},
	}
	for _, b := range a.o.Sources.Breakers {
		s.Breakers = append(s.Breakers, b.Snapshot())
	}
	for _, f := range a.o.Sources.Figures {
		if v := f.Value(); !math.IsNaN(v) && !math.IsInf(v, 0) { // JSON has neither
			s.Figures[f.Name] = v
		}
	}
	if a.o.LastErrors != nil {
		s.LastErrors = append(s.LastErrors, a.o.LastErrors()...)
	}
	if a.o.Configuration != nil {
		s.Configuration = a.o.Configuration()
	}
	s.Verdict = s.verdict()
	return s
}

// memory asks the runtime in a way that does not stop the world.
func memory() Memory {
	read := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/total:bytes"}}
	metrics.Read(read)
	m := Memory{Heap: read[0].Value.Uint64(), Total: read[1].Value.Uint64(), Goroutines: runtime.NumGoroutine()}
	if limit := debug.SetMemoryLimit(-1); limit < 1<<62 {
		m.Limit = limit
	}
	return m
}

// verdict puts s into one sentence.
func (s *Status) verdict() string {
	clauses := []string{s.LastMinute.verdict()}
	for _, b := range s.Breakers {
		if clause := breakerVerdict(b, s.At); clause != "" {
			clauses = append(clauses, clause)
		}
	}
	for _, d := range slices.Sorted(maps.Keys(s.Readiness.Dependencies)) {
		if !s.Readiness.Dependencies[d].Ready {
			clauses = append(clauses, d+" is away")
		}
	}
	if s.Journal.Away {
		clauses = append(clauses, "new events are kept in memory because the journal's disk is full or refuses")
	}
	return strings.Join(clauses, "; ") + "."
}

func (m Minute) verdict() string {
	if m.Requests == 0 {
		return "Nobody asked in the last minute"
	}
	places := [numSources]string{
		reco.FromAPI: "the API", reco.FromCache: "the cache", reco.FromStale: "older rankings",
		reco.FromNative: "the shop's own ordering", reco.FromNone: "nothing, with empty lists",
	}
	most := reco.FromNone
	for _, source := range reco.Sources {
		if m.Sources[source.String()].Requests > m.Sources[most.String()].Requests {
			most = source
		}
	}
	clause := "Serving from " + places[most]
	if share := m.Sources[most.String()].Share; share < 1 {
		clause = fmt.Sprintf("Serving mostly from %s (%.0f %% of the last minute)", places[most], 100*share)
	}
	if most < reco.FromCache { // it should have been better
		clause += m.commonestReason()
	}
	return clause
}

func (m Minute) commonestReason() string {
	most := ""
	for _, reason := range slices.Sorted(maps.Keys(m.Reasons)) {
		if m.Reasons[reason] > m.Reasons[most] {
			most = reason
		}
	}
	if most == "" {
		return ""
	}
	return ", reason " + most
}

// breakerVerdict is empty for a breaker that does what it does on a good day.
func breakerVerdict(b breaker.Snapshot, now time.Time) string {
	switch {
	case b.Override != "auto" && b.OverrideUntil.IsZero():
		return b.Name + " breaker set " + b.Override + " by an operator"
	case b.Override != "auto":
		return fmt.Sprintf("%s breaker set %s by an operator for another %s", b.Name, b.Override, seconds(b.OverrideUntil.Sub(now)))
	case b.HoldUntil.After(now):
		return fmt.Sprintf("%s asked for a pause, %s to go", b.Name, seconds(b.HoldUntil.Sub(now)))
	case b.State == breaker.HalfOpen:
		return b.Name + " breaker half-open, trying whether it is back"
	case b.State == breaker.Open:
		return b.Name + " breaker open" + openSince(b, now) + nextProbe(b, now)
	default:
		return ""
	}
}

// openSince says for how long the breaker has not been closed: what changed since was
// probing in vain.
func openSince(b breaker.Snapshot, now time.Time) string {
	for _, c := range slices.Backward(b.Changes) {
		if c.From == breaker.Closed {
			return " for " + seconds(now.Sub(c.At))
		}
	}
	return ""
}

func nextProbe(b breaker.Snapshot, now time.Time) string {
	if !b.OpenUntil.After(now) {
		return ""
	}
	return ", next probe in " + seconds(b.OpenUntil.Sub(now))
}

func seconds(d time.Duration) string { return max(d, 0).Round(time.Second).String() }

func (a *Admin) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.read())
}
