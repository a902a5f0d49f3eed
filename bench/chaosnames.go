package main

import (
	"context"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
)

// nameFaults are a name server that is no help.
func nameFaults() []fault {
	const each = 35 * time.Second // the sidecar looks up every 30 s, with its next connection
	return []fault{{
		number: 7, name: "DNS fails: silent, then no such name", needs: rig.CanReplaceResolver, during: 2 * each,
		set: func(o *options) { o.names = true },
		start: func(ctx context.Context, b *battle) error {
			// Connections have to be opened for a name to be looked up.
			if err := b.stage.api.Set(fakeapi.Fault{CloseAfter: 20}); err != nil {
				return err
			}
			for _, now := range []struct {
				naming rig.Naming
				note   string
			}{{rig.Silent, "silent"}, {rig.Denies, "denied"}} {
				before := b.stage.names.Refused()
				b.stage.names.Treat(now.naming)
				sleep(ctx, each-100*time.Millisecond)
				b.notes[now.note] = float64(b.stage.names.Refused() - before)
			}
			return nil
		},
		stop: func(_ context.Context, b *battle) error {
			b.stage.names.Treat(rig.Resolves)
			b.stage.api.Clear()
			return nil
		},
		judge: func(r *outcome) {
			r.must(r.notes["silent"] > 0 && r.notes["denied"] > 0, "the name was asked for: %.0f times in silence, %.0f times in vain", r.notes["silent"], r.notes["denied"])
			r.must(r.transitions(0, r.to) == 0, "breaker transitions %d, want 0", r.transitions(0, r.to))
			r.must(r.in.share(fresh) >= 0.95*r.before.share(fresh), "fresh answers %.1f %%, before %.1f %%", 100*r.in.share(fresh), 100*r.before.share(fresh))
		},
	}}
}
