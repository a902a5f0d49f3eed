//go:build !linux

package journal

import "os"

// allocate makes f size bytes long and occupies its blocks, so that writing to them through a mapping
// cannot run out of space.
func allocate(f *os.File, size int64) error {
	return writeZeros(f, size)
}

// dataSync waits until the content of f is on the disk. POSIX leaves open whether that takes in what was
// stored through a mapping; Linux, which Vitrine is run on in earnest, does not.
func dataSync(f *os.File) error {
	return f.Sync()
}
