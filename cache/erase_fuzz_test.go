package cache_test

import (
	"encoding/base64"
	"strconv"
	"strings"
	"testing"
	"time"

	"vitrine/cache"
)

// Another pod's erase takes a session's rankings if it names that session and is of a time
// since they were asked for, which no clock is far ahead of. Nothing that is published takes
// any other session's.
func FuzzErasedElsewhere(f *testing.F) {
	e, other := view("erased", "a"), view("other", "a")
	key, _ := cache.RemoteNames(hashKey, e)
	name := strings.TrimPrefix(key, "v1:")
	for _, ahead := range []int64{0, 2000, 60_000, -60_000, 1 << 53, -1 << 53} {
		f.Add(name, ahead, "")
	}
	for _, message := range []string{name, name + " ", name + " 0", name + " x", name + " -1", name + " 9223372036854775807", " 1700000000000000", name + "A 1", "* 1"} {
		f.Add(name, int64(0), message)
	}
	f.Fuzz(func(t *testing.T, named string, ahead int64, message string) {
		c := memory(t, func(o *cache.Options) { o.HashKey = hashKey })
		learn(t, c, e, ranking("p1"))
		learn(t, c, other, ranking("p2"))
		if message == "" {
			message = named + " " + strconv.FormatInt(time.Now().UnixMicro()+1+ahead, 10)
		}
		encoded, wall, _ := strings.Cut(message, " ")
		raw, wrong := base64.RawURLEncoding.DecodeString(encoded)
		stamp, err := strconv.ParseInt(wall, 10, 64)
		after := time.Until(time.UnixMicro(stamp))
		if after > 4*time.Second && after < 6*time.Second || after < 0 && after > -time.Second {
			stamp = time.Now().UnixMicro() + 1 // neither side of a border is meant
			message, after, err = encoded+" "+strconv.FormatInt(stamp, 10), 0, nil
		}
		own, _ := base64.RawURLEncoding.DecodeString(name)
		gone := wrong == nil && err == nil && string(raw) == string(own) && after > -time.Second && after < 5*time.Second

		c.ReceiveErase(message)
		if got := c.Peek(e, time.Now()).Status == cache.None; got != gone {
			t.Errorf("%q, %v ahead: got the session gone %t, want %t", message, after, got, gone)
		}
		if c.Peek(other, time.Now()).Status != cache.Fresh {
			t.Errorf("%q took another session's", message)
		}
	})
}
