package catalog

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// ndjson reads a feed of one JSON object a line.
func (p *parser) ndjson() error {
	var buffer []byte
	for number := 1; ; number++ {
		line, err := p.readLine(&buffer)
		ended := errors.Is(err, io.EOF)
		if err != nil && !ended {
			return &FeedError{Line: number, Err: err}
		}
		if line = bytes.TrimSpace(line); len(line) > 0 {
			rec := record{line: number}
			if err := p.object(line, &rec); err != nil {
				return err
			}
			if err := p.add(&rec); err != nil {
				return err
			}
		}
		if ended {
			return nil
		}
	}
}

// readLine returns the next line, good until the next call. It uses buffer for
// one that is longer than the reader's.
func (p *parser) readLine(buffer *[]byte) ([]byte, error) {
	line, err := p.in.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	*buffer = append((*buffer)[:0], line...)
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(*buffer) > p.most {
			return nil, errTooLong
		}
		line, err = p.in.ReadSlice('\n')
		*buffer = append(*buffer, line...)
	}
	return *buffer, err
}

// object takes a product's members into a record.
func (p *parser) object(line []byte, rec *record) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(line, &members); err != nil {
		return &FeedError{Line: rec.line, Err: err}
	}
	for _, name := range slices.Sorted(maps.Keys(members)) { // of two names for one column always the same counts
		raw := members[name]
		at, ok := p.columns[columnName(name)]
		if !ok {
			continue
		}
		value, err := scalar(raw)
		if err != nil {
			return &FeedError{Line: rec.line, Column: columnNames[at.column], Err: err}
		}
		rec.set(at, strings.TrimSpace(value))
	}
	return nil
}

// scalar reads a value as a text feed would have it: a list with commas between
// its elements, and a price that is an object, as in Google's API, as amount and
// currency.
func scalar(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case '[':
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return "", err
		}
		parts := make([]string, 0, len(list))
		for _, element := range list {
			part, err := scalar(element)
			if err != nil {
				return "", err
			}
			parts = append(parts, part)
		}
		return strings.Join(parts, ","), nil
	case '{':
		var price struct {
			Value    json.RawMessage `json:"value"`
			Currency string          `json:"currency"`
		}
		if err := json.Unmarshal(raw, &price); err != nil || price.Value == nil || price.Value[0] == '{' {
			return "", errors.New("must be a text, a number, a list, or an object of value and currency")
		}
		value, err := scalar(price.Value)
		return strings.TrimSpace(fmt.Sprint(value, " ", price.Currency)), err
	case 'n':
		return "", nil
	default:
		return string(raw), nil
	}
}
