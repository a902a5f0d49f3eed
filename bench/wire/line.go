package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Line is one connection whose calls block their thread. The kernel itself wakes who
// waits for an answer; the runtime's poller, which would have to be looked at by another
// thread first, knows nothing of it. It is for one goroutine at a time.
type Line struct {
	fd int
	r  *bufio.Reader
}

// DialLine opens one to host:port or unix:PATH. A call of it that takes longer than
// timeout fails.
func DialLine(addr string, timeout time.Duration) (*Line, error) {
	network, address := "tcp", addr
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.DialTimeout(network, address, timeout) //nolint:noctx // bounded by timeout
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	fd, err := detach(c)
	if err = errors.Join(err, c.Close()); err != nil {
		return nil, fmt.Errorf("taking a connection from the poller: %w", err)
	}
	wait := syscall.NsecToTimeval(timeout.Nanoseconds())
	err = errors.Join(
		syscall.SetNonblock(fd, false),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("letting a connection block: %w", err), syscall.Close(fd))
	}
	l := &Line{fd: fd}
	l.r = bufio.NewReaderSize(l, 16<<10)
	return l, nil
}

// detach returns a descriptor of the connection of which the poller does not know.
func detach(c net.Conn) (fd int, err error) {
	known, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("no descriptor")
	}
	raw, err := known.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Control(func(shared uintptr) {
		syscall.ForkLock.RLock() // no child shall have it
		defer syscall.ForkLock.RUnlock()
		if fd, err = syscall.Dup(int(shared)); err == nil {
			syscall.CloseOnExec(fd)
		}
	})
	return fd, errors.Join(failed, err)
}

// Do sends a whole request and reads the answer into a, whose memory it uses again. A
// server that closes the connection after its answer is an error: lines are for those
// that keep them.
func (l *Line) Do(request []byte, a *Answer) error {
	if err := l.write(request); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	if err := a.read(l.r); err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	if !a.keep {
		return errors.New("the server closes the connection")
	}
	return nil
}

func (l *Line) write(p []byte) error {
	for len(p) > 0 {
		n, err := syscall.Write(l.fd, p)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			return timely(err)
		}
		p = p[max(0, n):]
	}
	return nil
}

// Read makes a Line what its own buffer reads from.
func (l *Line) Read(p []byte) (int, error) {
	for {
		n, err := syscall.Read(l.fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return 0, timely(err)
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// timely calls the end of a timeout by its name.
func timely(err error) error {
	if errors.Is(err, syscall.EAGAIN) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close closes it.
func (l *Line) Close() error { return syscall.Close(l.fd) }
