package rig

import "syscall"

// childAttr makes the kernel kill the child when we die, and keeps a terminal's
// Ctrl-C from reaching it before we have told it ourselves.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
