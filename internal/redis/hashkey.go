package redis

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// HashKey keys the hashes under which sessions and people are known in Redis. All pods
// of a shop must have the same.
type HashKey [32]byte

// DeriveHashKey makes the key from the API's token by HKDF-SHA256, so that pods agree on
// one without being told.
func DeriveHashKey(token string) (HashKey, error) {
	var key HashKey
	derived, err := hkdf.Key(sha256.New, []byte(token), nil, "vitrine redis hash key v1", len(key))
	if err != nil {
		return key, fmt.Errorf("deriving the hash key: %w", err)
	}
	copy(key[:], derived)
	return key, nil
}

// ParseHashKey reads a key from base64, standard or for URLs, with or without padding
// and white space around it.
func ParseHashKey(text string) (HashKey, error) {
	var key HashKey
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(text), "="))
	raw, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil || len(raw) != len(key) {
		return key, errors.New("the hash key must be base64 of 32 bytes")
	}
	copy(key[:], raw)
	return key, nil
}
