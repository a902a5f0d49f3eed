// Package logs keeps a log readable while something is failing.
package logs

import (
	"context"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Handler passes at most one warning or error of a kind a minute on, and says with
// the next one how many it kept back; what is below a warning passes untouched. It
// also remembers the last warnings and errors for a status page.
//
// A kind is a level, a message and what the logger was given with With: messages are
// constants, and what varies belongs in attributes.
//
// Parts take a plain *slog.Logger and need not know that there is a limit.
type Handler struct {
	next   slog.Handler
	shared *shared
	with   string // attributes and groups bound so far, as part of the kind
}

const (
	interval = time.Minute
	maxKinds = 1000 // beyond them, new kinds share one
	maxLast  = 20
)

// shared is what all handlers that were derived from one have in common.
type shared struct {
	mu    sync.Mutex
	kinds map[string]*kind
	last  []Line
}

type kind struct {
	passed     time.Time
	suppressed int
}

// Line is a warning or an error as it was logged.
type Line struct {
	At      time.Time `json:"at"`
	Level   string    `json:"level"`
	Message string    `json:"message"`
	// Attributes are the line's own, as key=value.
	Attributes string `json:"attributes,omitempty"`
	// Suppressed is how many lines of this kind were kept back before this one.
	Suppressed int `json:"suppressed,omitempty"`
}

// New returns a Handler in front of next.
func New(next slog.Handler) *Handler {
	return &Handler{next: next, shared: &shared{kinds: map[string]*kind{}}}
}

// Enabled reports what the handler behind says.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

// Handle passes r on, unless one of its kind has passed within the minute.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return h.next.Handle(ctx, r)
	}
	suppressed, pass := h.shared.admit(h.with+r.Level.String()+" "+r.Message, r)
	if !pass {
		return nil
	}
	if suppressed > 0 {
		r = r.Clone()
		r.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a handler whose records all carry attrs.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var with strings.Builder
	with.WriteString(h.with)
	for _, a := range attrs {
		with.WriteString(a.String())
		with.WriteByte(' ')
	}
	return &Handler{next: h.next.WithAttrs(attrs), shared: h.shared, with: with.String()}
}

// WithGroup returns a handler whose records' attributes are all in a group.
func (h *Handler) WithGroup(name string) slog.Handler {
	return &Handler{next: h.next.WithGroup(name), shared: h.shared, with: h.with + name + "."}
}

// Last returns the last 20 warnings and errors that passed, oldest first.
func (h *Handler) Last() []Line {
	h.shared.mu.Lock()
	defer h.shared.mu.Unlock()
	return append([]Line(nil), h.shared.last...)
}

// admit decides about a record, and remembers it if it passes.
func (s *shared) admit(name string, r slog.Record) (suppressed int, pass bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[name]
	if k == nil {
		if len(s.kinds) >= maxKinds {
			name = ""
		}
		if k = s.kinds[name]; k == nil {
			k = &kind{}
			s.kinds[name] = k
		}
	}
	if !k.passed.IsZero() && r.Time.Sub(k.passed) < interval {
		k.suppressed++
		return 0, false
	}
	suppressed, k.suppressed, k.passed = k.suppressed, 0, r.Time
	if len(s.last) == maxLast {
		s.last = append(s.last[:0], s.last[1:]...)
	}
	s.last = append(s.last, Line{
		At: r.Time, Level: r.Level.String(), Message: r.Message, Attributes: attributes(r), Suppressed: suppressed,
	})
	return suppressed, true
}

func attributes(r slog.Record) string {
	var b strings.Builder
	r.Attrs(func(a slog.Attr) bool {
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.Key)
		b.WriteByte('=')
		value := a.Value.Resolve().String()
		if strings.ContainsAny(value, " =\"\n") {
			value = strconv.Quote(value)
		}
		b.WriteString(value)
		return true
	})
	return b.String()
}
