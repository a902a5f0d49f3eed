package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
)

// builder gathers rows into a snapshot.
type builder struct {
	s       *snapshot
	named   map[string]uint16
	maxRows int
}

func newBuilder(maxRows int) *builder {
	return &builder{
		s:       &snapshot{row: newIndex(), group: newIndex(), names: []string{""}},
		named:   map[string]uint16{"": 0},
		maxRows: maxRows,
	}
}

var errTooManyNames = errors.New("more different categories, sizes and currencies than 65 535")

// name returns the number of a name that many rows share.
func (b *builder) name(name string) (uint16, error) {
	if n, ok := b.named[name]; ok {
		return n, nil
	}
	if len(b.s.names) > maxNames {
		return 0, errTooManyNames
	}
	n := uint16(len(b.s.names)) //nolint:gosec // at most maxNames
	name = strings.Clone(name)  // it would hold the whole line
	b.s.names = append(b.s.names, name)
	b.named[name] = n
	return n, nil
}

// add takes a row in. Of two with one id the later counts.
func (b *builder) add(id, groupID string, r row) error {
	s := b.s
	r.group = noGroup
	if groupID != "" {
		g, ok := s.group.find(groupID)
		if !ok {
			if len(s.groups) >= b.maxRows {
				return fmt.Errorf("more than %d groups", b.maxRows)
			}
			g = uint32(len(s.groups)) //nolint:gosec // at most 10 million
			s.groups = append(s.groups, group{id: strings.Clone(groupID)})
			s.group.put(groupID, g)
		}
		r.group = g
	}
	if at, ok := s.row.find(id); ok {
		s.rows[at] = r
		return nil
	}
	if len(s.rows) >= b.maxRows {
		return fmt.Errorf("more than %d products", b.maxRows)
	}
	s.row.put(id, uint32(len(s.rows))) //nolint:gosec // at most 10 million
	s.rows = append(s.rows, r)
	return nil
}

// finish lists the groups' members and works out the stock as the feed has it.
func (b *builder) finish() *snapshot {
	s := b.s
	s.rows = slices.Clip(s.rows)
	s.pushed = make(map[uint32]int64)
	s.ofRow = make([]atomic.Uint64, len(s.rows))
	s.ofGroup = make([]atomic.Uint64, len(s.groups))
	total := uint32(0)
	for i := range s.rows {
		s.ofRow[i].Store(uint64(s.rows[i].state()))
		if g := s.rows[i].group; g != noGroup {
			s.groups[g].n++
			total++
		}
	}
	s.members = make([]uint32, total)
	at := uint32(0)
	for g := range s.groups {
		s.groups[g].first = at
		at += s.groups[g].n
		s.groups[g].n = 0
	}
	for i := range s.rows {
		if g := s.rows[i].group; g != noGroup {
			group := &s.groups[g]
			s.members[group.first+group.n] = uint32(i)
			group.n++
		}
	}
	for g := range s.groups {
		s.sum(uint32(g))
	}
	return s
}
