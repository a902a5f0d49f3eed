package fashionai

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// Token is the secret the API knows us by. It prints as "[token]", however it is printed.
// It is safe for concurrent use.
type Token struct {
	path   string // "" if it is not from a file
	secret atomic.Pointer[string]
	asked  atomic.Int64 // when Reload last read the file, in Unix nanoseconds
}

const (
	// tokenPoll is how often the token's file is looked at for a change.
	tokenPoll = 10 * time.Second
	// tokenReload is how often at most it is read because the API refused the token.
	tokenReload = time.Second
	// maxToken bounds the file, in bytes.
	maxToken = 8 << 10
)

// NewToken returns a token with a value that never changes. White space around it is left
// out; the error says what no header could hold.
func NewToken(secret string) (*Token, error) {
	t := new(Token)
	if err := t.set([]byte(secret)); err != nil {
		return nil, err
	}
	return t, nil
}

// OpenToken returns the token in a file. Run and Reload read it again.
func OpenToken(path string) (*Token, error) {
	t := &Token{path: path}
	if err := t.read(); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Token) read() error {
	info, err := os.Stat(t.path)
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	if info.Size() > maxToken {
		return fmt.Errorf("reading the token: %s has more than %d bytes", t.path, maxToken)
	}
	content, err := os.ReadFile(t.path)
	if err != nil {
		return fmt.Errorf("reading the token: %w", err)
	}
	if err := t.set(content); err != nil {
		return fmt.Errorf("reading the token from %s: %w", t.path, err)
	}
	return nil
}

func (t *Token) set(content []byte) error {
	content = bytes.TrimSpace(content)
	if len(content) == 0 {
		return errors.New("the token is empty")
	}
	for _, c := range content {
		if c <= ' ' || c > '~' {
			return errors.New("the token holds something else than visible ASCII")
		}
	}
	if old := t.secret.Load(); old == nil || *old != string(content) {
		secret := string(content)
		t.secret.Store(&secret)
	}
	return nil
}

// Secret returns the token itself, as last read.
func (t *Token) Secret() string { return *t.secret.Load() }

// Reload reads the file again, at most once a second; the client does it whenever the API
// refuses the token. On an error, as without a file, the token stays what it was.
func (t *Token) Reload() error {
	now := time.Now().UnixNano()
	last := t.asked.Load()
	if t.path == "" || now-last < int64(tokenReload) || !t.asked.CompareAndSwap(last, now) {
		return nil
	}
	return t.read()
}

// Run reads the file again every 10 s until ctx ends, and then returns nil. A file that
// cannot be read, as in the middle of a rotation, leaves the token as it was; report is
// told why.
func (t *Token) Run(ctx context.Context, report func(error)) error {
	if t.path == "" {
		<-ctx.Done()
		return nil
	}
	tick := time.NewTicker(tokenPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := t.read(); err != nil {
				report(err)
			}
		}
	}
}

const masked = "[token]"

// Format prints "[token]" for every verb.
func (t *Token) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText encodes as "[token]", for slog and JSON too.
func (t *Token) MarshalText() ([]byte, error) { return []byte(masked), nil }
