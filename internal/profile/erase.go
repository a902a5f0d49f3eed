package profile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vitrine/internal/redis"
)

// eraseChannel is where pods tell each other of profiles erased.
const eraseChannel = "v1:profiles-erased"

// Erased is what an erase has removed.
type Erased struct {
	// Profile tells whether a profile was held at all.
	Profile bool `json:"profile"`
	// Identifiers is how many identifiers were known to stand for it, its own id not counted.
	Identifiers int `json:"identifiers"`
}

// errWhose says that an erase may be incomplete.
var errWhose = errors.New("whose identifier this is could not be found out: neither memory nor Redis knows, and the profile API did not answer")

// Erase forgets a profile under every identifier of the person, in both tiers of every
// pod, and leaves a stamp in its place: what a call started before now brings is refused
// wherever it arrives. The identifier is not escaped; an *InvalidError or [ErrKind] says
// that it is none. If it was never asked for here, the API is asked whose it is, and the
// answer forgotten at once: the profile may be held under another identifier.
//
// Any other error says that something may be left, and that the same has to be asked again.
func (p *Profiles) Erase(ctx context.Context, kind, value string) (Erased, error) {
	id, err := ParseIdentifier(kind, value)
	if err != nil {
		return Erased{}, err
	}
	asked := p.names.of(id.kind, id.normal)
	profile, unknown := p.whose(ctx, id, asked)
	targets := []name{profile}
	if profile != asked {
		targets = append(targets, asked)
	}
	now := time.Now()
	s := stamp{wall: now.UnixMicro(), until: now}
	var gone []name
	for _, n := range targets {
		gone = append(gone, p.memory.forget(n, s)...)
	}
	var failed error
	if p.opt.Remote != nil {
		var far []name
		far, failed = p.eraseRemote(ctx, targets, s.wall)
		gone = append(gone, far...)
	}
	p.count.erased.Add(1)
	return summary(gone, profile, profile != asked || id.kind == ByID), errors.Join(unknown, failed)
}

// summary counts what is gone, each name once.
func summary(gone []name, profile name, known bool) (e Erased) {
	slices.SortFunc(gone, func(a, b name) int { return slices.Compare(a[:], b[:]) })
	for _, n := range slices.Compact(gone) {
		if n == profile && known {
			e.Profile = true
		} else {
			e.Identifiers++
		}
	}
	return e
}

// whose returns the name of the profile that an identifier stands for: its own if nobody
// is known by it. An error says that it could not be found out.
func (p *Profiles) whose(ctx context.Context, id Identifier, asked name) (name, error) {
	held := p.memory.find(asked)
	if p.opt.Remote != nil && held.profile == asked {
		held = p.look(asked, time.Now().Add(patience))
	}
	if id.kind == ByID || held.profile != asked {
		return held.profile, nil
	}
	calling, cancel := context.WithTimeout(ctx, p.opt.Budget)
	defer cancel()
	switch r := p.call(calling, query{id: id, asked: asked, about: asked}); {
	case r.entry != nil:
		return r.entry.profile, nil
	default:
		return asked, errWhose
	}
}

// eraseRemote erases names, and what is listed under them, in Redis, and tells the other
// pods. It returns the names under which there was something.
func (p *Profiles) eraseRemote(ctx context.Context, targets []name, wall int64) (gone []name, err error) {
	text := strconv.FormatInt(wall, 10)
	message := []string{text}
	var errs []error
	for _, n := range targets {
		message = append(message, n.text())
		reply, err := p.do(ctx, redis.OpErase, n, redis.Command{Script: eraseScript, Args: []any{
			text, p.memory.grave.Milliseconds(),
		}})
		errs = append(errs, err)
		fields, _ := reply.([]any)
		for _, f := range fields {
			switch field, _ := f.(string); {
			case field == valueField:
				gone = append(gone, n)
			case strings.HasPrefix(field, listPrefix):
				listed, ok := parseName(strings.TrimPrefix(field, listPrefix))
				if !ok {
					continue
				}
				gone = append(gone, listed)
				if !slices.Contains(targets, listed) {
					_, err := p.do(ctx, redis.OpErase, listed, redis.Command{Args: []any{"del", listed.redisKey()}})
					errs = append(errs, err)
				}
			}
		}
	}
	errs = append(errs, p.opt.Remote.Publish(ctx, eraseChannel, strings.Join(message, " ")))
	if err := errors.Join(errs...); err != nil {
		return gone, fmt.Errorf("erasing the profile in Redis: %w", err)
	}
	return gone, nil
}

// receiveErase takes in what a pod has published. What cannot be read is not of a pod of
// ours. Calls that are under way here started before now, whatever this machine's clock
// and the other's say.
func (p *Profiles) receiveErase(message string) {
	text, rest, _ := strings.Cut(message, " ")
	wall, ok := p.believed(text)
	if !ok {
		return
	}
	for word := range strings.FieldsSeq(rest) {
		n, ok := parseName(word)
		if !ok {
			p.count.rubbish.Add(1)
			return
		}
		p.memory.forget(n, stamp{wall: wall, until: time.Now()})
	}
}

// learn takes in a stamp that was found in Redis: so a pod learns of an erase that was not
// listening.
func (p *Profiles) learn(of name, text string) {
	if wall, ok := p.believed(text); ok {
		now := time.Now()
		p.memory.forget(of, stamp{wall: wall, until: now.Add(time.UnixMicro(wall).Sub(now))})
	}
}

// believed reads a stamp, unless it is of the future.
func (p *Profiles) believed(text string) (wall int64, ok bool) {
	wall, err := strconv.ParseInt(text, 10, 64)
	if err != nil || wall <= 0 || time.Until(time.UnixMicro(wall)) > mostAhead {
		p.count.rubbish.Add(1)
		return 0, false
	}
	return wall, true
}
