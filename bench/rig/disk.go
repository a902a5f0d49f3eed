package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// inWorld lets a command run with mounts that only it sees and that go with it, however it
// ends.
func inWorld(mounts, command []string) []string {
	if len(mounts) == 0 {
		return command
	}
	flags := "-m"
	if os.Geteuid() != 0 {
		flags = "-rm" // root of nothing but what it mounts
	}
	script := strings.Join(append(mounts, `exec "$@"`), " && ")
	return append([]string{"unshare", flags, "sh", "-c", script, "sh"}, command...)
}

// onDisk mounts a small disk, in memory, on a folder.
func onDisk(folder string, size int64) string {
	return fmt.Sprintf("mount -t tmpfs -o size=%d,mode=0700 tmpfs %s", size, quote(folder))
}

// onDevice mounts the file system in an image, which the system then treats as it does a
// disk.
func onDevice(folder, image string) string {
	return fmt.Sprintf("mount -o loop %s %s", quote(image), quote(folder))
}

// instead puts a file in the place of another.
func instead(file, of string) string {
	return fmt.Sprintf("mount --bind %s %s", quote(file), quote(of))
}

// quote makes one word of the shell's.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// CanMount returns nil if a sidecar can have a disk of its own, which takes Linux and the
// right to mount, or why it cannot.
func CanMount(ctx context.Context) error {
	return canMount(ctx, "a small disk", func(dir string) (string, error) { return onDisk(dir, 1<<20), nil })
}

// CanMountDevice returns nil if a sidecar can have a disk that fails as a device does, which
// takes Linux, root, mkfs.ext4 and a loop device, or why it cannot.
func CanMountDevice(ctx context.Context) error {
	return canMount(ctx, "a file system in a file", func(dir string) (string, error) {
		image := filepath.Join(dir, "image")
		return onDevice(dir, image), makeImage(ctx, image, 8<<20)
	})
}

// CanReplaceResolver returns nil if a sidecar can be given another name server than the
// machine's, or why it cannot.
func CanReplaceResolver(ctx context.Context) error {
	s, err := StartNameServer(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	return canMount(ctx, "another "+resolvConf, func(dir string) (string, error) {
		file := filepath.Join(dir, "resolv.conf")
		return instead(file, resolvConf), os.WriteFile(file, nil, 0o600)
	})
}

func canMount(ctx context.Context, what string, prepare func(dir string) (string, error)) error {
	if runtime.GOOS != "linux" {
		return errors.New(what + " takes Linux")
	}
	dir, err := os.MkdirTemp("", "vitrine-bench-mount-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	mount, err := prepare(dir)
	if err != nil {
		return err
	}
	command := inWorld([]string{mount}, []string{"true"})
	if out, err := exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s cannot be mounted: %w %s", what, err, out)
	}
	return nil
}

// makeImage makes a file with an empty file system in it.
func makeImage(ctx context.Context, path string, size int64) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		return err
	}
	if out, err := exec.CommandContext(ctx, "mkfs.ext4", "-q", path).CombinedOutput(); err != nil {
		return fmt.Errorf("making a file system: %w %s", err, out)
	}
	return nil
}

// resolvConf names the machine's name servers.
const resolvConf = "/etc/resolv.conf"

// mounts are what the options ask for.
func (s *Sidecar) mounts(ctx context.Context) (all []string, err error) {
	if s.opts.Disk > 0 {
		if err := os.MkdirAll(s.opts.Outbox, 0o700); err != nil {
			return nil, err
		}
	}
	switch image := filepath.Join(s.dir, "disk.image"); {
	case s.opts.Disk > 0 && s.opts.Device:
		if err := makeImage(ctx, image, s.opts.Disk); err != nil && !errors.Is(err, os.ErrExist) { // a predecessor's
			return nil, err
		}
		all = append(all, onDevice(s.opts.Outbox, image))
	case s.opts.Disk > 0:
		all = append(all, onDisk(s.opts.Outbox, s.opts.Disk))
	}
	if s.opts.NameServer != "" {
		file := filepath.Join(s.dir, "resolv.conf")
		if err := os.WriteFile(file, []byte("nameserver "+s.opts.NameServer+"\n"), 0o600); err != nil {
			return nil, err
		}
		all = append(all, instead(file, resolvConf))
	}
	return all, nil
}

// BreakDisk lets the device under the sidecar's disk fail, as the kernel sees it: the file
// system refuses every write from now on, those to files that are open as well. Only a
// restart ends it, whose mount repairs what there is to repair.
func (s *Sidecar) BreakDisk(ctx context.Context) error {
	pid := strconv.Itoa(s.p.cmd.Process.Pid)
	out, err := exec.CommandContext(ctx, "nsenter", "-t", pid, "-m", "mount", "-o", "remount,abort", s.opts.Outbox).CombinedOutput()
	if err != nil {
		return fmt.Errorf("breaking the disk: %w %s", err, out)
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
