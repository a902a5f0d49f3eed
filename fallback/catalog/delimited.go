package catalog

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

var (
	errNoID    = errors.New("no column is called id; name it under columns")
	errTooLong = errors.New("a product is longer than allowed")
)

// delimited reads a feed of lines, the first of which names the columns.
func (p *parser) delimited(separator byte) error {
	t := table{p: p, separator: separator, line: 1}
	header, err := t.next()
	if errors.Is(err, io.EOF) {
		return errNoProducts
	}
	if err != nil {
		return err
	}
	places := make([]place, len(header))
	wanted := make([]bool, len(header))
	hasID := false
	for i, name := range header {
		places[i], wanted[i] = p.columns[columnName(name)]
		hasID = hasID || wanted[i] && places[i].column == colID
	}
	if !hasID {
		return &FeedError{Line: t.start, Err: errNoID}
	}
	for {
		fields, err := t.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(fields) != len(header):
			return &FeedError{Line: t.start, Err: fmt.Errorf("%d fields where the header has %d", len(fields), len(header))}
		}
		rec := record{line: t.start}
		for i, field := range fields {
			if wanted[i] {
				rec.set(places[i], strings.TrimSpace(field))
			}
		}
		if err := p.add(&rec); err != nil {
			return err
		}
	}
}

// table cuts a feed into lines of fields, by RFC 4180: a field that begins with a
// quote goes on to the next single quote, over separators and line ends. What
// follows that quote is taken as it stands, since feeds hold `"Best" shirt`.
type table struct {
	p         *parser
	separator byte
	line      int // being read
	start     int // where the last line that next returned began
	text      []byte
	ends      []int // of the fields, in text
	fields    []string
}

// next returns the fields of the next line that is not empty. They are good until
// the call after it. It returns io.EOF at the end.
func (t *table) next() ([]string, error) {
	for {
		t.start, t.text, t.ends = t.line, t.text[:0], t.ends[:0]
		err := t.read()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, &FeedError{Line: t.start, Err: err}
		}
		if len(t.ends) > 1 || len(t.text) > 0 {
			break
		}
		if err != nil {
			return nil, io.EOF
		}
	}
	t.fields = t.fields[:0]
	line, from := string(t.text), 0
	for _, end := range t.ends {
		t.fields = append(t.fields, line[from:end])
		from = end
	}
	return t.fields, nil
}

// read takes one line apart. It returns io.EOF when the feed ended with it.
func (t *table) read() error {
	quoted, begun := false, false // inside of quotes; past the first byte of a field
	for size := 0; ; size++ {
		c, err := t.p.in.ReadByte()
		switch {
		case errors.Is(err, io.EOF) && quoted:
			return errors.New("a quote that is not closed")
		case err != nil:
			t.endField(true)
			return err
		case size >= t.p.most:
			return errTooLong
		}
		if c == '\n' {
			t.line++
		}
		switch {
		case quoted && c == '"':
			if next, _ := t.p.in.Peek(1); len(next) == 1 && next[0] == '"' {
				_, _ = t.p.in.Discard(1)
				t.text = append(t.text, '"')
			} else {
				quoted = false
			}
		case quoted:
			t.text = append(t.text, c)
		case c == '"' && !begun:
			quoted, begun = true, true
		case c == t.separator:
			t.endField(false)
			begun = false
		case c == '\n':
			t.endField(true)
			return nil
		default:
			t.text = append(t.text, c)
			begun = true
		}
	}
}

// endField ends a field, the last of its line without the CR of a CRLF.
func (t *table) endField(last bool) {
	from := 0
	if len(t.ends) > 0 {
		from = t.ends[len(t.ends)-1]
	}
	if n := len(t.text); last && n > from && t.text[n-1] == '\r' {
		t.text = t.text[:n-1]
	}
	t.ends = append(t.ends, len(t.text))
}
