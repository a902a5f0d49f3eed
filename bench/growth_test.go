package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/bench/marks"
)

// What there is no time for is left out and said to be; a plot has two points at least.
func TestGrowthEndsInTime(t *testing.T) {
	for name, c := range map[string]struct {
		length time.Duration
		want   []int
		says   string
		err    error
	}{
		"enough":        {time.Hour, []int{1, 2, 3, 4}, "", nil},
		"not for all":   {150 * time.Second, []int{1, 2}, " There was no time for 3, 4.", nil},
		"for one point": {90 * time.Second, []int{1}, "", errTime},
	} {
		synctest.Test(t, func(t *testing.T) {
			g := grower{marker: &marker{out: &progress{}}, till: time.Now().Add(c.length)}
			var got []int
			says, err := g.each(t.Context(), []int{1, 2, 3, 4}, "things", func(ctx context.Context, value int) error {
				if !sleep(ctx, time.Minute) {
					return ctx.Err()
				}
				got = append(got, value)
				return nil
			})
			if !slices.Equal(got, c.want) || says != c.says || !errors.Is(err, c.err) {
				t.Errorf("%s: got %v, %q, %v, want %v, %q, %v", name, got, says, err, c.want, c.says, c.err)
			}
		})
	}
}

// What goes wrong in time is an error, not a point too many.
func TestGrowthTellsWhatWentWrong(t *testing.T) {
	g := grower{marker: &marker{out: &progress{}}, till: time.Now().Add(time.Hour)}
	wrong := errors.New("wrong")
	n := 0
	_, err := g.each(t.Context(), []int{1, 2, 3, 4}, "things", func(context.Context, int) error {
		if n++; n == 3 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) || n != 3 {
		t.Errorf("got %v after %d points, want %v after 3", err, n, wrong)
	}
}

func TestLinearNeedsThreePoints(t *testing.T) {
	s := marks.Series{Points: [][2]float64{{1, 1}, {2, 7}}}
	if got := linear(s, 1); strings.Contains(got, "straight") {
		t.Errorf("got %q of two points", got)
	}
	s.Points = append(s.Points, [2]float64{3, 13})
	if got, want := linear(s, 1), "a straight line (r² 1.000)"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
