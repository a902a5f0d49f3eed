package trace

import "encoding/hex"

// Length is that of a traceparent as [Context.AppendTo] writes it, in bytes.
const Length = 55

// Context says what something is a part of: a trace, and a span in it. It is what the header
// traceparent carries (W3C Trace Context, https://www.w3.org/TR/trace-context-2/). It holds no
// pointer, and is comparable; the zero Context is that of what is not traced.
type Context struct {
	Trace [16]byte
	Span  [8]byte
	Flags byte
}

const (
	sampled = 0x01 // whoever began the trace keeps it
	random  = 0x02 // the trace's id is random

	// Of a version to come only the first flag is sure to mean the same.
	flagsOfNow, flagsOfLater = sampled | random, sampled

	// maxLength bounds a traceparent of a version to come, in bytes.
	maxLength = 256
)

// Parse reads the value of a traceparent header: the zero Context and false unless it is valid.
// One of a later version, which may go on after what is known of it, is read as far as that
// goes, as the standard asks for.
func Parse[T string | []byte](header T) (Context, bool) {
	var c Context
	var version, flags [1]byte
	if len(header) < Length || len(header) > maxLength || header[2] != '-' || header[35] != '-' || header[52] != '-' ||
		!unhex(version[:], header[:2]) || !unhex(c.Trace[:], header[3:35]) ||
		!unhex(c.Span[:], header[36:52]) || !unhex(flags[:], header[53:55]) {
		return Context{}, false
	}
	switch version[0] {
	case 0x00:
		if len(header) != Length {
			return Context{}, false
		}
		c.Flags = flags[0] & flagsOfNow
	case 0xff:
		return Context{}, false
	default:
		if len(header) > Length && header[Length] != '-' {
			return Context{}, false
		}
		c.Flags = flags[0] & flagsOfLater
	}
	if c.Trace == [16]byte{} || c.Span == [8]byte{} {
		return Context{}, false
	}
	return c, true
}

// unhex decodes as many digits as dst has room for, and reports whether all were such: lower
// case, as the standard wants them.
func unhex[T string | []byte](dst []byte, src T) bool {
	for i := range dst {
		high, low := digit(src[2*i]), digit(src[2*i+1])
		if high|low > 0xf {
			return false
		}
		dst[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return 0xff
	}
}

// IsZero reports whether there is no trace.
func (c Context) IsZero() bool { return c == Context{} }

// Sampled reports whether whoever handed the context on keeps the trace.
func (c Context) Sampled() bool { return c.Flags&sampled != 0 }

// AppendTo appends the value of a traceparent header, of [Length] bytes. The context must not be zero.
func (c Context) AppendTo(dst []byte) []byte {
	dst = hex.AppendEncode(append(dst, "00-"...), c.Trace[:])
	dst = hex.AppendEncode(append(dst, '-'), c.Span[:])
	return hex.AppendEncode(append(dst, '-'), []byte{c.Flags})
}

// String returns the value of a traceparent header; "" for the zero Context, which has none.
func (c Context) String() string {
	if c.IsZero() {
		return ""
	}
	return string(c.AppendTo(make([]byte, 0, Length)))
}
