package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
)

// onDisk lets a command run with a small disk of its own, in memory, mounted on a folder.
// Only the command sees it, and it goes with the command, however that ends.
func onDisk(folder string, size int64, command []string) []string {
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm" // root of nothing but what it mounts
	}
	const script = `mount -t tmpfs -o "size=$0,mode=0700" tmpfs "$1" && shift && exec "$@"`
	return append([]string{"unshare", flags, "sh", "-c", script, strconv.FormatInt(size, 10), folder}, command...)
}

// CanMount returns nil if a sidecar can have a disk of its own, which takes Linux and the
// right to mount, or why it cannot.
func CanMount(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "vitrine-bench-disk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	command := onDisk(dir, 1<<20, []string{"true"})
	if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("a small disk cannot be mounted: %w %s", err, out)
	}
	return nil
}

// FillDisk writes to the disk of the sidecar's own until it is full. What the journal gives
// back later is free again.
func (s *Sidecar) FillDisk() error { return fill(s.filler()) }

// EmptyDisk takes back what FillDisk has written.
func (s *Sidecar) EmptyDisk() error { return os.Remove(s.filler()) }

// filler is a file on the disk as we see it, who are outside.
func (s *Sidecar) filler() string {
	return filepath.Join("/proc", strconv.Itoa(s.p.cmd.Process.Pid), "root", s.opts.Outbox, "filler")
}

func fill(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	for block := make([]byte, 4<<10); err == nil; {
		_, err = f.Write(block)
	}
	if errors.Is(err, syscall.ENOSPC) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
