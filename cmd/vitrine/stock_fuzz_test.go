package main

import (
	"regexp"
	"strconv"
	"testing"
)

// What the script that writes a level takes for one is what the reader does, so that no
// pod counts what another will replace; and it reads back as it is written.
func FuzzReadLevel(f *testing.F) {
	f.Add("p1", "1790000000000 0")
	f.Add("p1", "01 007")
	f.Add("p1", "-1 3")
	f.Add("p1", "1 -3")
	f.Add("p1", "+1 +3")
	f.Add("", "1 2 3")
	f.Add("p1", "9223372036854775808 1")
	f.Add("p1", "1\n 1")
	script := regexp.MustCompile(`\A[0-9]+ [0-9]+\z`)
	f.Fuzz(func(t *testing.T, id, value string) {
		got, ok := readLevel([]any{id, value})
		if ok && !script.MatchString(value) {
			t.Errorf("%q: got %+v, want what the script does not take for a level refused", value, got)
		}
		if !ok {
			return
		}
		text := strconv.FormatInt(got.At.UnixMilli(), 10) + " " + strconv.Itoa(got.Quantity)
		if again, ok := readLevel([]any{id, text}); !ok || again != got || got.ID != id {
			t.Errorf("%q: got %+v, %t, of %q", value, again, ok, text)
		}
	})
}
