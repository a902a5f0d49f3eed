package fashionai_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"vitrine/internal/fashionai"
)

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		value string
		want  time.Duration // 0: not legible
	}{
		{"0", 100 * time.Millisecond},
		{"1", time.Second},
		{" 7\t", 7 * time.Second},
		{"007", 7 * time.Second},
		{"60", time.Minute},
		{"61", time.Minute},
		{"86400", time.Minute},
		{"99999999999999999999999999", time.Minute},
		{"Sat, 21 Nov 2026 12:00:05 GMT", 5 * time.Second},
		{"Saturday, 21-Nov-26 12:00:05 GMT", 5 * time.Second},
		{"Sat Nov 21 12:00:05 2026", 5 * time.Second},
		{"Sat, 21 Nov 2026 11:00:00 GMT", 100 * time.Millisecond},
		{"Sun, 22 Nov 2026 12:00:00 GMT", time.Minute},
		{"", 0},
		{"-1", 0},
		{"+1", 0},
		{"1.5", 0},
		{"1e3", 0},
		{"soon", 0},
		{"5 s", 0},
		{"１", 0},
		{"2026-11-21T12:00:05Z", 0},
	} {
		got, ok := fashionai.ParseRetryAfter(c.value, now)
		if got != c.want || ok != (c.want != 0) {
			t.Errorf("%q: got %s, %t, want %s", c.value, got, ok, c.want)
		}
	}
}

// Whatever the header: it is legible and within the clamp, or it is not legible. A
// number of seconds means what the date so many seconds ahead means.
func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"0", "7", "86400", "-1", "99999999999999999999", "Sat, 21 Nov 2026 12:00:05 GMT", "soon", ""} {
		f.Add(s, int64(1_795_262_400))
	}
	f.Fuzz(func(t *testing.T, value string, unix int64) {
		now := time.Unix(unix%(1<<33), 0)
		got, ok := fashionai.ParseRetryAfter(value, now)
		switch {
		case !ok && got != 0:
			t.Fatalf("%q: got %s and not legible", value, got)
		case ok && (got < fashionai.MinRetryAfter || got > fashionai.MaxRetryAfter):
			t.Fatalf("%q: got %s, want it within the clamp", value, got)
		}
		seconds, err := strconv.ParseUint(value, 10, 31)
		if err != nil || now.Unix() < 0 {
			return
		}
		date := now.Add(time.Duration(seconds) * time.Second).UTC().Format(http.TimeFormat)
		if same, ok := fashionai.ParseRetryAfter(date, now); !ok || same != got {
			t.Fatalf("%q: got %s, but %s, %t for %q", value, got, same, ok, date)
		}
	})
}
