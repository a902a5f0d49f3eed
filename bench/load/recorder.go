package load

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What the histograms tell apart: three digits between a tenth of a microsecond and
// two minutes; a longer latency counts as two minutes.
const (
	finest  = 100 * time.Nanosecond
	longest = 2 * time.Minute
	digits  = 3
)

// A Histogram is how long things took. It is not for concurrent use.
type Histogram struct{ h *hdrhistogram.Histogram }

// NewHistogram returns an empty one of about 200 KB.
func NewHistogram() *Histogram {
	return &Histogram{hdrhistogram.New(int64(finest), int64(longest), digits)}
}

// newCoarse returns one of two digits and 30 KB, for the many of a timeline.
func newCoarse() *Histogram {
	return &Histogram{hdrhistogram.New(int64(10*time.Microsecond), int64(longest), 2)}
}

// Record adds one.
func (h *Histogram) Record(d time.Duration) {
	_ = h.h.RecordValue(int64(min(max(d, 0), longest))) // within the range: never fails
}

// Merge adds another's.
func (h *Histogram) Merge(other *Histogram) { h.h.Merge(other.h) }

// Count is how many were recorded.
func (h *Histogram) Count() int64 { return h.h.TotalCount() }

// Max is the longest.
func (h *Histogram) Max() time.Duration { return time.Duration(h.h.Max()) }

// Mean is the average.
func (h *Histogram) Mean() time.Duration { return time.Duration(h.h.Mean()) }

// Beyond is how many samples there must be beyond a quantile for it to be told: with
// fewer it is the tale of a few requests.
const Beyond = 100

// Quantile returns the q-quantile, 0 < q < 1, and false if fewer than 100 samples
// lie beyond it.
func (h *Histogram) Quantile(q float64) (time.Duration, bool) {
	if float64(h.Count())*(1-q) < Beyond-1e-6 {
		return 0, false
	}
	return h.Rough(q), true
}

// Rough is Quantile without asking how many samples carry it.
func (h *Histogram) Rough(q float64) time.Duration {
	return time.Duration(h.h.ValueAtQuantile(q * 100))
}

// Share returns the share of samples that took at most d.
func (h *Histogram) Share(d time.Duration) float64 {
	if h.Count() == 0 {
		return 0
	}
	var within int64
	for _, bar := range h.h.Distribution() {
		if bar.To <= int64(d) {
			within += bar.Count
		}
	}
	return float64(within) / float64(h.Count())
}

// Sample is one thing that was done.
type Sample struct {
	Due   time.Time     // when it was due
	Lag   time.Duration // from then until it was begun
	Took  time.Duration // from then until its end
	Class string        // what the samples are told apart by: the answer's source
	OK    bool          // whether it ended as it should
}

// Slice is a stretch of a run.
type Slice struct {
	From  time.Duration // since the start
	Count map[string]int64
	Bad   int64 // samples that were not OK
	All   *Histogram
}

// Recorder keeps the samples of a run. It may be used concurrently.
type Recorder struct {
	start time.Time
	width time.Duration

	mu      sync.Mutex
	classes map[string]*Histogram
	all     *Histogram
	service *Histogram
	lag     *Histogram
	bad     int64
	slices  map[int]*Slice
}

// maxSlices bounds the timeline, 30 KB each.
const maxSlices = 600

// NewRecorder returns the recorder of a run that starts then and lasts about so
// long. Its timeline has slices of a second, or longer if there were too many.
func NewRecorder(start time.Time, length time.Duration) *Recorder {
	width := max(time.Second, (length / maxSlices).Round(time.Second))
	return &Recorder{
		start: start, width: width,
		classes: make(map[string]*Histogram), slices: make(map[int]*Slice),
		all: NewHistogram(), service: NewHistogram(), lag: NewHistogram(),
	}
}

// Record adds a sample. It belongs to the slice in which it was due.
func (r *Recorder) Record(s Sample) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.classes[s.Class]
	if h == nil {
		h = NewHistogram()
		r.classes[s.Class] = h
	}
	h.Record(s.Took)
	r.all.Record(s.Took)
	r.service.Record(s.Took - s.Lag)
	r.lag.Record(s.Lag)
	slice := r.sliceLocked(s.Due)
	slice.Count[s.Class]++
	slice.All.Record(s.Took)
	if !s.OK {
		r.bad++
		slice.Bad++
	}
}

func (r *Recorder) sliceLocked(due time.Time) *Slice {
	i := min(int(max(0, due.Sub(r.start))/r.width), 2*maxSlices)
	slice := r.slices[i]
	if slice == nil {
		slice = &Slice{From: time.Duration(i) * r.width, Count: make(map[string]int64), All: newCoarse()}
		r.slices[i] = slice
	}
	return slice
}

// Recording is what a Recorder has, in full. Nothing may be recorded any more while
// it is read.
type Recording struct {
	Width   time.Duration // of a slice
	Classes map[string]*Histogram
	All     *Histogram // all classes, from the instant due
	Service *Histogram // all classes, from the instant begun: what the server alone took
	Lag     *Histogram // from due to begun
	Bad     int64
	Slices  []*Slice // in order; seconds without a sample are missing
}

// Recording returns what was recorded.
func (r *Recorder) Recording() Recording {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := Recording{Width: r.width, Classes: maps.Clone(r.classes), All: r.all, Service: r.service, Lag: r.lag, Bad: r.bad}
	for _, i := range slices.Sorted(maps.Keys(r.slices)) {
		out.Slices = append(out.Slices, r.slices[i])
	}
	return out
}

// Progress returns how many samples there are so far and how many were not OK.
func (r *Recorder) Progress() (done, bad int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.all.Count(), r.bad
}
