package fashionai

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Token is the secret the API knows us by. It prints as "[token]", however it is printed.
// It is safe for concurrent use.
type Token struct {
	path   string // "" if it is not from a file
	secret atomic.Pointer[string]

	mu      sync.Mutex // held while the file is read because of a refusal
	refused time.Time  // when that was last
}

const (
	// tokenPoll is how often the token's file is looked at for a change.
	tokenPoll = 10 * time.Second
	// tokenReread is how often at most it is read because the API refused the token.
	tokenReread = time.Second
	// maxToken bounds the file, in bytes.
	maxToken = 8 << 10
)

// NewToken returns a token that only Replace changes. White space around it is left out; the
// error says what no header could hold.
func NewToken(secret string) (*Token, error) {
	t := new(Token)
	if err := t.Replace(secret); err != nil {
		return nil, err
	}
	return t, nil
}

// OpenToken returns the token in a file. Run, Reload and Refused read it again.
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
	if err := t.Replace(string(content)); err != nil {
		return fmt.Errorf("reading the token from %s: %w", t.path, err)
	}
	return nil
}

// Replace makes another secret the token; calls under way keep theirs. On an error the token
// stays what it was.
func (t *Token) Replace(secret string) error {
	secret = strings.TrimSpace(secret)
	if secret == "" {
		return errors.New("the token is empty")
	}
	if strings.ContainsFunc(secret, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return errors.New("the token holds something else than visible ASCII")
	}
	t.secret.Store(&secret)
	return nil
}

// Secret returns the token itself, as last read.
func (t *Token) Secret() string { return *t.secret.Load() }

// Reload reads the file again, if there is one. On an error the token stays what it was.
func (t *Token) Reload() error {
	if t.path == "" {
		return nil
	}
	return t.read()
}

// Refused is told that the API refuses a secret, and reports whether there is another one
// by now: the file is read again, at most once a second, unless somebody did already. Of
// many calls refused at once one reads it, and the others wait for that.
func (t *Token) Refused(secret string) (renewed bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); t.Secret() == secret && now.Sub(t.refused) >= tokenReread {
		t.refused = now
		err = t.Reload()
	}
	return t.Secret() != secret, err
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
