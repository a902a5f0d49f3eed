//go:build !linux

package main

import (
	"context"
	"io"
	"syscall"
)

// There are neither namespaces nor cgroups: processes with free ports it is.
func inNamespace(context.Context, []string, io.Writer, io.Writer) (code int, done bool) {
	return 0, false
}

func ownNetwork() bool { return false }

func userOf(int) *syscall.Credential { return nil }

func childAttr(*syscall.Credential) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
