//go:build unix

package fashionai

import (
	"errors"
	"syscall"
)

// readable tells, without waiting, whether a socket has bytes to read, was closed by the
// other side, or is broken. It may take a byte away: the connection is then of no use
// anyway.
func readable(fd uintptr) bool {
	var b [1]byte
	_, err := syscall.Read(int(fd), b[:])
	return !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
}
