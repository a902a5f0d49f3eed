package journal

// Stats is the state of a journal at one moment.
type Stats struct {
	Bytes    int64 // of all segment files, the preallocated and those set aside included
	Segments int   // files with records, one that is appended to, and the one prepared to be next
	Pending  int   // records not settled

	Full        bool // MaxBytes allows no further segment; Append returns ErrFull once the last one is full
	Unavailable bool // the disk refused the last attempt to prepare a segment; ErrUnavailable once the last one is full

	Damaged int // files set aside, by this opening or an earlier one
	Torn    int // segments whose unfinished end this opening cut off

	PrepareErrors uint64 // failed attempts to prepare a segment
	SyncErrors    uint64 // failed syncs
	Faults        uint64 // records refused because the mapping could not be written to

	LastError string // of any of these and of deleting; empty if there was none
}

// Stats returns the state of the journal.
func (j *Journal) Stats() Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	st := j.stats
	st.Bytes = j.bytes
	st.Full = j.fullLocked()
	st.Segments = len(j.segments)
	if j.spare != nil {
		st.Segments++
	}
	for _, s := range j.segments {
		st.Pending += s.pending
	}
	return st
}
