package reco

import (
	"slices"
	"strconv"
	"strings"
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
