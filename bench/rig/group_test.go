package rig

import (
	"testing"
	"time"
)

// The Sentinels make a replica the primary when theirs is killed, and when told to.
func TestSentinels(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s, err := StartSentinels(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	first, err := s.Primary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	second, err := s.Successor(ctx, first)
	if err != nil || second == first {
		t.Fatalf("got %v, %v, want a successor", second, err)
	}
	if _, err := tell(ctx, second.Addr(), "SET", "k", "v"); err != nil {
		t.Errorf("writing to the successor: %v", err)
	}
	if err := second.AwaitKey(ctx, startGrace, 0); err != nil {
		t.Error(err)
	}
	if err := s.Revive(ctx); err != nil || !first.Running() {
		t.Errorf("got %v, want the killed one back", err)
	}
}

// A replica takes its primary's slots over.
func TestCluster(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c, err := StartCluster(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	primary, replica := c.Pair(1)
	if err := c.Promote(ctx, replica); err != nil {
		t.Fatal(err)
	}
	if err := c.AwaitPrimary(ctx, replica); err != nil {
		t.Fatal(err)
	}
	if isPrimary(ctx, primary) && poll(ctx, func() bool { return !isPrimary(ctx, primary) }) != nil {
		t.Error("the former primary did not become a replica")
	}
	if err := replica.AwaitKey(ctx, 10*time.Millisecond, 0); err == nil {
		t.Error("got a key of an empty server")
	}
}

// One who does not trust the authority made for it, or is nobody, is not served.
func TestSecureRedis(t *testing.T) {
	r, err := StartSecureRedis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := tell(t.Context(), r.Addr(), "PING"); err == nil {
		t.Error("got an answer without TLS")
	}
}
