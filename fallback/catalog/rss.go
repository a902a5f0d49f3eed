package catalog

import (
	"bufio"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// rss reads the items of an RSS 2.0 feed, or the entries of an Atom feed, with
// Google's g: elements. Entities beyond XML's own five are errors, so that
// nothing expands.
func (p *parser) rss() error {
	x := &items{p: p, in: &gauge{in: p.in, most: p.most, line: 1}}
	x.xml = xml.NewDecoder(x.in)
	x.xml.CharsetReader = charset
	for {
		x.in.size = 0
		err := x.token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			continue
		}
		if _, placed := errors.AsType[*FeedError](err); placed {
			return err
		}
		if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
			return &FeedError{Line: syntax.Line, Err: errors.New(syntax.Msg)}
		}
		return &FeedError{Line: x.in.line, Err: err}
	}
}

// items walks through the elements of a feed.
type items struct {
	p     *parser
	in    *gauge
	xml   *xml.Decoder
	depth int // of elements that are open
	item  int // the depth of the item being read; 0 = none
	size  int // of the item so far
	rec   record
	place place // of the element being read
	text  []byte
	open  bool // an element that is wanted is being read
}

const (
	deepest  = 32
	googleNS = "http://base.google.com/ns/1.0"
)

// token takes in the next piece of the feed.
func (x *items) token() error {
	token, err := x.xml.Token()
	if err != nil {
		return err
	}
	if x.item > 0 {
		if x.size += x.in.size; x.size > x.p.most {
			return errTooLong
		}
	}
	switch token := token.(type) {
	case xml.StartElement:
		return x.start(token.Name)
	case xml.CharData:
		if x.open {
			x.text = append(x.text, token...)
		}
	case xml.EndElement:
		return x.end()
	}
	return nil
}

func (x *items) start(name xml.Name) error {
	if x.depth++; x.depth > deepest {
		return fmt.Errorf("elements nested more than %d deep", deepest)
	}
	switch {
	case x.item == 0 && (name.Local == "item" || name.Local == "entry"):
		x.item, x.size = x.depth, 0
		line, _ := x.xml.InputPos()
		x.rec = record{line: line}
	case x.item > 0 && x.depth == x.item+1:
		x.place, x.open = x.p.columns[columnName(name.Local)]
		if name.Space != googleNS && name.Space != "g" && x.place.rank > 0 {
			// RSS and Atom have elements of their own with the same names.
			x.place.rank += plainRank
		}
		x.text = x.text[:0]
	}
	return nil
}

const plainRank = 8

func (x *items) end() error {
	defer func() { x.depth-- }()
	switch {
	case x.item == 0:
	case x.depth == x.item:
		x.item = 0
		return x.p.add(&x.rec)
	case x.depth == x.item+1 && x.open:
		x.open = false
		if x.rec.set(x.place, strings.TrimSpace(string(x.text))) {
			x.rec.lines[x.place.column], _ = x.xml.InputPos()
		}
	}
	return nil
}

// gauge counts the lines, and the bytes of one token, which it bounds: the XML
// decoder itself would gather a text of any length.
type gauge struct {
	in   *bufio.Reader
	most int
	size int
	line int
}

func (g *gauge) ReadByte() (byte, error) {
	c, err := g.in.ReadByte()
	if err != nil {
		return 0, err
	}
	if g.size++; g.size > g.most {
		return 0, errTooLong
	}
	if c == '\n' {
		g.line++
	}
	return c, nil
}

// Read is there for the decoder's constructor, which asks for a reader; it then
// calls ReadByte only.
func (g *gauge) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c, err := g.ReadByte()
	if err != nil {
		return 0, err
	}
	p[0] = c
	return 1, nil
}

// charset reads the one encoding beside UTF-8 that feeds are still written in.
func charset(label string, in io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "iso-8859-1", "latin1", "us-ascii", "windows-1252":
		return &latin1{in: in}, nil
	default:
		return nil, fmt.Errorf("the encoding %q: write the feed in UTF-8", label)
	}
}

// latin1 turns ISO-8859-1 into UTF-8.
type latin1 struct {
	in   io.Reader
	rest []byte // of a character of two bytes
	one  [1]byte
}

func (l *latin1) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(l.rest) == 0 {
		if _, err := io.ReadFull(l.in, l.one[:]); err != nil {
			return 0, err
		}
		l.rest = utf8.AppendRune(l.rest, rune(l.one[0]))
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}
