// Package load decides when requests are due, sends them then, and records how long
// they took.
//
// A Curve is how many arrivals a second there should be, Arrivals are the instants,
// and both are pure values: the same ones whenever they are asked. Open offers the
// load whatever the server does with it, and latency counts from the instant a
// request was due, not from when it could at last be sent; a server that stands
// still for six seconds is seen to have made everybody wait.
package load

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// A Point is a place on a Curve.
type Point struct {
	At   time.Duration // since the start
	Rate float64       // arrivals a second
}

// A Curve is a rate of arrivals over time: straight lines between its points, which
// are in the order of time. It ends at its last point. Two points at one instant
// make a jump.
type Curve []Point

// Constant is the same rate for a while.
func Constant(rate float64, length time.Duration) Curve {
	return Curve{{0, rate}, {length, rate}}
}

// Spike is a rate that rises to factor times itself within rise, from a third of the
// way on, stays there for another third, and falls back at once.
func Spike(rate, factor float64, rise, length time.Duration) Curve {
	from, to := length/3, 2*length/3
	return Curve{{0, rate}, {from, rate}, {min(from+rise, to), rate * factor}, {to, rate * factor}, {to, rate}, {length, rate}}
}

// Diurnal is a day pressed into a while: a sine whose peak is peak times its mean.
// Its trough cannot be below nothing, so a peak above 2 flattens the night.
func Diurnal(mean, peak float64, length time.Duration) Curve {
	const steps = 96 // quarters of an hour
	shape := make([]float64, steps+1)
	swing, sum := peak-1, 0.0
	for i := range shape {
		shape[i] = max(0.05, 1-swing*math.Cos(2*math.Pi*float64(i)/steps))
		if i > 0 {
			sum += (shape[i-1] + shape[i]) / 2
		}
	}
	curve := make(Curve, steps+1)
	for i := range curve {
		curve[i] = Point{length * time.Duration(i) / steps, mean * shape[i] * steps / sum}
	}
	return curve
}

// Length is how long the curve lasts.
func (c Curve) Length() time.Duration {
	if len(c) == 0 {
		return 0
	}
	return c[len(c)-1].At
}

// Scale is the curve with every rate multiplied.
func (c Curve) Scale(by float64) Curve {
	scaled := make(Curve, len(c))
	for i, p := range c {
		scaled[i] = Point{p.At, p.Rate * by}
	}
	return scaled
}

// Total is how many arrivals the curve stands for.
func (c Curve) Total() float64 {
	total := 0.0
	for i := 1; i < len(c); i++ {
		total += area(c[i-1], c[i])
	}
	return total
}

// Time returns the instant at which n arrivals are due, and false if the curve ends
// before.
func (c Curve) Time(n float64) (time.Duration, bool) {
	for i := 1; i < len(c); i++ {
		here := area(c[i-1], c[i])
		if n < here {
			return c[i-1].At + seconds(within(c[i-1], c[i], n)), true
		}
		n -= here
	}
	return 0, false
}

// area is the number of arrivals between two neighbouring points.
func area(a, b Point) float64 {
	return (a.Rate + b.Rate) / 2 * (b.At - a.At).Seconds()
}

// within returns how many seconds after a the count since a is n: the root of
// n = rate·t + slope·t²/2, in the form that loses no digits when the slope is small.
func within(a, b Point, n float64) float64 {
	slope := (b.Rate - a.Rate) / (b.At - a.At).Seconds()
	root := math.Sqrt(max(0, a.Rate*a.Rate+2*slope*n))
	if a.Rate+root == 0 {
		return 0
	}
	return 2 * n / (a.Rate + root)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// Arrivals are the instants of a curve.
type Arrivals struct {
	Curve Curve

	// Even spaces them regularly. Otherwise they are a Poisson process, as the
	// arrivals of strangers are.
	Even bool

	// Seed picks one of the Poisson processes.
	Seed uint64
}

// All yields the instants since the start, in order. A Poisson process of any rate is
// one of rate 1 seen through the curve: its nth arrival is due when the curve has
// counted the sum of n exponential gaps.
func (a Arrivals) All() iter.Seq[time.Duration] {
	return func(yield func(time.Duration) bool) {
		rng := rand.New(rand.NewPCG(a.Seed, 0x6172726976616c73))
		walk := walker{curve: a.Curve}
		for n := 0.0; ; {
			if !a.Even {
				n += rng.ExpFloat64()
			}
			at, ok := walk.time(n)
			if !ok || !yield(at) {
				return
			}
			if a.Even {
				n++
			}
		}
	}
}

// walker answers Curve.Time for growing counts without starting from the left each
// time.
type walker struct {
	curve  Curve
	i      int     // segments behind
	passed float64 // arrivals in them
}

func (w *walker) time(n float64) (time.Duration, bool) {
	for w.i+1 < len(w.curve) {
		a, b := w.curve[w.i], w.curve[w.i+1]
		here := area(a, b)
		if n-w.passed < here {
			return a.At + seconds(within(a, b, n-w.passed)), true
		}
		w.passed += here
		w.i++
	}
	return 0, false
}
