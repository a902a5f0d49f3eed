package trace

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// Kind is what a span is to the process that it is of. Its values are OTLP's.
type Kind uint8

// The kinds there are here.
const (
	Server Kind = 2 // a request that came in
	Client Kind = 3 // a call that went out
)

// attribute is something said of a span: a text, or a number.
type attribute struct {
	key      string
	text     string
	number   int64
	isNumber bool
}

// Span is a piece of work that is being traced. A nil *Span is a piece that is not: all
// methods may be called, and do nothing. A Span is for one goroutine until it has ended.
type Span struct {
	tracer     *Tracer
	context    Context
	parent     [8]byte // zeros if it is the first of its trace
	kind       Kind
	name       string
	began      time.Time
	took       time.Duration
	attributes []attribute
	failed     string // why it is an error; "" if it is none
}

// newSpan begins a span below parent, or one that begins a trace.
func newSpan(t *Tracer, kind Kind, name string, parent Context, began time.Time) *Span {
	return &Span{
		tracer: t, kind: kind, name: name, began: began, parent: parent.Span,
		context:    Context{Trace: parent.Trace, Span: newSpanID(), Flags: parent.Flags | sampled},
		attributes: make([]attribute, 0, 8),
	}
}

// Ids need not be secret, and no two may be the same: what delivery's ids are made of will do.

func newTraceID() (id [16]byte) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1) // never all zeros
	binary.BigEndian.PutUint64(id[8:], rand.Uint64())
	return id
}

func newSpanID() (id [8]byte) {
	binary.BigEndian.PutUint64(id[:], rand.Uint64()|1)
	return id
}

// Context is what the work below the span is a part of; the zero Context of a nil Span.
func (s *Span) Context() Context {
	if s == nil {
		return Context{}
	}
	return s.context
}

// Client begins the span of a call that is a part of what s is of, whose trace is kept. That of a
// nil Span is nil. It may be called while s is somebody else's, who ends it later.
func (s *Span) Client(name string) *Span {
	if s == nil {
		return nil
	}
	return newSpan(s.tracer, Client, name, s.context, time.Now())
}

// Set says something of the span. An empty value says nothing. Neither key nor value may hold
// anything of a person or a session.
func (s *Span) Set(key, value string) {
	if s != nil && value != "" {
		s.attributes = append(s.attributes, attribute{key: key, text: value})
	}
}

// SetInt says a number of the span.
func (s *Span) SetInt(key string, value int) {
	if s != nil {
		s.attributes = append(s.attributes, attribute{key: key, number: int64(value), isNumber: true})
	}
}

// Fail makes the span one of an error.
func (s *Span) Fail(why string) {
	if s != nil {
		s.failed = why
	}
}

// End ends the span and hands it to its [Tracer], which drops it rather than wait. Nothing may be
// said of it any more.
func (s *Span) End() {
	if s == nil {
		return
	}
	s.took = time.Since(s.began)
	select {
	case s.tracer.queue <- s:
	default:
		s.tracer.dropped.Add(1)
	}
}
