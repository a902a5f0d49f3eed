package journal

import "os"

// The layout, for tests that damage files byte by byte.
const (
	HeaderSize  = headerSize
	FrameHeader = frameHeader
	MarkAt      = markAt
)

// FailCreate makes every attempt to prepare a segment ask fail first.
func (j *Journal) FailCreate(fail func() error) {
	create := j.disk.create
	j.disk.create = func(dir string, sequence uint32, size int64) (*segment, error) {
		if err := fail(); err != nil {
			return nil, err
		}
		return create(dir, sequence, size)
	}
}

// BeforeSync makes every sync of a file call before, whose error it returns if there is one.
func (j *Journal) BeforeSync(before func() error) {
	sync := j.disk.sync
	j.disk.sync = func(f *os.File) error {
		if err := before(); err != nil {
			return err
		}
		return sync(f)
	}
}

// Maintain does once what Run does all the time.
func (j *Journal) Maintain() error {
	j.reclaim()
	j.prepare()
	return j.sync()
}

// Capacity is how many records with bodies of n bytes fit into a segment.
func (j *Journal) Capacity(n int) int {
	return int(j.options.SegmentBytes-headerSize) / frameSize(n)
}

// Examine is how Inspect judges a segment, given what one reading after the other returns.
func Examine(sequence uint32, readings ...[]byte) (records int, wrong bool) {
	found, _ := examine(sequence, func() ([]byte, error) {
		data := readings[0]
		readings = readings[1:]
		return data, nil
	})
	return found.records, found.rest != nothing
}
