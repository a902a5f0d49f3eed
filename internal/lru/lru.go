// Package lru keeps values by key within a bound of bytes.
package lru

import (
	"container/list"
	"iter"
)

// Cache holds values, of which the one used longest ago goes first when there are too many
// bytes. It is not safe for concurrent use: whoever has one guards more with the same lock.
type Cache[K comparable, V any] struct {
	most   int64
	cost   func(V) int64
	bytes  int64
	byKey  map[K]*list.Element // of *item[K, V]
	recent *list.List          // front = used last
}

type item[K comparable, V any] struct {
	key   K
	value V
}

// biggestShare is the most of all bytes that one value may have: one part in.
const biggestShare = 8

// New returns an empty cache of at most so many bytes. cost is what a value takes of them,
// the same whenever it is asked.
func New[K comparable, V any](most int64, cost func(V) int64) *Cache[K, V] {
	return &Cache[K, V]{most: most, cost: cost, byKey: make(map[K]*list.Element), recent: list.New()}
}

// Get returns the value under a key without using it.
func (c *Cache[K, V]) Get(key K) (value V, found bool) {
	at, found := c.byKey[key]
	if !found {
		return value, false
	}
	return itemOf[K, V](at).value, true
}

// Use returns the value under a key, which then is the one used last.
func (c *Cache[K, V]) Use(key K) (value V, found bool) {
	at, found := c.byKey[key]
	if !found {
		return value, false
	}
	c.recent.MoveToFront(at)
	return itemOf[K, V](at).value, true
}

// Put keeps a value under a key, in place of the one before. A value over an eighth of all
// bytes is not kept, and leaves the place empty.
func (c *Cache[K, V]) Put(key K, value V) {
	c.Drop(key)
	cost := c.cost(value)
	if cost > c.most/biggestShare {
		return
	}
	c.bytes += cost
	c.byKey[key] = c.recent.PushFront(&item[K, V]{key, value})
	for c.bytes > c.most {
		c.Drop(itemOf[K, V](c.recent.Back()).key)
	}
}

// Drop forgets the value under a key, if there is one.
func (c *Cache[K, V]) Drop(key K) {
	at, found := c.byKey[key]
	if !found {
		return
	}
	c.recent.Remove(at)
	delete(c.byKey, key)
	c.bytes -= c.cost(itemOf[K, V](at).value)
}

// All yields every value, the one used last first. The one yielded may be dropped.
func (c *Cache[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for at := c.recent.Front(); at != nil; {
			next, it := at.Next(), itemOf[K, V](at)
			if !yield(it.key, it.value) {
				return
			}
			at = next
		}
	}
}

// Size is what the values cost together, and how many there are.
func (c *Cache[K, V]) Size() (bytes int64, values int) { return c.bytes, len(c.byKey) }

func itemOf[K comparable, V any](at *list.Element) *item[K, V] {
	return at.Value.(*item[K, V]) //nolint:errcheck,forcetypeassert // nothing else is in the list
}
