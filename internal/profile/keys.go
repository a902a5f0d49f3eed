package profile

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// Keys seal what Redis holds: AES-256-GCM. They come from a file of lines
//
//	keyid:base64 of 32 bytes
//
// of which the first seals and all open. A key rotates without a miss in three steps:
// add the new one as the last line; when every pod has it, make it the first; when
// what the old one sealed has ended its life, remove that. A key that leaked is removed at
// once, and what it sealed is a miss. Nonces are random, so one key should seal fewer than
// 2³² values (NIST SP 800-38D, 8.3): rotate once a year.
//
// They are safe for concurrent use.
type Keys struct {
	path string
	ring atomic.Pointer[ring]
}

// ring is one reading of the file.
type ring struct {
	first string // id of the key that seals
	keys  map[string]cipher.AEAD
	text  string // of the file, to see whether it has changed
}

const (
	keysPoll    = 10 * time.Second
	keysMost    = 64 << 10 // bytes of the file
	keyIDMost   = 32       // bytes
	keySize     = 32
	commentMark = "#"
)

// OpenKeys returns the keys in a file. [Keys.Run] reads it again.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	if err := k.read(); err != nil {
		return nil, err
	}
	return k, nil
}

// Run reads the file again every 10 s until ctx ends, and then returns nil. A file that
// cannot be read leaves the keys as they were; report is told why.
func (k *Keys) Run(ctx context.Context, report func(error)) error {
	tick := time.NewTicker(keysPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := k.read(); err != nil {
				report(err)
			}
		}
	}
}

func (k *Keys) read() error {
	f, err := os.Open(k.path)
	if err != nil {
		return fmt.Errorf("reading the profile keys: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, keysMost))
	if err != nil {
		return fmt.Errorf("reading the profile keys: %w", err)
	}
	if old := k.ring.Load(); old != nil && old.text == string(text) {
		return nil
	}
	r, err := parseKeys(string(text))
	if err != nil {
		return fmt.Errorf("reading the profile keys from %s: %w", k.path, err)
	}
	k.ring.Store(r)
	return nil
}

// parseKeys reads the file's text. Its errors name lines and quote nothing.
func parseKeys(text string) (*ring, error) {
	r := &ring{keys: make(map[string]cipher.AEAD), text: text}
	var wrong []error
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, commentMark) {
			continue
		}
		if problem := r.add(line); problem != "" {
			wrong = append(wrong, fmt.Errorf("line %d %s", number, problem))
		}
	}
	if len(r.keys) == 0 && wrong == nil {
		wrong = append(wrong, errors.New("there is no key in it"))
	}
	if wrong != nil {
		return nil, errors.Join(wrong...)
	}
	return r, nil
}

func (r *ring) add(line string) (problem string) {
	id, encoded, found := strings.Cut(line, ":")
	id = strings.TrimSpace(id)
	if !found || !keyID(id) {
		return "must be keyid:base64 of 32 bytes, the id of at most 32 letters, digits, dots, dashes and underscores"
	}
	if _, taken := r.keys[id]; taken {
		return "has the id of a key above it"
	}
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(encoded), "="))
	key, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil || len(key) != keySize {
		return "does not hold base64 of 32 bytes"
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return "holds no key" // it has the right length
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return "holds no key" // AES always makes one
	}
	if r.first == "" {
		r.first = id
	}
	r.keys[id] = aead
	return ""
}

func keyID(id string) bool {
	return id != "" && len(id) <= keyIDMost && !strings.ContainsFunc(id, func(r rune) bool {
		return !digit(r) && !letter(r) && !strings.ContainsRune("._-", r)
	})
}
