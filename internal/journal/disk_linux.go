package journal

import (
	"errors"
	"os"
	"syscall"
)

// allocate makes f size bytes long and reserves its blocks, so that writing to them through a mapping
// cannot run out of space.
func allocate(f *os.File, size int64) error {
	err := withDescriptor(f, func(fd int) error {
		return syscall.Fallocate(fd, 0, 0, size)
	})
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return writeZeros(f, size)
	}
	return err
}

// dataSync waits until the content of f is on the disk, what was stored through a mapping included. The
// file's times do not matter, and waiting for them too would cost a second write.
func dataSync(f *os.File) error {
	return withDescriptor(f, syscall.Fdatasync)
}
