package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
)

// insideVariable tells the copy of us that runs in the namespace so, and how it got there.
const insideVariable = "VITRINE_REHEARSAL"

// inNamespace runs the rehearsal in a network namespace of its own, where the ports of the
// manifest are free whatever else this machine runs, and returns its exit code. It is not
// done if we are inside, or if the kernel does not let us.
func inNamespace(ctx context.Context, args []string, stdout, stderr io.Writer) (code int, done bool) {
	if os.Getenv(insideVariable) != "" {
		return 0, false
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	as := "root"
	if os.Geteuid() != 0 {
		as = "mapped"
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	inside := func(command *exec.Cmd) *exec.Cmd {
		command.Env = append(os.Environ(), insideVariable+"="+as)
		command.Stdout, command.Stderr, command.SysProcAttr = stdout, stderr, attr
		command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
		return command
	}
	const loopback = "ip link set lo up"
	if inside(exec.CommandContext(ctx, "sh", "-c", loopback)).Run() != nil {
		fmt.Fprintln(stdout, "no network namespace here: the listeners get free ports instead of the manifest's")
		return 0, false
	}
	// The shell brings loopback up and becomes the rehearsal.
	command := inside(exec.CommandContext(ctx, "sh", append([]string{"-c", loopback + ` && exec "$0" "$@"`, self}, args...)...)) //nolint:gosec // ourselves
	if err := command.Run(); err != nil {
		return max(command.ProcessState.ExitCode(), 1), true
	}
	return 0, true
}

// ownNetwork reports whether every port is ours.
func ownNetwork() bool { return os.Getenv(insideVariable) != "" }

// userOf is what makes a process run as the manifest says, if we may: nil if not.
func userOf(uid int) *syscall.Credential {
	if os.Geteuid() != 0 || os.Getenv(insideVariable) == "mapped" {
		return nil
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)} //nolint:gosec // of the manifest
}

func childAttr(user *syscall.Credential) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL, Credential: user}
}
