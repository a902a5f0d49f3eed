package reco

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth bounds the nesting of objects and arrays.
const maxDepth = 64

// SyntaxError says what is wrong with a document, and at which member.
type SyntaxError struct {
	Member string // path such as "vitrine.native[3]"; "" for the document as a whole
	Detail string // what is wrong with it, without its value
}

// Error joins the member and what is wrong with it.
func (e *SyntaxError) Error() string {
	if e.Member == "" {
		return e.Detail
	}
	return e.Member + ": " + e.Detail
}

// reader is a strict JSON reader: unlike most, it refuses duplicate members at
// any depth, invalid UTF-8, lone surrogates and trailing data, and it says which
// member is at fault. The first error sticks and ends every loop. Its strings
// share s where they can.
//
// It exists because the journey reads one small event per page view, where a
// general strict decoder takes a tenth of the time a request has; a fuzz test
// holds it equal to one.
type reader struct {
	s     string
	i     int
	depth int
	err   *SyntaxError
}

func (r *reader) fail(detail string) {
	if r.err == nil {
		r.err = &SyntaxError{Detail: detail}
	}
}

// failAt is fail for a member that is not there to be read.
func (r *reader) failAt(member, detail string) {
	if r.err == nil {
		r.err = &SyntaxError{Member: member, Detail: detail}
	}
}

// blame puts a level of the path in front of an error found below it.
func (r *reader) blame(level string) {
	if rest := r.err.Member; rest != "" && rest[0] != '[' {
		level += "."
	}
	r.err.Member = level + r.err.Member
}

// peek skips white space and returns the next byte, 0 at the end.
func (r *reader) peek() byte {
	for r.i < len(r.s) {
		switch c := r.s[r.i]; c {
		case ' ', '\t', '\n', '\r':
			r.i++
		default:
			return c
		}
	}
	return 0
}

// end demands that nothing but white space is left.
func (r *reader) end() {
	if r.err == nil && (r.peek() != 0 || r.i < len(r.s)) {
		r.fail("data after the end of the document")
	}
}

// open enters an object or array.
func (r *reader) open(bracket byte, want string) bool {
	if r.err != nil {
		return false
	}
	if r.peek() != bracket {
		r.fail(want)
		return false
	}
	if r.depth++; r.depth > maxDepth {
		r.fail("nested more than " + strconv.Itoa(maxDepth) + " levels deep")
		return false
	}
	r.i++
	return true
}

// members walks an object: each next reads a name, and whoever walks reads the
// value, then asks for the next.
type members struct {
	r     *reader
	name  string
	n     int
	seen  [8]string           // the first names
	more  map[string]struct{} // the others
	ended bool
}

func (r *reader) object() members {
	return members{r: r, ended: !r.open('{', "must be an object")}
}

func (m *members) next() bool {
	r := m.r
	switch {
	case m.ended:
		return false
	case r.err != nil:
		r.blame(shorten(m.name))
		return false
	}
	switch c := r.peek(); {
	case c == '}':
		r.i++
		r.depth--
		return false
	case m.n > 0 && c != ',':
		return m.bad("',' or '}' expected")
	case m.n > 0:
		r.i++
		r.peek()
	}
	name := r.str()
	if r.err != nil {
		return m.bad("")
	}
	if !m.remember(name) {
		return m.bad("duplicate member " + strconv.Quote(shorten(name)))
	}
	m.name = name
	if r.peek() != ':' {
		return m.bad("':' expected")
	}
	r.i++
	return true
}

// bad ends the walk with an error of the object itself, not of a member.
func (m *members) bad(detail string) bool {
	m.r.fail(detail)
	m.ended = true
	return false
}

// remember reports whether name is new to its object. It takes name as an argument,
// and the map never what is in seen, because whatever of *m the compiler sees going
// to a map drags m.r along, and every reader would be a heap allocation.
func (m *members) remember(name string) bool {
	if slices.Contains(m.seen[:min(m.n, len(m.seen))], name) {
		return false
	}
	if m.n++; m.n <= len(m.seen) {
		m.seen[m.n-1] = name
		return true
	}
	if _, dup := m.more[name]; dup {
		return false
	}
	if m.more == nil {
		m.more = make(map[string]struct{}, 2*len(m.seen))
	}
	m.more[name] = struct{}{}
	return true
}

// elements walks an array in the same way.
type elements struct {
	r     *reader
	n     int // of elements begun
	ended bool
}

func (r *reader) array() elements {
	return elements{r: r, ended: !r.open('[', "must be an array")}
}

func (e *elements) next() bool {
	r := e.r
	switch {
	case e.ended:
		return false
	case r.err != nil:
		r.blame("[" + strconv.Itoa(e.n-1) + "]")
		return false
	}
	switch c := r.peek(); {
	case c == ']':
		r.i++
		r.depth--
		return false
	case e.n > 0 && c != ',':
		r.fail("',' or ']' expected")
		e.ended = true
		return false
	case e.n > 0:
		r.i++
		if r.peek() == ']' {
			r.fail("a value expected after ','")
			e.ended = true
			return false
		}
	}
	e.n++
	return true
}

// null consumes a null and reports whether there was one.
func (r *reader) null() bool {
	return r.err == nil && r.peek() == 'n' && r.literal("null")
}

func (r *reader) literal(word string) bool {
	if !strings.HasPrefix(r.s[r.i:], word) {
		r.fail("not a JSON value")
		return false
	}
	r.i += len(word)
	return true
}

// boolean reads true or false.
func (r *reader) boolean() bool {
	if r.err != nil {
		return false
	}
	switch r.peek() {
	case 't':
		return r.literal("true")
	case 'f':
		r.literal("false")
	default:
		r.fail("must be true or false")
	}
	return false
}

// number reads a number and says whether its literal is an integer's.
func (r *reader) number() (literal string, integer bool) {
	start := r.i
	if r.at('-') {
		r.i++
	}
	switch {
	case r.at('0'):
		r.i++
	case !r.digits():
		r.fail("not a JSON value")
		return "", false
	}
	integer = true
	if r.at('.') {
		r.i++
		integer = false
		if !r.digits() {
			r.fail("a digit expected after '.'")
			return "", false
		}
	}
	if r.at('e') || r.at('E') {
		r.i++
		integer = false
		if r.at('+') || r.at('-') {
			r.i++
		}
		if !r.digits() {
			r.fail("a digit expected in the exponent")
			return "", false
		}
	}
	return r.s[start:r.i], integer
}

func (r *reader) at(c byte) bool { return r.i < len(r.s) && r.s[r.i] == c }

func (r *reader) digits() bool {
	start := r.i
	for r.i < len(r.s) && r.s[r.i]-'0' <= 9 {
		r.i++
	}
	return r.i > start
}

// skip reads any value, as strictly as one that is kept.
func (r *reader) skip() {
	if r.err != nil {
		return
	}
	switch r.peek() {
	case '{':
		for m := r.object(); m.next(); {
			r.skip()
		}
	case '[':
		for e := r.array(); e.next(); {
			r.skip()
		}
	case '"':
		r.str()
	case 't', 'f':
		r.boolean()
	case 'n':
		r.null()
	default:
		r.number()
	}
}

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
	for i := start; i < len(r.s); i++ {
		switch c := r.s[i]; {
		case c == '"':
			r.i = i + 1
			return r.s[start:i]
		case c == '\\' || c < ' ' || c >= utf8.RuneSelf:
			return r.strSlow(start, i)
		}
	}
	r.fail("a string without an end")
	return ""
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
	for i := range len(s) {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		if c >= ' ' {
			dst = append(dst, '\\', c)
		} else {
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		from = i + 1
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
