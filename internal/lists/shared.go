package lists

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"time"
)

// key is a keyed hash: of a question under which its answer is remembered, or of a session.
type key [sha256.Size]byte

// hash returns the key of parts. No two lists of parts have the same: each goes in behind
// its length.
func (l *Lists) hash(use string, parts ...[]byte) (k key) {
	mac := hmac.New(sha256.New, l.opt.HashKey[:])
	var size [8]byte
	for _, part := range append([][]byte{[]byte("list " + use)}, parts...) {
		_, _ = mac.Write(binary.BigEndian.AppendUint64(size[:0], uint64(len(part)))) // a hash takes everything
		_, _ = mac.Write(part)
	}
	mac.Sum(k[:0])
	return k
}

func (k key) text() string { return base64.RawURLEncoding.EncodeToString(k[:]) }

// redisKey is where a list that is everybody's is kept.
func (k key) redisKey() string { return "v1:l:" + k.text() }

// An envelope is an entry as Redis holds it:
//
//	version   1 byte, '1'
//	found     1 byte: '+' a list, '-' a 404
//	started   8 bytes, big-endian: microseconds since 1970 at the start of the call
//	seal     32 bytes: keyed hash of the entry's key and of everything else here
//	body      the answer's
//
// A value that was changed, or that answers another question, does not match its seal. A
// body is then checked like one from the API, which also tells its end.
const (
	version = '1'
	sealAt  = 2 + 8
	bodyAt  = sealAt + sha256.Size

	listed   = '+'
	unlisted = '-'
)

func (l *Lists) seal(under key, e *entry) string {
	head := []byte{version, listed}
	if !e.found() {
		head[1] = unlisted
	}
	head = binary.BigEndian.AppendUint64(head, uint64(e.started.UnixMicro()))
	seal := l.hash("seal", under[:], head, e.body)
	return string(append(append(head, seal[:]...), e.body...))
}

// mostAhead is how far another pod's clock may be ahead of ours.
const mostAhead = 5 * time.Second

// open is the inverse of seal. It reports false for anything that seal did not make for
// this key, and for what is of the future.
func (l *Lists) open(q question, text string) (*entry, bool) {
	raw := []byte(text)
	if len(raw) < bodyAt || raw[0] != version {
		return nil, false
	}
	head, body := raw[:sealAt], raw[bodyAt:]
	if seal := l.hash("seal", q.key[:], head, body); !hmac.Equal(seal[:], raw[sealAt:bodyAt]) {
		return nil, false
	}
	now := time.Now()
	age := now.Sub(time.UnixMicro(int64(binary.BigEndian.Uint64(raw[2:sealAt])))) //nolint:gosec // seal made it of one
	if age < -mostAhead {
		return nil, false
	}
	e := &entry{kind: q.kind, status: http.StatusNotFound, body: body, started: now.Add(-max(0, age))}
	if raw[1] == listed {
		c, err := l.table[q.kind].check(body)
		if err != nil {
			return nil, false
		}
		e.status, e.body, e.until = http.StatusOK, c.body, c.until
	}
	return e, true
}

const (
	lookPatience  = 100 * time.Millisecond // for Redis to say what it has: a call of the API takes longer
	sharePatience = 2 * time.Second        // for Redis to take an answer; nobody waits for it
)

// look takes over what Redis holds for a question that is everybody's.
func (l *Lists) look(ctx context.Context, q question) *entry {
	if l.opt.Remote == nil || l.table[q.kind].personal {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	text, found, err := l.opt.Remote.Get(ctx, q.key.redisKey())
	if err != nil || !found {
		return nil
	}
	e, ok := l.open(q, text)
	if !ok {
		l.count.rubbish.Add(1)
		return nil
	}
	return e
}

// share gives an answer that is everybody's to the other pods.
func (l *Lists) share(q question, e *entry) {
	life := l.lifeOf(e) - time.Since(e.started)
	if l.opt.Remote == nil || l.table[q.kind].personal || life < time.Millisecond { // Redis counts no less
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), sharePatience)
	defer cancel()
	if err := l.opt.Remote.Set(ctx, q.key.redisKey(), l.seal(q.key, e), life); err != nil {
		l.count.unwritten.Add(1)
	}
}

// eraseChannel is where pods tell each other of sessions erased.
const eraseChannel = "v1:lists-erased"

// Erase forgets what is a session's, here and, if Redis can tell them, in the other pods,
// and keeps nothing of calls under way. It returns how many lists there were here. A pod
// that cannot be told forgets them when their life ends.
func (l *Lists) Erase(ctx context.Context, session string) (gone int, err error) {
	owner := l.hash("session", []byte(session))
	gone = l.erase(owner)
	if l.opt.Remote != nil {
		err = l.opt.Remote.Publish(ctx, eraseChannel, owner.text())
	}
	return gone, err //nolint:wrapcheck // it says what was not done
}

func (l *Lists) receiveErase(message string) {
	var owner key
	raw, err := base64.RawURLEncoding.DecodeString(message)
	if err != nil || len(raw) != len(owner) {
		l.count.rubbish.Add(1)
		return
	}
	copy(owner[:], raw)
	l.erase(owner)
}

func (l *Lists) erase(owner key) (gone int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.flights {
		if f.owner == owner {
			f.erased = true
		}
	}
	return l.memory.forget(func(e *entry) bool { return e.owner == owner })
}
