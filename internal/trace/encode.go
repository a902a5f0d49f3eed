package trace

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of OTLP 1.11 (opentelemetry/proto/trace/v1/trace.proto and what it is made of), as
// far as they are used here.
const (
	requestResourceSpans = 1

	resourceSpansResource = 1
	resourceSpansScope    = 2

	resourceAttributes = 1

	scopeSpansScope = 1
	scopeSpansSpans = 2

	scopeName    = 1
	scopeVersion = 2

	spanTraceID      = 1
	spanSpanID       = 2
	spanParentSpanID = 4
	spanName         = 5
	spanKind         = 6
	spanStart        = 7
	spanEnd          = 8
	spanAttributes   = 9
	spanStatus       = 15
	spanFlags        = 16

	statusMessage = 2
	statusCode    = 3
	statusError   = 2

	keyValueKey   = 1
	keyValueValue = 2

	anyValueString = 1
	anyValueInt    = 3
)

// scope is what the spans say they were made by.
const scope = "vitrine"

// encode returns the body of a post: an ExportTraceServiceRequest.
func (t *Tracer) encode(batch []*Span) []byte {
	var resource []byte
	for _, key := range slices.Sorted(maps.Keys(t.opt.Resource)) {
		resource = appendAttribute(resource, resourceAttributes, attribute{key: key, text: t.opt.Resource[key]})
	}
	by := appendText(nil, scopeName, scope)
	by = appendText(by, scopeVersion, t.opt.Version)
	spans := appendBytes(nil, scopeSpansScope, by)
	var one []byte
	for _, s := range batch {
		one = s.appendTo(one[:0])
		spans = appendBytes(spans, scopeSpansSpans, one)
	}
	all := appendBytes(nil, resourceSpansResource, resource)
	all = appendBytes(all, resourceSpansScope, spans)
	return appendBytes(nil, requestResourceSpans, all)
}

// appendTo appends the span as a Span.
func (s *Span) appendTo(dst []byte) []byte {
	dst = appendBytes(dst, spanTraceID, s.context.Trace[:])
	dst = appendBytes(dst, spanSpanID, s.context.Span[:])
	if s.parent != [8]byte{} {
		dst = appendBytes(dst, spanParentSpanID, s.parent[:])
	}
	dst = appendText(dst, spanName, s.name)
	dst = appendNumber(dst, spanKind, uint64(s.kind))
	start := uint64(s.began.UnixNano())
	dst = protowire.AppendTag(dst, spanStart, protowire.Fixed64Type)
	dst = protowire.AppendFixed64(dst, start)
	dst = protowire.AppendTag(dst, spanEnd, protowire.Fixed64Type)
	dst = protowire.AppendFixed64(dst, start+uint64(s.took)) //nolint:gosec // a monotonic clock's
	for _, a := range s.attributes {
		dst = appendAttribute(dst, spanAttributes, a)
	}
	if s.failed != "" {
		status := appendText(nil, statusMessage, s.failed)
		dst = appendBytes(dst, spanStatus, appendNumber(status, statusCode, statusError))
	}
	dst = protowire.AppendTag(dst, spanFlags, protowire.Fixed32Type)
	return protowire.AppendFixed32(dst, uint32(s.context.Flags))
}

// appendAttribute appends a KeyValue as a field.
func appendAttribute(dst []byte, field protowire.Number, a attribute) []byte {
	var value []byte
	if a.isNumber {
		value = appendNumber(nil, anyValueInt, uint64(a.number)) //nolint:gosec // the same 64 bits
	} else {
		value = appendText(nil, anyValueString, a.text)
	}
	pair := appendText(nil, keyValueKey, a.key)
	return appendBytes(dst, field, appendBytes(pair, keyValueValue, value))
}

func appendText(dst []byte, field protowire.Number, text string) []byte {
	return protowire.AppendString(protowire.AppendTag(dst, field, protowire.BytesType), text)
}

func appendBytes(dst []byte, field protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(dst, field, protowire.BytesType), content)
}

func appendNumber(dst []byte, field protowire.Number, n uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(dst, field, protowire.VarintType), n)
}
