package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"
)

// maxHeld bounds the connections that fill a deaf listener's queue; it takes two.
const maxHeld = 16

// ListenDeaf opens a listener on an IPv4 address whose queue is full and never emptied, so
// that the system drops every SYN: who connects hears nothing until it gives up.
func ListenDeaf(ctx context.Context, addr string) (*Deaf, error) {
	d := new(Deaf)
	if err := d.listen(addr); err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, errors.Join(err, d.Close()))
	}
	dialer := net.Dialer{Timeout: 300 * time.Millisecond} // on loopback what is not there by then was dropped
	for range maxHeld {
		c, err := dialer.DialContext(ctx, "tcp", d.addr)
		var network net.Error
		switch {
		case err == nil:
			d.held = append(d.held, c)
		case ctx.Err() == nil && errors.As(err, &network) && network.Timeout():
			return d, nil
		default:
			return nil, errors.Join(err, d.Close())
		}
	}
	return nil, errors.Join(errors.New("the queue of a listener does not fill up"), d.Close())
}

func (d *Deaf) listen(addr string) error {
	want, err := net.ResolveTCPAddr("tcp4", addr)
	if err != nil {
		return err
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	d.listener = os.NewFile(uintptr(fd), "deaf listener")
	// The address may be kept for somebody by a socket that does not listen.
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	at := &syscall.SockaddrInet4{Port: want.Port}
	copy(at.Addr[:], want.IP.To4())
	if err := syscall.Bind(fd, at); err != nil {
		return os.NewSyscallError("bind", err)
	}
	if err := syscall.Listen(fd, 1); err != nil {
		return os.NewSyscallError("listen", err)
	}
	name, err := syscall.Getsockname(fd)
	if inet, ok := name.(*syscall.SockaddrInet4); ok {
		d.addr = (&net.TCPAddr{IP: inet.Addr[:], Port: inet.Port}).String()
	}
	return os.NewSyscallError("getsockname", err)
}

// Dialling is how many connections to it are being tried now, of the whole machine's.
func (d *Deaf) Dialling() (int, error) {
	table, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	return dialling(string(table), d.addr)
}
