package main

import (
	"context"
	"time"

	"vitrine/bench/rig"
)

const (
	// slowSync is how much longer a slow disk takes for everything that waits for it.
	slowSync = 300 * time.Millisecond
	// brokenDisk has room for the journal of brokenJournal and a file system's own.
	brokenDisk    = 64 << 20
	brokenJournal = "16MiB"
)

// diskFaults are disks that are slow or take nothing.
func diskFaults() []fault {
	return []fault{
		{
			number: 25, name: "disk slow", needs: rig.CanSlowDisk,
			set: func(o *options) { o.rate, o.env["VITRINE_OUTBOX_MAX_BYTES"] = 200, journalSize },
			start: func(ctx context.Context, b *battle) error {
				restore, err := b.pod().current().SlowDisk(ctx, slowSync)
				if err != nil {
					return err
				}
				sleep(ctx, slowFor)
				delayed, err := restore()
				b.notes["delayed"] = float64(delayed)
				return err
			},
			during: slowFor, stop: nothing,
			judge: func(r *outcome) {
				r.must(r.notes["delayed"] > 0, "waits for the disk that were %v longer: %.0f", slowSync, r.notes["delayed"])
				r.must(r.run.Events.Dropped == 0, "events dropped %d, want 0", r.run.Events.Dropped)
			},
		},
		{
			number: 25, name: "disk broken: read-only from one moment to the next", needs: rig.CanMountDevice,
			set: func(o *options) {
				o.pods, o.rate, o.disk, o.device = 2, 200, brokenDisk, true
				o.env["VITRINE_OUTBOX_MAX_BYTES"] = brokenJournal
			},
			start: func(ctx context.Context, b *battle) error { return b.pod().current().BreakDisk(ctx) },
			// Only a new mount repairs it. What was settled meanwhile could not be noted down.
			stop: func(ctx context.Context, b *battle) error {
				b.pod().kills++
				return b.pod().restart(ctx)
			},
			waive: func(mark string) bool { return mark == "growth" },
			judge: func(r *outcome) {
				away := int64(0)
				for _, s := range r.states(r.from, r.to) {
					away = max(away, s.Away)
				}
				r.must(away > 0, "the metric tells of a disk that refuses: %v", away > 0)
				r.must(r.run.Events.Dropped == 0, "events dropped %d, want 0: memory holds them", r.run.Events.Dropped)
				r.must(r.run.Ledger.Unanswered == 0, "requests without an answer %d, want 0", r.run.Ledger.Unanswered)
			},
		},
	}
}

// slowFor is how long the disk is slow.
const slowFor = 15 * time.Second
