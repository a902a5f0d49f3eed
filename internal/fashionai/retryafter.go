package fashionai

import (
	"net/http"
	"strings"
	"time"
)

const (
	// MinRetryAfter and MaxRetryAfter clamp what a server may ask for.
	MinRetryAfter = 100 * time.Millisecond
	MaxRetryAfter = 60 * time.Second
	// DefaultRetryAfter is taken from a 429 that does not say how long, or not legibly.
	DefaultRetryAfter = time.Second
)

// ParseRetryAfter reads a Retry-After header, which is a number of seconds or a date (RFC
// 9110, 10.2.3), as the time to wait from now, between MinRetryAfter and MaxRetryAfter. It
// returns false for anything else.
func ParseRetryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.Trim(value, " \t")
	if value == "" {
		return 0, false
	}
	if seconds, ok := parseSeconds(value); ok {
		return clamp(seconds), true
	}
	date, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	return clamp(date.Sub(now)), true
}

// parseSeconds reads digits. However many there are, it stops growing past MaxRetryAfter.
func parseSeconds(value string) (time.Duration, bool) {
	var d time.Duration
	for i := range len(value) {
		c := value[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		if d <= MaxRetryAfter {
			d = 10*d + time.Duration(c-'0')*time.Second
		}
	}
	return d, true
}

func clamp(d time.Duration) time.Duration {
	return min(max(d, MinRetryAfter), MaxRetryAfter)
}
