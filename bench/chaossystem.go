package main

import (
	"context"
	"errors"
	"time"

	"vitrine/bench/fakeapi"
	"vitrine/bench/rig"
)

const (
	// diskSize is that of a disk with a journal bounded to journalSize, whose segments then
	// have 128 KB: one is written to and one in reserve, which is a few seconds' events.
	diskSize    = 2 << 20
	journalSize = "1MiB"

	diskFull = 15 * time.Second
	deafFor  = 15 * time.Second
)

// systemFaults are an operating system that has no more to give.
func systemFaults() []fault {
	return []fault{
		{
			number: 4, name: "API's SYNs dropped", during: deafFor, after: 45 * time.Second, needs: canBeDeaf, start: deafen,
			judge: func(r *outcome) {
				r.must(r.notes["dials"] > 0, "somebody knocked: at most %.0f at once", r.notes["dials"])
				r.must(r.notes["dials"] <= bulkhead, "connections being tried at once %.0f, bulkhead 64 and a probe", r.notes["dials"])
				r.within(r.ttr >= 0, "TTR %s", brief(r.ttr))
				r.must(r.notes["dials late"] <= 5, "in the second half, with the breaker open, %.0f, allowed 5", r.notes["dials late"])
			},
		},
		{
			number: 25, name: "disk full", during: diskFull, needs: rig.CanMount,
			set: func(o *options) {
				o.rate, o.disk, o.env["VITRINE_OUTBOX_MAX_BYTES"] = 200, diskSize, journalSize
			},
			start: func(ctx context.Context, b *battle) error {
				// Segments that are done with make room for new ones: it is taken away at once.
				for end := time.Now().Add(diskFull); time.Now().Before(end) && sleep(ctx, 10*time.Millisecond); {
					if err := b.pod().current().FillDisk(); err != nil {
						return err
					}
				}
				return nil
			},
			stop: func(_ context.Context, b *battle) error { return b.pod().current().EmptyDisk() },
			judge: func(r *outcome) {
				away := int64(0)
				for _, s := range r.states(r.from, r.to) {
					away = max(away, s.Away)
				}
				r.must(away > 0, "the metric tells of a disk that refuses: %v", away > 0)
				last := r.states(r.to+5*time.Second, 1<<62)
				r.must(len(last) > 0 && last[len(last)-1].Away == 0, "the journal is back on the disk at the end")
				r.must(r.run.Events.Dropped == 0, "events dropped %d, want 0: memory holds them", r.run.Events.Dropped)
			},
		},
	}
}

func canBeDeaf(ctx context.Context) error {
	d, err := rig.ListenDeaf(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	return d.Close()
}

// deafen puts a listener whose queue is full in the API's place for as long as the fault
// lasts, and counts who knocks.
func deafen(ctx context.Context, b *battle) (err error) {
	if err := b.stage.api.Set(fakeapi.Fault{Answer: fakeapi.Refuse}); err != nil {
		return err
	}
	deaf, err := rig.ListenDeaf(ctx, b.stage.api.Addr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, deaf.Close()) }()
	for began := time.Now(); time.Since(began) < deafFor && sleep(ctx, 20*time.Millisecond); {
		n, err := deaf.Dialling()
		if err != nil {
			return err
		}
		b.notes["dials"] = max(b.notes["dials"], float64(n))
		if time.Since(began) > deafFor/2 {
			b.notes["dials late"] = max(b.notes["dials late"], float64(n))
		}
	}
	return nil
}
