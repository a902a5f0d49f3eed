package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

func TestKeyWithoutLifeIsFound(t *testing.T) {
	server := miniredis.RunT(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	for _, key := range []string{"a", "b", "c"} {
		if err := client.Set(t.Context(), key, "x", time.Minute).Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := keyWithoutLife(t.Context(), client); got != "" || err != nil {
		t.Errorf("got %q (%v), want none", got, err)
	}
	if err := client.Set(t.Context(), "d", "x", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if got, err := keyWithoutLife(t.Context(), client); got != "d" || err != nil {
		t.Errorf("got %q (%v), want d", got, err)
	}
}

func TestWeigh(t *testing.T) {
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "deeper"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "deeper/two"} {
		if err := os.WriteFile(filepath.Join(folder, name), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if files, size, err := weigh(folder); files != 2 || size != 200 || err != nil {
		t.Errorf("got %d files of %d bytes (%v), want 2 of 200", files, size, err)
	}
	if files, _, err := weigh(filepath.Join(folder, "gone")); files != 0 || err != nil {
		t.Errorf("got %d files (%v) where there is no folder, want none", files, err)
	}
}
