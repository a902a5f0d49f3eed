package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"vitrine/internal/redis"
)

// shelf is a Redis in the test's hands, shared by its pods. What it does is what a real
// one does, as far as parking can tell; parking_redis_test.go asks a real one.
type shelf struct {
	mu      sync.Mutex
	streams map[string]*stream
	leases  map[string]lease
	lives   map[string]time.Duration
	last    int64 // the highest id of any stream
}

// link is a pod's connection to a shelf.
type link struct {
	*shelf
	fail    func(what string) error // nil never fails
	lostAck int                     // how many more appends are done but not acknowledged
}

type stream struct {
	entries []redis.Entry
	lastID  string
	given   map[string]bool // nil without a group
}

type lease struct {
	owner string
	end   time.Time
}

func newShelf() *shelf {
	s := &shelf{}
	s.flush()
	return s
}

// flush is FLUSHALL.
func (s *shelf) flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.streams, s.leases, s.lives = map[string]*stream{}, map[string]lease{}, map[string]time.Duration{}
}

// endLeases gives every lease up, as if its time was over.
func (s *shelf) endLeases() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.leases)
}

// failing makes commands fail from now on.
func (s *link) failing(fail func(what string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = fail
}

// enter locks the shelf, unless the command is to fail.
func (s *link) enter(what string) error {
	s.mu.Lock()
	if s.fail == nil {
		return nil
	}
	if err := s.fail(what); err != nil {
		s.mu.Unlock()
		return fmt.Errorf("redis: %s: %w", what, err)
	}
	return nil
}

func (s *shelf) at(key string) *stream {
	if s.streams[key] == nil {
		s.streams[key] = &stream{}
	}
	return s.streams[key]
}

// items lists what all streams of events hold, in the order of their ids.
func (s *shelf) items() (items []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []redis.Entry
	for key, of := range s.streams {
		if key != "v1:parked:dead" {
			all = append(all, of.entries...)
		}
	}
	slices.SortFunc(all, func(a, b redis.Entry) int { return cmpID(a.ID, b.ID) })
	for _, e := range all {
		items = append(items, e.Values["body"])
	}
	return items
}

func cmpID(a, b string) int {
	var x, y int64
	_, _ = fmt.Sscan(a[:len(a)-2], &x)
	_, _ = fmt.Sscan(b[:len(b)-2], &y)
	return int(x - y)
}

func (s *link) XAdd(_ context.Context, key string, entries ...map[string]string) ([]string, error) {
	if err := s.enter("xadd"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	var ids []string
	of := s.at(key)
	for _, values := range entries {
		s.last++
		of.lastID = fmt.Sprintf("%d-0", s.last)
		of.entries = append(of.entries, redis.Entry{ID: of.lastID, Values: maps.Clone(values)})
		ids = append(ids, of.lastID)
	}
	if s.lostAck > 0 {
		s.lostAck--
		return nil, fmt.Errorf("redis: xadd: %w", redis.ErrUnavailable)
	}
	return ids, nil
}

func (s *link) XReadGroup(_ context.Context, key, _, _ string, count int, pending bool) (out []redis.Entry, err error) {
	if err := s.enter("xreadgroup"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	of := s.at(key)
	if of.given == nil {
		of.given = map[string]bool{}
	}
	for _, e := range of.entries {
		if len(out) < count && of.given[e.ID] == pending {
			of.given[e.ID] = true
			out = append(out, e)
		}
	}
	return out, nil
}

func (s *link) XSettle(_ context.Context, key, _ string, ids ...string) error {
	if err := s.enter("xack"); err != nil {
		return err
	}
	defer s.mu.Unlock()
	of := s.at(key)
	of.entries = slices.DeleteFunc(of.entries, func(e redis.Entry) bool { return slices.Contains(ids, e.ID) })
	return nil
}

func (s *link) XLastID(_ context.Context, key string) (string, error) {
	if err := s.enter("xinfo"); err != nil {
		return "", err
	}
	defer s.mu.Unlock()
	if of := s.streams[key]; of != nil {
		return of.lastID, nil
	}
	return "", nil
}

func (s *link) XRange(_ context.Context, key, from string, count int) (out []redis.Entry, err error) {
	if err := s.enter("xrange"); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	if s.streams[key] == nil {
		return nil, nil
	}
	for _, e := range s.streams[key].entries {
		if len(out) < count && (from == "-" || cmpID(e.ID, from[1:]) > 0) {
			out = append(out, e)
		}
	}
	return out, nil
}

func (s *link) Acquire(_ context.Context, key, owner string, life time.Duration) (bool, error) {
	return s.lease("acquire", key, owner, life)
}

func (s *link) Renew(_ context.Context, key, owner string, life time.Duration) (bool, error) {
	return s.lease("renew", key, owner, life)
}

func (s *link) Release(_ context.Context, key, owner string) error {
	_, err := s.lease("release", key, owner, 0)
	return err
}

func (s *link) lease(what, key, owner string, life time.Duration) (bool, error) {
	if err := s.enter(what); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	now := time.Now()
	has := s.leases[key]
	if now.Before(has.end) && has.owner != owner || what == "renew" && !now.Before(has.end) {
		return false, nil
	}
	s.leases[key] = lease{owner, now.Add(life)}
	return true, nil
}

// Pipe answers PEXPIRE, XLEN and MEMORY USAGE, the size of a stream being that of its bodies
// and 100 bytes for each.
func (s *link) Pipe(b redis.Batch) error {
	args := b.Commands[0].Args
	name, _ := args[0].(string)
	if err := s.enter(name); err != nil {
		return err
	}
	defer s.mu.Unlock()
	reply := any(nil)
	switch of := s.streams[b.Key]; {
	case name == "pexpire" && args[1] == b.Key:
		life, _ := args[2].(int64)
		s.lives[b.Key] = time.Duration(life) * time.Millisecond
		reply = int64(1)
	case name == "xlen" && args[1] == b.Key:
		if reply = int64(0); of != nil {
			reply = int64(len(of.entries))
		}
	case name == "memory" && args[1] == "usage" && args[2] == b.Key:
		if of != nil {
			bytes := 0
			for _, e := range of.entries {
				bytes += len(e.Values["body"]) + 100
			}
			reply = int64(bytes)
		}
	default:
		return errors.New("an unexpected command")
	}
	b.Done([]any{reply}, nil)
	return nil
}
