package catalog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
)

// format is how a feed is written.
type format string

// parser reads the records of one format.
type parser struct {
	in      *bufio.Reader
	columns columnMap
	most    int // bytes of one record
	add     func(*record) error
}

// parse reads a feed to its end.
func parse(ctx context.Context, r io.Reader, o Options) (*snapshot, error) {
	in, err := unpack(&cancelReader{ctx: ctx, r: r})
	if err != nil {
		return nil, err
	}
	in = bufio.NewReaderSize(&capReader{r: in, left: o.MaxBytes, most: o.MaxBytes}, 64<<10)
	if head, _ := in.Peek(len(byteOrderMark)); string(head) == byteOrderMark {
		_, _ = in.Discard(len(byteOrderMark))
	}
	b := newBuilder(o.MaxProducts)
	p := &parser{in: in, columns: newColumnMap(o.Columns), most: o.MaxRecord, add: b.addRecord}
	if err := p.parse(format(o.Format)); err != nil {
		return nil, err
	}
	if len(b.s.rows) == 0 {
		return nil, errNoProducts
	}
	return b.finish(), nil
}

const byteOrderMark = "\ufeff"

var errNoProducts = errors.New("the feed holds no products")

func (p *parser) parse(f format) error {
	if f == "auto" {
		f = p.sniff()
	}
	switch f {
	case "rss":
		return p.rss()
	case "ndjson":
		return p.ndjson()
	case "tsv":
		return p.delimited('\t')
	default:
		return p.delimited(p.separator())
	}
}

// sniff tells the format by the feed's first bytes.
func (p *parser) sniff() format {
	head, _ := p.in.Peek(sniffed)
	switch trimmed := bytes.TrimLeft(head, " \t\r\n"); {
	case bytes.HasPrefix(trimmed, []byte("<")):
		return "rss"
	case bytes.HasPrefix(trimmed, []byte("{")):
		return "ndjson"
	case bytes.ContainsRune(firstLine(head), '\t'):
		return "tsv"
	default:
		return "csv"
	}
}

// separator is what stands between the columns of a CSV: a semicolon if the
// header has no comma, as spreadsheets write it where the comma is for decimals.
func (p *parser) separator() byte {
	head, _ := p.in.Peek(sniffed)
	if line := firstLine(head); bytes.ContainsRune(line, ';') && !bytes.ContainsRune(line, ',') {
		return ';'
	}
	return ','
}

const sniffed = 8 << 10

func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// unpack looks through gzip, by its first bytes: servers and file names disagree.
func unpack(r io.Reader) (*bufio.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if head, _ := in.Peek(2); string(head) != "\x1f\x8b" {
		return in, nil
	}
	plain, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	return bufio.NewReaderSize(plain, 64<<10), nil
}

// capReader fails when more than a number of bytes are read, where an
// io.LimitedReader would pretend that the feed ends.
type capReader struct {
	r          io.Reader
	left, most int64
}

func (c *capReader) Read(p []byte) (int, error) {
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.r.Read(p)
	if c.left -= int64(n); c.left < 0 {
		return 0, fmt.Errorf("more than %d bytes", c.most)
	}
	return n, err
}

// cancelReader ends reading when its context does, which a file would not.
type cancelReader struct {
	ctx context.Context //nolint:containedctx // lives for one parse
	r   io.Reader
}

func (c *cancelReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
