package ops

import (
	"strconv"
	"strings"
	"sync/atomic"
)

// tally counts by label value with neither lock nor map. Its cells are the names it
// knows, every HTTP status there can be, and "other", so that no value from outside
// can make it grow.
type tally struct {
	names  []string
	prefix string // of a status among the label values
	cells  []atomic.Uint64
}

const (
	leastStatus = 100
	mostStatus  = 599
	other       = "other"
)

func newTally(prefix string, names ...string) tally {
	return tally{names: names, prefix: prefix, cells: make([]atomic.Uint64, len(names)+mostStatus-leastStatus+2)}
}

// add counts one of the name.
func (t *tally) add(name string) { t.cells[t.cell(name)].Add(1) }

func (t *tally) cell(name string) int {
	for i, known := range t.names {
		if known == name {
			return i
		}
	}
	if digits, ok := strings.CutPrefix(name, t.prefix); ok && len(digits) == 3 {
		if status, err := strconv.Atoi(digits); err == nil && leastStatus <= status && status <= mostStatus {
			return len(t.names) + status - leastStatus
		}
	}
	return len(t.cells) - 1
}

// each calls yield for the first always names, and for whatever else was counted.
func (t *tally) each(always int, yield func(name string, count uint64)) {
	for i := range t.cells {
		if count := t.cells[i].Load(); count > 0 || i < always {
			yield(t.name(i), count)
		}
	}
}

func (t *tally) name(cell int) string {
	switch {
	case cell < len(t.names):
		return t.names[cell]
	case cell == len(t.cells)-1:
		return other
	default:
		return t.prefix + strconv.Itoa(cell-len(t.names)+leastStatus)
	}
}
