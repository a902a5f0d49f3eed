//go:build !linux

package rig

import "syscall"

// childAttr keeps a terminal's Ctrl-C from the child until we have told it ourselves.
func childAttr() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
