package fakeapi

import (
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
)

// reserve finds a free port of 127.0.0.1 and keeps it: while nobody listens there
// connections are refused, and neither another listener nor an outgoing connection
// is given the port meanwhile. A socket that is bound but never listens does that.
// (Without it, a client that dials a closed port of the ephemeral range can even be
// connected to itself.)
func reserve() (io.Closer, string, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, "", os.NewSyscallError("socket", err)
	}
	held := os.NewFile(uintptr(fd), "reserved port")
	addr, err := bind(fd)
	if err != nil {
		_ = held.Close()
		return nil, "", err
	}
	return held, addr, nil
}

func bind(fd int) (string, error) {
	// Both sockets need it for the listener to be let in beside this one.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return "", os.NewSyscallError("setsockopt", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return "", os.NewSyscallError("bind", err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		return "", os.NewSyscallError("getsockname", err)
	}
	inet, ok := name.(*syscall.SockaddrInet4)
	if !ok {
		return "", fmt.Errorf("unexpected socket address %T", name)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(inet.Port)), nil
}
