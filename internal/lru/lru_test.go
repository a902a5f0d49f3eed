package lru_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"vitrine/internal/lru"
)

const most = 800

func newCache() *lru.Cache[int, string] {
	return lru.New[int](most, func(v string) int64 { return int64(len(v)) })
}

// Whatever is done, the cache holds what a list searched from end to end would.
func TestCacheIsAListByUse(t *testing.T) {
	t.Parallel()
	type pair struct {
		key   int
		value string
	}
	random := rand.New(rand.NewPCG(1, 2))
	c, want := newCache(), []pair(nil) // used last first
	take := func(key int) (p pair, found bool) {
		i := slices.IndexFunc(want, func(p pair) bool { return p.key == key })
		if i < 0 {
			return pair{}, false
		}
		p = want[i]
		want = slices.Delete(want, i, i+1)
		return p, true
	}
	bytes := func() (n int64) {
		for _, p := range want {
			n += int64(len(p.value))
		}
		return n
	}
	for range 20_000 {
		key := random.IntN(40)
		switch random.IntN(4) {
		case 0:
			c.Drop(key)
			take(key)
		case 1:
			got, found := c.Use(key)
			p, wanted := take(key)
			if wanted {
				want = slices.Insert(want, 0, p)
			}
			if found != wanted || got != p.value {
				t.Fatalf("got %q, %t for %d, want %q, %t", got, found, key, p.value, wanted)
			}
		case 2:
			value := string(make([]byte, random.IntN(most/8+10)))
			c.Put(key, value)
			take(key)
			if len(value) <= most/8 {
				want = slices.Insert(want, 0, pair{key, value})
			}
			for bytes() > most {
				want = want[:len(want)-1]
			}
		default:
			i := 0
			for k, v := range c.All() {
				if i >= len(want) || want[i] != (pair{k, v}) {
					t.Fatalf("got %d at place %d, want %+v", k, i, want)
				}
				i++
			}
			if n, values := c.Size(); i != len(want) || n != bytes() || values != len(want) {
				t.Fatalf("got %d values of %d bytes, %d of them yielded, want %d of %d", values, n, i, len(want), bytes())
			}
		}
	}
}

func TestGetIsNoUse(t *testing.T) {
	t.Parallel()
	c := newCache()
	for key := range 8 {
		c.Put(key, string(make([]byte, 100)))
	}
	c.Get(0)
	c.Use(1)
	c.Put(8, string(make([]byte, 100)))
	if _, found := c.Get(0); found {
		t.Error("got 0, which was only looked at, want it gone first")
	}
	if _, found := c.Get(1); !found {
		t.Error("got nothing under 1, which was used, want it kept")
	}
}

func TestTheValueYieldedMayBeDropped(t *testing.T) {
	t.Parallel()
	c := newCache()
	for key := range 6 {
		c.Put(key, "x")
	}
	for key := range c.All() {
		if key%2 == 0 {
			c.Drop(key)
		}
	}
	if bytes, values := c.Size(); bytes != 3 || values != 3 {
		t.Errorf("got %d values of %d bytes, want 3 of 3", values, bytes)
	}
}
