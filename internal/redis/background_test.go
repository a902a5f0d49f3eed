package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"vitrine/internal/redis"
	"vitrine/internal/redistest"
)

func TestValues(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	ctx := t.Context()
	if _, found, err := c.Get(ctx, "k"); found || err != nil {
		t.Errorf("before: got %t, %v", found, err)
	}
	if err := c.Set(ctx, "k", "\x00v", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, found, err := c.Get(ctx, "k"); got != "\x00v" || !found || err != nil {
		t.Errorf("got %q, %t, %v", got, found, err)
	}
	if err := c.HSet(ctx, "h", map[string]string{"a": "1", "b": "2"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	if got, err := c.HGetAll(ctx, "h"); err != nil || len(got) != 2 || got["b"] != "2" {
		t.Errorf("got %v, %v", got, err)
	}
	for _, key := range []string{"k", "h"} {
		if got := server.Do("PTTL", key); got < "5" { // 59…: of a minute, in ms
			t.Errorf("%s: got a life of %s ms", key, got)
		}
	}
	if err := c.Del(ctx, "k", "h", "absent"); err != nil {
		t.Fatal(err)
	}
	if got := server.Do("DBSIZE"); got != "0" {
		t.Errorf("deleted: got %s keys", got)
	}
	if c.Set(ctx, "k", "v", 0) == nil || c.HSet(ctx, "k", map[string]string{"a": ""}, -1) == nil {
		t.Error("got a value for ever, want it refused")
	}
	var reply redis.ReplyError
	server.Do("SET", "text", "v")
	if _, err := c.HGetAll(ctx, "text"); !errors.As(err, &reply) {
		t.Errorf("got %v, want Redis's own words", err)
	}
}

func TestLease(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	ctx := t.Context()
	step := func(what string, got bool, err error, want bool) {
		t.Helper()
		if err != nil || got != want {
			t.Errorf("%s: got %t, %v; want %t", what, got, err, want)
		}
	}
	got, err := c.Acquire(ctx, "l", "a", time.Minute)
	step("a takes it", got, err, true)
	got, err = c.Acquire(ctx, "l", "b", time.Minute)
	step("b wants it", got, err, false)
	got, err = c.Acquire(ctx, "l", "a", time.Minute)
	step("a takes it again", got, err, true)
	got, err = c.Renew(ctx, "l", "b", time.Minute)
	step("b renews", got, err, false)
	got, err = c.Renew(ctx, "l", "a", time.Minute)
	step("a renews", got, err, true)
	step("b gives it back", true, c.Release(ctx, "l", "b"), true)
	got, err = c.Acquire(ctx, "l", "b", time.Minute)
	step("b wants it still", got, err, false)
	step("a gives it back", true, c.Release(ctx, "l", "a"), true)
	got, err = c.Acquire(ctx, "l", "b", time.Millisecond)
	step("b takes it", got, err, true)
	eventually(t, "b's lease to end", func() bool {
		got, err := c.Acquire(ctx, "l", "a", time.Minute)
		return got && err == nil
	})
}

// Rubbish in a lease's place does not keep it from everybody for ever.
func TestRubbishIsNoLease(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	for what, rubbish := range map[string][]string{
		"a text without an end": {"SET", "l", "somebody"},
		"another type":          {"HSET", "l", "field", "value"},
	} {
		server.Do("DEL", "l")
		server.Do(rubbish...)
		if had, err := c.Renew(t.Context(), "l", "a", time.Minute); had || err != nil {
			t.Errorf("%s: got %t, %v from renewing it, want it to be nobody's", what, had, err)
		}
		if err := c.Release(t.Context(), "l", "a"); err != nil {
			t.Errorf("%s: got %v from giving it back", what, err)
		}
		if got, err := c.Acquire(t.Context(), "l", "a", time.Minute); !got || err != nil {
			t.Errorf("%s: got %t, %v from taking it, want it taken", what, got, err)
		}
	}
}

func TestStreams(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patient)
	ctx := t.Context()
	if id, err := c.XLastID(ctx, "s"); id != "" || err != nil {
		t.Errorf("no stream: got %q, %v", id, err)
	}
	var parked []map[string]string
	for i := range 5 {
		parked = append(parked, map[string]string{"id": fmt.Sprint(i), "body": "\x00\xff"})
	}
	ids, err := c.XAdd(ctx, "s", parked...)
	if err != nil || len(ids) != 5 || !slices.IsSorted(ids) {
		t.Fatalf("got %v, %v, want 5 rising ids", ids, err)
	}
	entries, err := c.XRange(ctx, "s", "-", 2)
	if err != nil || len(entries) != 2 || entries[1].ID != ids[1] || entries[1].Values["body"] != "\x00\xff" {
		t.Errorf("got %v, %v, want the first two", entries, err)
	}
	if entries, err = c.XRange(ctx, "s", "("+ids[1], 10); err != nil || len(entries) != 3 || entries[0].ID != ids[2] {
		t.Errorf("got %v, %v, want the last three", entries, err)
	}

	// The group is created on the way, and again after Redis was emptied.
	if entries, err = c.XReadGroup(ctx, "s", "g", "me", 3, false); err != nil || len(entries) != 3 || entries[0].ID != ids[0] {
		t.Fatalf("got %v, %v, want the first three", entries, err)
	}
	if err := c.XSettle(ctx, "s", "g", ids[0], ids[1]); err != nil {
		t.Fatal(err)
	}
	if entries, err = c.XReadGroup(ctx, "s", "g", "me", 10, true); err != nil || len(entries) != 1 || entries[0].ID != ids[2] {
		t.Errorf("pending: got %v, %v, want the third", entries, err)
	}
	if entries, err = c.XReadGroup(ctx, "s", "g", "me", 10, false); err != nil || len(entries) != 2 {
		t.Errorf("the rest: got %v, %v, want two", entries, err)
	}
	if n, err := c.XLen(ctx, "s"); n != 3 || err != nil {
		t.Errorf("got %d left, %v; want 3", n, err)
	}
	if id, err := c.XLastID(ctx, "s"); id != ids[4] || err != nil {
		t.Errorf("got last id %q, %v; want %q", id, err, ids[4])
	}
	server.Do("FLUSHALL")
	if entries, err = c.XReadGroup(ctx, "s", "g", "me", 10, false); err != nil || len(entries) != 0 {
		t.Errorf("emptied: got %v, %v, want none", entries, err)
	}
	if _, err := c.XAdd(ctx, "s", parked[0]); err != nil {
		t.Fatal(err)
	}
	if entries, err = c.XReadGroup(ctx, "s", "g", "me", 10, false); err != nil || len(entries) != 1 {
		t.Errorf("again: got %v, %v, want one", entries, err)
	}
}

// What was acknowledged before a failure is told apart from what was not.
func TestXAddOfAFullRedis(t *testing.T) {
	server := redistest.Start(t, "--maxmemory", "1", "--maxmemory-policy", "noeviction")
	c, _ := connect(t, server.URL(), patient)
	ids, err := c.XAdd(t.Context(), "s", map[string]string{"a": "1"})
	var reply redis.ReplyError
	if len(ids) != 0 || !errors.As(err, &reply) {
		t.Errorf("got %v, %v, want no id and Redis's own words", ids, err)
	}
}

func TestSubscriptionComesBack(t *testing.T) {
	server := redistest.Start(t)
	c, _ := connect(t, server.URL(), patientUntil(500*time.Millisecond))
	heard := make(chan string, 1000)
	ctx := t.Context()
	done := make(chan error, 1)
	go func() { done <- c.Subscribe(ctx, "channel", func(message string) { heard <- message }) }()
	hear := func(what string) {
		t.Helper()
		eventually(t, what, func() bool {
			_ = c.Publish(ctx, "channel", what)
			for {
				select {
				case got := <-heard:
					if got == what {
						return true
					}
				default:
					return false
				}
			}
		})
	}
	hear("before")
	server.Kill()
	server.Start()
	hear("after")
}

func TestEmbeddedForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := connect(t, "embedded")
		if !c.Embedded() {
			t.Error("it does not know what it is")
		}
		if err := c.Set(t.Context(), "k", "v", time.Minute); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Second)
		if _, found, err := c.Get(t.Context(), "k"); !found || err != nil {
			t.Errorf("after 50 s: got %t, %v, want it there", found, err)
		}
		time.Sleep(20 * time.Second)
		if _, found, err := c.Get(t.Context(), "k"); found || err != nil {
			t.Errorf("after 70 s: got %t, %v, want it gone", found, err)
		}
	})
}

func TestEmbeddedIsBounded(t *testing.T) {
	c := redis.NewEmbedded()
	defer c.Close()
	for i := range 100 {
		c.Put(fmt.Sprint(i), time.Duration(i+1)*time.Second)
	}
	c.Shrink(40)
	if got := c.Keys(); len(got) != 40 || slices.Contains(got, "59") || !slices.Contains(got, "60") {
		t.Errorf("got %d keys: %v; want the 40 that live longest", len(got), got)
	}
}
