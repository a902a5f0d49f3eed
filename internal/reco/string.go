package reco

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// str reads a string.
func (r *reader) str() string {
	if r.err != nil {
		return ""
	}
	if r.peek() != '"' {
		r.fail("must be a string")
		return ""
	}
	start := r.i + 1
	end := start + plain(r.s[start:])
	if end < len(r.s) && r.s[end] == '"' {
		r.i = end + 1
		return r.s[start:end]
	}
	return r.strSlow(start, end)
}

// plain returns how many bytes s begins with that stand for themselves in a JSON
// string: ASCII, less control characters, quotes and backslashes.
//
// It looks at eight bytes at once: each test leaves the highest bit of a byte set which
// it finds, or of one above it, so that the lowest set one is right. Of what a request
// costs that brings two hundred ids, looking at one byte after the other is a third.
func plain(s string) int {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		w := binary.LittleEndian.Uint64([]byte(s[i : i+8]))
		control, quote, backslash := w-' '*each, (w^'"'*each)-each, (w^'\\'*each)-each
		found := (w | control | quote | backslash) & high
		if found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			break
		}
	}
	return i
}

// strSlow goes on from byte i of a string that holds more than plain ASCII.
func (r *reader) strSlow(start, i int) string {
	var out []byte // nil while nothing was escaped, so that the text can be shared
	from := start
	for i < len(r.s) {
		switch c := r.s[i]; {
		case c == '"':
			r.i = i + 1
			if out == nil {
				return r.s[start:i]
			}
			return string(append(out, r.s[from:i]...))
		case c == '\\':
			out = append(out, r.s[from:i]...)
			if out, i = r.unescape(out, i+1); r.err != nil {
				return ""
			}
			from = i
		case c < ' ':
			r.fail("a control character in a string")
			return ""
		case c < utf8.RuneSelf:
			i++
		default:
			char, size := utf8.DecodeRuneInString(r.s[i:])
			if char == utf8.RuneError && size == 1 {
				r.fail("invalid UTF-8")
				return ""
			}
			i += size
		}
	}
	r.fail("a string without an end")
	return ""
}

// unescape appends the character whose escape stands at i, behind its backslash.
func (r *reader) unescape(out []byte, i int) ([]byte, int) {
	if i >= len(r.s) {
		r.fail("a string without an end")
		return out, i
	}
	switch c := r.s[i]; c {
	case '"', '\\', '/':
		return append(out, c), i + 1
	case 'b':
		return append(out, '\b'), i + 1
	case 'f':
		return append(out, '\f'), i + 1
	case 'n':
		return append(out, '\n'), i + 1
	case 'r':
		return append(out, '\r'), i + 1
	case 't':
		return append(out, '\t'), i + 1
	case 'u':
		char, ok := r.hex4(i + 1)
		i += 5
		if ok && utf16.IsSurrogate(char) {
			low, paired := rune(0), false
			if strings.HasPrefix(r.s[i:], `\u`) {
				low, paired = r.hex4(i + 2)
			}
			if char = utf16.DecodeRune(char, low); !paired || char == utf8.RuneError {
				r.fail("a lone surrogate in a string")
				return out, i
			}
			i += 6
		}
		if ok {
			return utf8.AppendRune(out, char), i
		}
	}
	r.fail("an unknown escape in a string")
	return out, i
}

func (r *reader) hex4(i int) (rune, bool) {
	if i+4 > len(r.s) {
		return 0, false
	}
	var v rune
	for _, c := range []byte(r.s[i : i+4]) {
		switch {
		case c-'0' <= 9:
			v = v<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, false
		}
	}
	return v, true
}

// appendString appends s as a JSON string. Only what must be escaped is.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := plain(s); i < len(s); i += plain(s[i:]) {
		c := s[i]
		i++
		if c >= utf8.RuneSelf {
			continue
		}
		dst = append(dst, s[from:i-1]...)
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// shorten keeps a name from outside fit for an error message.
func shorten(name string) string {
	const most = 64
	if len(name) <= most {
		return name
	}
	cut := most
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return name[:cut] + "…"
}
