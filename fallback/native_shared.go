package fallback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// soon does something with Shared, and returns what came of it within NativeOptions.Patience.
// What comes later is dropped; Run waits for it before it returns.
func soon[T any](n *Natives, do func() T) (came T, inTime bool) {
	result := make(chan T, 1)
	n.late.Go(func() { result <- do() })
	timer := time.NewTimer(n.opt.Patience)
	defer timer.Stop()
	select {
	case came = <-result:
		return came, true
	case <-timer.C:
		return came, false
	}
}

// lease reports whether p is ours to fetch. If Shared cannot tell, it is.
func (n *Natives) lease(ctx context.Context, from *shop, p place) bool {
	refused, inTime := soon(n, func() bool {
		held, err := n.opt.Shared.Acquire(ctx, from.leaseKey(p), n.owner, fetchLimit)
		return !held && err == nil
	})
	return !inTime || !refused
}

// release gives a lease back, even if ctx has ended: other pods wait for it.
func (n *Natives) release(ctx context.Context, from *shop, p place) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = n.opt.Shared.Release(ctx, from.leaseKey(p), n.owner) // its life ends it as well
}

// share stores a snapshot for the other pods, and for this one's successor.
func (n *Natives) share(ctx context.Context, p place, s *snapshot) {
	if n.opt.Shared != nil {
		_ = n.opt.Shared.Set(ctx, s.from.sharedKey(p), string(encodeSnapshot(p, s)), n.opt.SharedLife) // counted there; memory has it
	}
}

// sharedSnapshot returns what Shared holds for p, nil if that is nothing or rubbish.
func (n *Natives) sharedSnapshot(ctx context.Context, from *shop, p place) *snapshot {
	value, _ := soon(n, func() string {
		value, found, err := n.opt.Shared.Get(ctx, from.sharedKey(p))
		if err != nil || !found {
			return ""
		}
		return value
	})
	if value == "" {
		return nil
	}
	now := time.Now()
	s, err := parseSnapshot([]byte(value), p, now.Add(-n.opt.SharedLife), now)
	if err != nil {
		n.mu.Lock()
		n.counts[outcomeRubbish]++
		n.mu.Unlock()
		return nil
	}
	s.from = from
	return s
}

// sharedKey is p's key in the shared memory. It is a hash, so that whatever a
// storefront sends as an id makes a key of one length and no surprises.
func (s *shop) sharedKey(p place) string {
	sum := sha256.Sum256([]byte(s.namespace + "\x00" + p.String()))
	return "v1:native:" + hex.EncodeToString(sum[:16])
}

func (s *shop) leaseKey(p place) string { return s.sharedKey(p) + ":lease" }
