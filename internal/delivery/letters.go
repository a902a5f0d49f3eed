package delivery

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"vitrine/internal/journal"
	"vitrine/internal/reco"
)

const (
	maxParkedLetters = 10_000 // dead letters in Redis; those beyond stay with the pod that had them
	letterLife       = 7 * 24 * time.Hour
	redriveBatch     = 100
)

// bury keeps a dead letter that was taken over: in Redis, where every pod can have it
// sent again, or if that does not take it, among this process's own.
func (p *Parking) bury(ctx context.Context, r returned) {
	if err := p.buryInRedis(ctx, r.record); err != nil {
		p.complain("a dead letter is kept in this pod", err)
		p.d.buryHere(r.record)
	}
	p.d.buried(r.slot)
}

func (p *Parking) buryInRedis(ctx context.Context, r journal.Record) error {
	length, err := p.lengths(ctx, deadStream)
	if err != nil {
		return err
	}
	if length[0] >= maxParkedLetters {
		return fmt.Errorf("%s holds %d already", deadStream, length[0])
	}
	letter := entryOf(r)
	letter["status"] = strconv.FormatUint(uint64(r.Extra), 10)
	if _, err := p.opt.Redis.XAdd(ctx, deadStream, letter); err != nil {
		return err //nolint:wrapcheck // the caller says what for
	}
	p.keep(ctx, deadStream, letterLife)
	return nil
}

// Redrive parks the dead letters in Redis anew, for whoever takes them over, and says
// how many there were. What is no event stays.
func (p *Parking) Redrive(ctx context.Context) (n int, err error) {
	for from := "-"; ; {
		letters, err := p.opt.Redis.XRange(ctx, deadStream, from, redriveBatch)
		if err != nil {
			return n, fmt.Errorf("reading the parked dead letters: %w", err)
		}
		if len(letters) == 0 {
			return n, nil
		}
		for _, l := range letters {
			from = "(" + l.ID
			again, err := p.redrive(ctx, l.ID, l.Values)
			if err != nil {
				return n, fmt.Errorf("redriving a parked dead letter: %w", err)
			}
			n += again
		}
	}
}

// redrive moves one dead letter, if it is one. It is in both streams for a moment
// rather than in none.
func (p *Parking) redrive(ctx context.Context, entry string, values map[string]string) (int, error) {
	r, err := parseEntry(values, time.Now())
	if err != nil {
		return 0, nil //nolint:nilerr // rubbish, which Contents counts
	}
	e, err := reco.ParseEvent(r.Body)
	if err != nil {
		return 0, nil //nolint:nilerr // as above
	}
	if r.Key = groupOf(e.Session); time.Since(time.Unix(0, r.Time)) > p.d.opt.MaxAge {
		r.Time = time.Now().UnixNano() // an operator asks for it: its age begins anew
	}
	stream := streamName(streamOf(r))
	if _, err := p.opt.Redis.XAdd(ctx, stream, entryOf(r)); err != nil {
		return 0, err //nolint:wrapcheck // the caller says what for
	}
	p.keep(ctx, stream, p.life)
	return 1, p.opt.Redis.XSettle(ctx, deadStream, parkedGroup, entry) //nolint:wrapcheck // as above
}
