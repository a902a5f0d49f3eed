package ops

import (
	"math"
	"net/http"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"vitrine/breaker"
	"vitrine/internal/logs"
)

// Status is everything there is to see at one moment: the body of GET /status.json.
type Status struct {
	// Verdict says in one sentence what is served, and what is wrong.
	Verdict string `json:"verdict"`
	// Well is whether nobody needs to look: nothing is away, and fallbacks are no failure's.
	Well    bool      `json:"well"`
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
	s.Verdict, s.Well = s.verdict()
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

func (a *Admin) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, a.read())
}
