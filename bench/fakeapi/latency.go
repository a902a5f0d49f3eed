package fakeapi

import (
	"context"
	"errors"
	"math"
	"time"
)

// z99 is the 99th percentile of the standard normal distribution.
const z99 = 2.3263478740408408

// Latency is a lognormal distribution given by two of its quantiles. The zero
// Latency is none at all.
type Latency struct {
	P50 time.Duration `yaml:"p50"` // the median
	P99 time.Duration `yaml:"p99"` // 0 means as P50: every call takes the same
}

// sample returns the latency at z standard deviations from the median.
func (l Latency) sample(z float64) time.Duration {
	return time.Duration(float64(l.P50) * math.Exp(l.sigma()*z))
}

// Mean returns the average latency, which with the number of calls under way together
// gives how many a second there can be.
func (l Latency) Mean() time.Duration {
	return time.Duration(float64(l.P50) * math.Exp(l.sigma()*l.sigma()/2))
}

// sigma is the spread of the logarithm.
func (l Latency) sigma() float64 {
	if l.P50 <= 0 || l.P99 <= l.P50 {
		return 0
	}
	return math.Log(float64(l.P99)/float64(l.P50)) / z99
}

func (l Latency) validate() error {
	if l.P50 < 0 || (l.P99 != 0 && l.P99 < l.P50) {
		return errors.New("a latency needs 0 ≤ p50 ≤ p99")
	}
	return nil
}

// sleep waits for d and reports whether it could: false means the client went away
// or the server is stopping.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
