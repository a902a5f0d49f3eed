package journal

import (
	"os"
	"syscall"
)

// dataSync waits until the content of f is on the disk, what was stored through a mapping included. The
// file's times do not matter, and waiting for them too would cost a second write.
func dataSync(f *os.File) error {
	return withDescriptor(f, syscall.Fdatasync)
}
