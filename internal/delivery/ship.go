package delivery

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"vitrine/internal/journal"
)

const (
	shipBatch    = 256       // events on their way to Redis at once
	measureEvery = 256 << 10 // bytes parked before the streams are measured again
	parkEvery    = time.Second
	parkMost     = 30 * time.Second // pause after failures
	keepShipped  = 5 * time.Minute
	verifyEvery  = 5 * time.Second
)

// errNoRoom says that the parked streams have reached their bound.
var errNoRoom = errors.New("the parked streams are full")

// parkOld parks what has waited for the API for too long.
func (p *Parking) parkOld(ctx context.Context) {
	if p.opt.After == 0 || time.Now().Before(p.parkAt) {
		return
	}
	list := p.d.backlog(p.d.now() - p.opt.After)
	n, err := p.ship(ctx, list, false)
	if p.pause = min(max(2*p.pause, parkEvery), parkMost); err == nil {
		p.pause = 0
	}
	p.parkAt = time.Now().Add(max(parkEvery, p.pause/2+rand.N(p.pause/2+1)))
	if err != nil {
		p.complain("events could not be parked", err)
	}
	if n > 0 {
		p.opt.Log.InfoContext(ctx, "events parked in Redis", "events", n)
	}
}

// ship parks what is listed, in that order, as far as there is room, and says how many
// those were. A stream that fails is left out for this time.
func (p *Parking) ship(ctx context.Context, list []queued, anyway bool) (n int, err error) {
	var failed [parkedStreams]bool
	held := make(map[uint64]bool)
	for batch := range slices.Chunk(list, shipBatch) {
		if ctx.Err() != nil || !slices.Contains(failed[:], false) {
			return n, err
		}
		byStream, rest, full := p.sort(ctx, p.d.claim(batch, held, anyway), &failed)
		p.d.restore(rest)
		for stream, claims := range byStream {
			if len(claims) == 0 {
				continue
			}
			acknowledged, errAdd := p.add(ctx, stream, claims)
			n += acknowledged
			if errAdd != nil {
				failed[stream] = true
				err = errAdd
			}
		}
		if full != nil {
			return n, full
		}
	}
	return n, err
}

// sort puts claims in their streams. Those for which there is no room, and those of
// streams that have failed, are the rest.
func (p *Parking) sort(ctx context.Context, claims []claim, failed *[parkedStreams]bool) (byStream [parkedStreams][]claim, rest []claim, full error) {
	added := int64(0)
	for i, c := range claims {
		stream := streamOf(c.record)
		if failed[stream] {
			rest = append(rest, c)
			continue
		}
		size := int64(len(c.record.Body) + entryOverhead)
		if p.room < size {
			full = p.measure(ctx, size, added)
		}
		if full != nil {
			return byStream, append(rest, claims[i:]...), full
		}
		p.room -= size
		added += size
		byStream[stream] = append(byStream[stream], c)
	}
	return byStream, rest, nil
}

// measure asks Redis how much memory the streams take, and finds out how much may be
// added before that is to be asked again, beside what is about to be added: errNoRoom
// if it is less than least.
func (p *Parking) measure(ctx context.Context, least, added int64) error {
	sizes, err := p.ask(ctx, streamNames(), func(key string) []any { return []any{"memory", "usage", key} })
	if err != nil {
		return fmt.Errorf("measuring the parked streams: %w", err)
	}
	room := p.opt.MaxBytes - added
	for _, n := range sizes {
		room -= n
	}
	p.room = min(room, measureEvery)
	if p.room < least {
		return errNoRoom
	}
	return nil
}

// add appends claims to a stream. Those that Redis acknowledges are parked; the
// others go back to where they were.
func (p *Parking) add(ctx context.Context, stream int, claims []claim) (acknowledged int, err error) {
	// First what Redis may have lost: a new entry would hide that.
	if err := p.shipStreamAgain(ctx, stream); err != nil {
		p.d.restore(claims)
		return 0, fmt.Errorf("verifying what was parked: %w", err)
	}
	entries := make([]map[string]string, len(claims))
	for i, c := range claims {
		entries[i] = entryOf(c.record)
	}
	ids, err := p.opt.Redis.XAdd(ctx, streamName(stream), entries...)
	n := len(ids)
	p.d.parked(claims[:n])
	p.d.restore(claims[n:])
	if n > 0 {
		p.keep(ctx, streamName(stream), p.life)
	}
	if p.opt.After > 0 {
		for i, id := range ids {
			p.shipped.add(shipment{stream: stream, entry: id, at: time.Now(), record: claims[i].record}, p.d.opt.MaxMemory)
		}
	}
	if err != nil {
		return n, fmt.Errorf("parking %d events: %w", len(claims)-n, err)
	}
	return n, nil
}

// shipment is an event that Redis has acknowledged, and may yet lose: a failover or a
// restart without its files takes what came last.
type shipment struct {
	stream int
	entry  string
	at     time.Time
	record journal.Record
}

// shipped is what was parked in the last minutes, bounded in bytes: beyond that the
// oldest is forgotten, and relies on Redis alone.
type shipped struct {
	list     []shipment
	bytes    int64
	verified time.Time
}

func (s *shipped) add(n shipment, most int64) {
	s.list = append(s.list, n)
	s.bytes += n.size()
	for s.bytes > most {
		s.drop()
	}
}

func (n *shipment) size() int64 { return int64(len(n.record.Body)) + slotOverhead }

func (s *shipped) drop() {
	s.bytes -= s.list[0].size()
	s.list[0] = shipment{}
	s.list = s.list[1:]
}

// shipAgain appends anew what Redis has lost: its stream's highest id has gone back.
// A loss between two looks that others have appended to meanwhile goes unnoticed.
func (p *Parking) shipAgain(ctx context.Context) {
	s := &p.shipped
	for len(s.list) > 0 && time.Since(s.list[0].at) > keepShipped {
		s.drop()
	}
	if len(s.list) == 0 || time.Since(s.verified) < verifyEvery {
		return
	}
	s.verified = time.Now()
	for stream := range parkedStreams {
		if err := p.shipStreamAgain(ctx, stream); err != nil {
			p.complain("what was parked could not be verified", err)
			return
		}
	}
}

func (p *Parking) shipStreamAgain(ctx context.Context, stream int) error {
	var of []*shipment
	for i := range p.shipped.list {
		if n := &p.shipped.list[i]; n.stream == stream {
			of = append(of, n)
		}
	}
	if len(of) == 0 {
		return nil
	}
	last, err := p.opt.Redis.XLastID(ctx, streamName(stream))
	if err != nil {
		return err //nolint:wrapcheck // the caller says what for
	}
	first := slices.IndexFunc(of, func(n *shipment) bool { return laterEntry(n.entry, last) })
	if first < 0 {
		return nil
	}
	lost := of[first:]
	entries := make([]map[string]string, len(lost))
	for i, n := range lost {
		entries[i] = entryOf(n.record)
	}
	ids, err := p.opt.Redis.XAdd(ctx, streamName(stream), entries...)
	for i, id := range ids {
		lost[i].entry = id
	}
	if len(ids) > 0 {
		p.keep(ctx, streamName(stream), p.life)
		p.opt.Log.WarnContext(ctx, "Redis has lost parked events; they are parked again", "stream", stream, "events", len(ids))
	}
	return err //nolint:wrapcheck // the caller says what for
}

// everything is later than any event was accepted.
const everything = time.Duration(math.MaxInt64)
