//go:build !linux

package journal

import "os"

// dataSync waits until the content of f is on the disk. POSIX leaves open whether that takes in what was
// stored through a mapping; Linux, which Vitrine is run on in earnest, does not.
func dataSync(f *os.File) error {
	return f.Sync()
}
